// Runs Execute calls one after another in the scratch transaction, takes the locks that
// they need, and lets calls wait for locks.
//
// A call runs first and asks for its locks afterwards, since it is not known before which
// rows an UPDATE finds. When all locks are free they are taken, and the call's changes
// are kept. Otherwise its work is undone and wound-wait decides (Rosenkrantz, Stearns,
// Lewis: System level concurrency control for distributed database systems, TODS 1978):
//   - younger holders that have promised nothing lose their locks (CONFLICT);
//   - for older or prepared holders the call waits; it runs again when the key is free.
// A branch waits only for an older branch, or for a prepared one, which waits for nobody:
// so there is no deadlock, neither here nor across resources. For the writer's thread.
//
// SQLite has one writer, and the scratch transaction is this writer: while a call runs,
// nothing is prepared or committed. So a call that has run for kSlice is stopped when
// others wait:
//   - A call that only reads, in a branch that has changed nothing, goes to a reader,
//     where it has a snapshot of its own.
//   - Any other call runs again after a pause, which doubles each time. When this has
//     lasted for lock_wait, the call gets OVERLOADED; the branch stays active.
// Nothing of a stopped call can be kept: its unfinished work is in the scratch
// transaction, which holds the file. If long calls were allowed to finish, the commits of
// all users would be as slow as the slowest statement that anybody sends.
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
  // `others_wait` returns true when work waits for the calls to end. `drop` is called, on
  // any thread, for a branch whose call failed at a reader.
  CallScheduler(const SqliteOptions& options, BranchTable* branches, Store* store,
                const Catalog* catalog, Scratch* scratch, ReaderPool* readers,
                std::function<bool()> others_wait,
                std::function<void(const BranchId&)> drop);

  // The branch must be active. `done` runs later, or before this returns.
  void Submit(Branch* branch, const wire::ExecuteRequest& request,
              Callback<wire::ExecuteReply> done);
  // Answers the branch's call, if one is under way, without running it.
  void Cancel(Branch* branch, wire::Code::type code, const std::string& why);

  // Runs the calls that can run. Some may be left: then HasWork is true.
  void RunPhase();
  [[nodiscard]] bool HasWork() const { return !ready_.empty() || branches_->has_freed(); }
  // Must the call that runs now stop?
  [[nodiscard]] bool MustYield() const;

  // Ends the calls that have waited too long.
  void ExpireWaits();
  // The time at which ExpireWaits or RunPhase next has something to do.
  [[nodiscard]] Timestamp NextDeadline() const;

 private:
  void LockChangedTables();
  void WakeOldest(const std::string& key);
  void RunOne(Branch* branch);
  // True: a reader can run the branch's call, because it is known to only read and needs
  // only committed rows.
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
  // Returns the key to wait for. Empty: all locks can be taken now, or *end says that
  // they never can.
  [[nodiscard]] std::string ResolveConflicts(Branch* branch,
                                             const std::vector<LockWant>& wants,
                                             RunResult* end);
  void Wound(Branch* victim, const Branch& by);
  void Wait(Branch* branch, const std::string& key);
  void Answer(Branch* branch, wire::ExecuteReply reply);

  const SqliteOptions& options_;  // owned by the writer
  BranchTable* const branches_;
  Store* const store_;
  const Catalog* const catalog_;
  Scratch* const scratch_;     // runs the calls
  ReaderPool* const readers_;  // may be empty: then this thread runs all calls
  const std::function<bool()> others_wait_;  // see the constructor
  // See the constructor; called on any thread.
  const std::function<void(const BranchId&)> drop_;
  const SystemClock clock_;
  uint64_t seen_loads_ = 0;       // Catalog::loads when last compared
  int64_t foreign_version_ = 0;   // Store::ForeignVersion when this phase began
  std::deque<Branch*> ready_;     // branches whose call can run
  std::vector<Branch*> yielded_;  // stopped calls, until their run_at
  Timestamp call_began_;          // of the call that runs now
  // The end of each wait. Some of these waits have ended already.
  std::set<std::pair<Timestamp, BranchId>> deadlines_;
};

[[nodiscard]] wire::ExecuteReply MakeReply(wire::Code::type code, std::string message);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_CALL_SCHEDULER_H_
