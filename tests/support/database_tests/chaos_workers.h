// Runs many branches at once while something breaks. This is the same for every database
// that has a two-phase commit itself. A database's test includes this file after its
// support.h, which defines DatabaseTest and TestedOptions.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_CHAOS_WORKERS_H_
#define TESTS_SUPPORT_DATABASE_TESTS_CHAOS_WORKERS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "tests/support/manager_calls.h"
#include "tests/support/processes.h"

namespace concordat::participant {

using testing::SleepMs;

// Workers that run one branch after the other. They write their names into a table
// `ledger`, and move money between 300 accounts.
class ChaosWorkers : public DatabaseTest {
 protected:
  static constexpr int kWorkers = 6;

  // Runs one branch until its outcome is known. Returns whether it was committed.
  bool RunOne(Random* random) {
    BranchId branch;
    {
      MutexLock lock(&mutex_);
      branch = NextBranch();
    }
    if (!manager().Start(branch, {}).ok()) return SleepMs(5), false;
    const int64_t from = random->Between(1, 300);
    const int64_t to = random->Between(1, 300);
    const bool alone = random->Percent(30);
    const bool prepare = !alone && random->Percent(50);
    const wire::SqlStatement credit =
        Stmt(absl::StrCat("UPDATE account SET balance=balance+1 WHERE id=", kParameter),
             {Int(to)});
    const bool worked =
        Execute(branch,
                {Stmt(absl::StrCat("UPDATE account SET balance=balance-1 WHERE id=",
                                   kParameter),
                      {Int(from)}),
                 Stmt(absl::StrCat("INSERT INTO ledger VALUES (", kParameter, ")"),
                      {Txt(ToString(branch))})})
                .result.code == wire::Code::OK &&
        (prepare ? ExecuteLast(branch, {credit}) : Execute(branch, {credit}))
                .result.code == wire::Code::OK;
    if (!worked) {
      FinishFor(branch, &ChaosWorkers::Rollback);
      return false;
    }
    const bool committed =
        alone ? CommitAlone(branch) : CommitInTwoPhases(branch, prepare, random);
    MutexLock lock(&mutex_);
    if (committed) committed_.insert(ToString(branch));
    return committed;
  }

  // Repeats the end of the branch until it is done, as a coordinator does.
  void FinishFor(const BranchId& branch,
                 FinishResult (ManagerCalls::*verb)(const BranchId&)) {
    while (true) {
      const FinishResult result = (this->*verb)(branch);
      if (result.state == FinishState::kDone) return;
      EXPECT_EQ(result.state, FinishState::kRetry) << branch << ": " << result.detail;
      if (result.state != FinishState::kRetry) return;
      SleepMs(5);
    }
  }

  bool CommitInTwoPhases(const BranchId& branch, bool prepared, Random* random) {
    PrepareResult vote{Vote::kPrepared, ""};
    if (!prepared) vote = Prepare(branch);
    while (vote.vote == Vote::kUnavailable) {
      SleepMs(5);
      vote = Prepare(branch);
    }
    if (vote.vote != Vote::kPrepared) return false;
    const bool commit = random->Percent(80);
    FinishFor(branch, commit ? &ChaosWorkers::Commit : &ChaosWorkers::Rollback);
    return commit;
  }

  bool CommitAlone(const BranchId& branch) {
    const OnePhaseResult result = CommitOnePhase(branch);
    if (result.outcome != OnePhase::kUnknown) {
      return result.outcome == OnePhase::kCommitted;
    }
    Evidence evidence = LookUp(branch);
    while (evidence == Evidence::kUnknown) {
      SleepMs(5);
      evidence = LookUp(branch);
    }
    return evidence == Evidence::kCommittedAlone;
  }

  // Runs the workers while `disturb` runs.
  void Work(const std::function<void()>& disturb) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < kWorkers; ++i) {
      workers.emplace_back([this, &stop, i] {
        Random random(static_cast<uint64_t>(i) + 1);
        while (!stop.load()) {
          if (!RunOne(&random)) ++failed_;
        }
      });
    }
    workers.emplace_back([this, &stop] {
      while (!stop.load()) {
        Meanwhile();
        SleepMs(10);
      }
    });
    disturb();
    stop.store(true);
    for (std::thread& worker : workers) worker.join();
  }
  // Waits for so many more commits, however long this machine takes for them. False: they
  // have not come.
  bool AwaitCommits(size_t more) {
    const auto committed = [this] {
      MutexLock lock(&mutex_);
      return committed_.size();
    };
    const size_t wanted = committed() + more;
    return testing::WaitUntil(60, [&] { return committed() >= wanted; });
  }
  bool AwaitEnds(int more) {
    const auto ended = [this] {
      MutexLock lock(&mutex_);
      return static_cast<int>(committed_.size()) + failed_.load();
    };
    const int wanted = ended() + more;
    return testing::WaitUntil(10, [&] { return ended() >= wanted; });
  }
  // What else runs beside the workers.
  virtual void Meanwhile() {}

  void CheckBooks() {
    const std::vector<std::string> rows =
        server().Column("SELECT branch FROM ledger", Database());
    EXPECT_EQ(std::set<std::string>(rows.begin(), rows.end()), committed_);
    EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "30000");
    EXPECT_EQ(EvidenceRows(), std::to_string(committed_.size()));
    EXPECT_TRUE(Prepared().empty());
    const uint64_t lost = manager().Stats().lost_ends;
    EXPECT_GT(lost, 0u) << "the case that all this is for was not reached";
    std::printf("  %zu committed, %d not, %llu connections lost in PREPARE or COMMIT\n",
                committed_.size(), failed_.load(), static_cast<unsigned long long>(lost));
  }

  Mutex mutex_;
  std::set<std::string> committed_;
  std::atomic<int> failed_{0};
};

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_CHAOS_WORKERS_H_
