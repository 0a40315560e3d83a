// The store of a simulated resource manager: accounts with balances, locks, evidence,
// and a log that is flushed in simulated time. A crash loses all or a part of what was
// not flushed.
//
//   store.Start(branch);  store.Execute(branch, writes);
//   store.Prepare(branch, done);    // done is called when it is durable
//   store.Commit(branch, done);     // with evidence
#ifndef TESTS_SIMULATION_SIM_STORE_H_
#define TESTS_SIMULATION_SIM_STORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/base/random.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/messages.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

struct StoreOptions {
  uint32_t accounts = 8;
  int64_t initial_balance = 100;
  Duration flush_min = Duration::Micros(60);
  Duration flush_max = Duration::Micros(400);
};

class SimStore {
 public:
  SimStore(World* world, Judge* judge, std::string resource, const StoreOptions& options);

  void SetProcess(ProcessId id) { process_ = id; }
  void SetFlushTime(Duration min, Duration max) {
    options_.flush_min = min;
    options_.flush_max = max;
  }

  // The next crash comes before the current flush has written anything.
  void LoseAllAtNextCrash() { lose_all_ = true; }

  // --- Starts and ends. Crash(): the process has died; active branches are lost, and a
  // part of what was being written survives. Recover() rebuilds the rest from the log and
  // returns the branches in doubt.
  void Crash(bool power);
  [[nodiscard]] std::vector<BranchId> Recover();

  // --- Work.
  void Start(const BranchId& branch);
  // Returns kOk; kConflict or kBranchGone (the branch is rolled back); or
  // kConditionFailed (the branch goes on).
  [[nodiscard]] Code Execute(const BranchId& branch, const std::vector<Write>& writes);
  [[nodiscard]] bool WroteNothing(const BranchId& branch) const;
  [[nodiscard]] bool IsPrepared(const BranchId& branch) const;
  void Prepare(const BranchId& branch, Action done);
  void EndReadOnly(const BranchId& branch);
  void Commit(const BranchId& branch, Action done);
  void CommitAlone(const BranchId& branch, Action done);
  void Rollback(const BranchId& branch, Action done);
  [[nodiscard]] participant::Evidence LookUp(const BranchId& branch) const;
  void ForgetBelow(const Gtid& watermark);

  [[nodiscard]] int64_t Total() const;
  [[nodiscard]] int64_t InitialTotal() const {
    return options_.initial_balance * options_.accounts;
  }
  [[nodiscard]] int64_t BalanceOf(uint32_t account) const { return balances_[account]; }

 private:
  struct Change {
    uint32_t account = 0;
    int64_t delta = 0;
    int64_t before = 0;  // the balance that the branch has read
  };
  struct Branch {
    std::vector<Change> changes;
    bool prepared = false;
  };
  enum class Kind : uint8_t { kPrepare, kCommit, kAlone, kRollback };
  struct Record {
    Kind kind;
    BranchId branch;
    std::vector<Change> changes;  // with kPrepare and kAlone
  };
  struct Pending {
    Record record;
    Action done;
  };

  void Append(Record record, Action done);
  void StartFlush();
  void MakeDurable(const Record& record);
  void Replay(const Record& record);
  void Apply(const BranchId& branch, const std::vector<Change>& changes);
  void Unlock(const BranchId& branch);
  void CheckMoney();

  World* world_;
  Judge* judge_;
  const std::string resource_;
  StoreOptions options_;
  ProcessId process_;
  Random random_;

  std::vector<Record> disk_;
  bool lose_all_ = false;

  // Lost at a crash.
  std::deque<Pending> pending_;
  size_t flushing_ = 0;     // how many of pending_ are being flushed
  size_t completions_ = 0;  // durable, but not reported to the process yet
  std::vector<int64_t> balances_;
  std::map<uint32_t, BranchId> locks_;
  std::map<BranchId, Branch> branches_;
  std::map<BranchId, participant::Evidence> evidence_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_SIM_STORE_H_
