// Runs Execute calls one after the other in the scratch transaction, takes the locks
// that they need, and lets them wait.
//
// A call runs first and then asks for its locks (which rows an UPDATE finds is not
// known before). When all are free they are taken and the call's changes are kept.
// Otherwise its work is undone, and by wound-wait (Rosenkrantz, Stearns, Lewis: System
// level concurrency control for distributed database systems, TODS 1978):
//   - holders that are younger and have promised nothing lose their locks (CONFLICT);
//   - for older or prepared holders the call waits, and runs anew when the key is free.
// Waiting is always for somebody older, or for a prepared branch, which waits for
// nobody: no deadlock, here or across resources. For the writer's thread.
//
// SQLite has one writer, and the scratch transaction is it: while a call runs, nothing is
// prepared or committed. So a call that has run for kSlice is stopped when others wait:
//   - one that only reads, in a branch that has changed nothing, goes to a reader, on a
//     snapshot of its own
//   - any other starts anew after a pause, which doubles each time. When that has gone on
//     for lock_wait the call gets OVERLOADED; the branch lives on
// Nothing can be kept of a call that was stopped: its half-done work is in the scratch
// transaction, which holds the file. The other way, to let long calls have their turn,
// would make everybody's commits as slow as the slowest statement that anybody sends.
#ifndef PARTICIPANT_RESOURCES_SQLITE_CALL_SCHEDULER_H_
#define PARTICIPANT_RESOURCES_SQLITE_CALL_SCHEDULER_H_

#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/base/system_clock.h"
#include "participant/resources/sqlite/branch_table.h"
#include "participant/resources/sqlite/reader_pool.h"
#include "participant/resources/sqlite/scratch.h"
#include "participant/resources/sqlite/store.h"

namespace concordat::participant::sqlite {

class CallScheduler {
 public:
  // `others_wait`: whether there is work that waits for the calls to end. `drop` is
  // called, on any thread, for a branch whose call failed at a reader.
  CallScheduler(const SqliteOptions& options, BranchTable* branches, Store* store,
                const Catalog* catalog, Scratch* scratch, ReaderPool* readers,
                std::function<bool()> others_wait,
                std::function<void(const BranchId&)> drop);

  // The branch is active. Answers later, or at once.
  void Submit(Branch* branch, const wire::ExecuteRequest& request,
              Callback<wire::ExecuteReply> done);
  // Answers the branch's call, if one is under way, without having run it.
  void Cancel(Branch* branch, wire::Code::type code, const std::string& why);

  // Runs what can run. Some may be left: then HasWork is true.
  void RunPhase();
  [[nodiscard]] bool HasWork() const { return !ready_.empty() || branches_->has_freed(); }
  // Whether the call that runs now has to stop.
  [[nodiscard]] bool MustYield() const;

  // Gives up the calls that have waited too long.
  void ExpireWaits();
  // When ExpireWaits or RunPhase has something to do next.
  [[nodiscard]] Timestamp NextDeadline() const;

 private:
  void HoldChangedTables();
  void WakeOldest(const std::string& key);
  void RunOne(Branch* branch);
  // A call that a reader can run: it is known to only read, and sees what is committed.
  [[nodiscard]] bool IsForReader(const Branch& branch) const;
  [[nodiscard]] bool CanGoToReader(const Branch& branch, const CallResult& result) const;
  void AddReadLocks(const Branch& branch, CallResult* result) const;
  void SendToReader(Branch* branch);
  void Yield(Branch* branch);
  void WakeYielded();
  void BeginWait(Branch* branch);
  void GrantAll(Branch* branch, const std::vector<LockWant>& wants);
  void Expire(Branch* branch, Timestamp now);
  void Finish(Branch* branch, CallResult result);
  void Keep(Branch* branch, CallResult* result);
  // Empty when all locks can be taken now, or when *end says that they never can;
  // otherwise the key to wait for.
  [[nodiscard]] std::string ClearTheWay(Branch* branch,
                                        const std::vector<LockWant>& wants,
                                        RunResult* end);
  void Wound(Branch* victim, const Branch& by);
  void Wait(Branch* branch, const std::string& key);
  void Answer(Branch* branch, wire::ExecuteReply reply);

  const SqliteOptions& options_;
  BranchTable* const branches_;
  Store* const store_;
  const Catalog* const catalog_;
  Scratch* const scratch_;
  ReaderPool* const readers_;
  const std::function<bool()> others_wait_;
  const std::function<void(const BranchId&)> drop_;
  const SystemClock clock_;
  uint64_t seen_loads_ = 0;      // of the catalog
  int64_t foreign_version_ = 0;  // Store's, when this phase began
  std::deque<Branch*> ready_;
  std::vector<Branch*> yielded_;  // until their run_at
  Timestamp call_began_;          // the one that runs
  // The end of each wait; some of them are over already.
  std::set<std::pair<Timestamp, BranchId>> deadlines_;
};

[[nodiscard]] wire::ExecuteReply MakeReply(wire::Code::type code, std::string message);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_CALL_SCHEDULER_H_
