// Client::Run: which ends are tried again.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/mutex.h"
#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"
#include "tests/unit/client/forwarding_bank.h"

namespace concordat::client {
namespace {

class Run : public ::testing::Test {
 protected:
  // Takes the lock of Bob's row from all younger transactions, and commits.
  static void Overtake(Transaction* older) {
    ASSERT_TRUE(older->Kv("bank-a", {Add("bob", 100)}).ok());
    ASSERT_TRUE(older->Commit().committed());
  }

  Banks banks_;
};

class RunAtBanks : public Run,
                   public ::testing::WithParamInterface<std::vector<std::string>> {};

// The branch is rolled back while its client does not look: nothing but PREPARE, or the
// commit in one phase, can say so.
TEST_P(RunAtBanks, LocksLostAfterTheLastCall_IsRunAgain) {
  auto older = banks_.client()->Begin();
  ASSERT_TRUE(older.ok());
  int runs = 0;
  const CommitResult result = banks_.client()->Run([&](Transaction& t) -> absl::Status {
    for (const std::string& bank : GetParam()) {
      auto added = t.Kv(bank, {Add("bob", 1)});
      if (!added.ok()) return added.status();
    }
    if (++runs == 1) Overtake(&*older);
    return absl::OkStatus();
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(banks_.Balance("bank-a", "bob"), 101);
}

INSTANTIATE_TEST_SUITE_P(Phases, RunAtBanks,
                         ::testing::Values(std::vector<std::string>{"bank-a"},
                                           std::vector<std::string>{"bank-a", "bank-b"}));

TEST_F(Run, IsolationOfABranch_ReachesItsResourceAlsoInARetry) {
  TransactionOptions options;
  options.isolation = {{"bank-a", "snapshot"}};
  for (const bool retry : {false, true}) {
    if (retry) options.age = banks_.client()->Begin()->gtid();
    auto transaction = banks_.client()->Begin(options);
    ASSERT_TRUE(transaction.ok());
    EXPECT_TRUE(transaction->Kv("bank-b", {Add("bob", 1)}).ok());
    const absl::Status refused = transaction->Kv("bank-a", {Add("bob", 1)}).status();
    EXPECT_NE(refused.message().find("not \"snapshot\""), absl::string_view::npos)
        << refused;
  }
}

// The branch of an earlier incarnation is not there: that may be otherwise the next time.
TEST_F(Run, LostEveryTime_EndsWithTheLastAnswer) {
  RunOptions options;
  options.max_attempts = 3;
  int runs = 0;
  const CommitResult result = banks_.client()->Run(
      [&](Transaction& t) -> absl::Status {
        ++runs;
        (void)t.Share();
        return t.Merge(EncodeContext(
            {ClusterId(), t.gtid(), {{t.gtid(), "bank-b", Incarnation(5), 6}}}));
      },
      options);
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kLost) << result;
  EXPECT_EQ(runs, 3);
}

// A bank whose answers a test chooses.
class PlannedBank final : public ForwardingBank {
 public:
  struct Plan {
    std::atomic<Vote> vote{Vote::kPrepared};
    std::atomic<participant::OnePhase> one_phase{participant::OnePhase::kCommitted};
    std::atomic<bool> hangs{false};
    std::atomic<int> closed_for{0};  // so many starts
  };
  PlannedBank(const std::string& dir, Plan* plan) : ForwardingBank(dir), plan_(plan) {}

  absl::Status Start(const BranchId& branch,
                     const participant::StartOptions& options) override {
    if (plan_->closed_for.fetch_sub(1) > 0) {
      return absl::UnavailableError("the bank is closed");
    }
    return ForwardingBank::Start(branch, options);
  }
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override {
    if (plan_->hangs) {
      MutexLock lock(&mutex_);
      return hanging_.push_back(std::move(done));
    }
    ForwardingBank::Execute(branch, request, std::move(done));
  }
  void Prepare(const BranchId& branch,
               Callback<participant::PrepareResult> done) override {
    const Vote vote = plan_->vote;
    if (vote == Vote::kPrepared) {
      return ForwardingBank::Prepare(branch, std::move(done));
    }
    ForwardingBank::Rollback(branch, [](participant::FinishResult) {});
    done({vote, "as planned"});
  }
  void CommitOnePhase(const BranchId& branch,
                      Callback<participant::OnePhaseResult> done) override {
    const participant::OnePhase outcome = plan_->one_phase;
    if (outcome == participant::OnePhase::kCommitted) {
      return ForwardingBank::CommitOnePhase(branch, std::move(done));
    }
    ForwardingBank::Rollback(branch, [](participant::FinishResult) {});
    done({outcome, "as planned"});
  }

 private:
  Plan* const plan_;
  Mutex mutex_;
  std::vector<Callback<wire::ExecuteReply>> hanging_ ABSL_GUARDED_BY(mutex_);
};

class RunAtPlannedBank : public ::testing::Test {
 protected:
  CommitResult RunAt(const std::vector<std::string>& banks, RunOptions options) {
    return banks_.client()->Run(
        [&](Transaction& t) -> absl::Status {
          ++runs_;
          for (const std::string& bank : banks) {
            auto added = t.Kv(bank, {Add("bob", 1)});
            if (!added.ok()) return added.status();
          }
          return absl::OkStatus();
        },
        options);
  }
  static EmbeddedOptions Impatient() {
    EmbeddedOptions options;
    options.client.execute_timeout = Duration::Millis(300);
    return options;
  }

  int runs_ = 0;
  PlannedBank::Plan plan_;
  const testing::TempDir folder_;
  Banks banks_{Impatient(),
               std::make_unique<PlannedBank>(folder_.path() + "/bank", &plan_)};
};

TEST_F(RunAtPlannedBank, Scenario101_RefusalThatLasts_IsSaidOnce) {
  plan_.vote = Vote::kRefused;
  plan_.one_phase = participant::OnePhase::kRefused;
  for (const std::vector<std::string>& banks :
       {std::vector<std::string>{"bank-a"},
        std::vector<std::string>{"bank-a", "bank-b"}}) {
    runs_ = 0;
    const CommitResult result = RunAt(banks, {});
    EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
    EXPECT_EQ(result.cause, AbortCause::kRefused) << result;
    EXPECT_EQ(runs_, 1);
  }
}

TEST_F(RunAtPlannedBank, Scenario101_ConflictAtTheVote_IsRunAgain) {
  plan_.vote = Vote::kConflict;
  plan_.one_phase = participant::OnePhase::kConflict;
  RunOptions options;
  options.max_attempts = 3;
  for (const std::vector<std::string>& banks :
       {std::vector<std::string>{"bank-a"},
        std::vector<std::string>{"bank-a", "bank-b"}}) {
    runs_ = 0;
    const CommitResult result = RunAt(banks, options);
    EXPECT_EQ(result.cause, AbortCause::kConflict) << result;
    EXPECT_EQ(runs_, 3);
  }
}

TEST_F(RunAtPlannedBank, ResourceThatIsAway_IsTriedAgainUntilItIsBack) {
  plan_.closed_for = 2;
  const CommitResult result = RunAt({"bank-a"}, {});
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(runs_, 3);
}

TEST_F(RunAtPlannedBank, ResourceThatStaysAway_IsGivenUpAndTheStatusSaysWhy) {
  plan_.closed_for = 1000;
  RunOptions options;
  options.max_away_attempts = 2;
  const CommitResult result = RunAt({"bank-a"}, options);
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kLost) << result;
  EXPECT_TRUE(absl::IsUnavailable(result.work)) << result.work;
  EXPECT_EQ(runs_, 2);
}

TEST_F(RunAtPlannedBank, CallThatTakesTooLong_IsATimeOutAndNotAConflict) {
  plan_.hangs = true;
  const CommitResult result = RunAt({"bank-a"}, {});
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kTimedOut) << result;
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.work)) << result.work;
  EXPECT_EQ(runs_, 1);
}

TEST_F(RunAtPlannedBank, TransactionsTimeLimit_EndsItsWork) {
  RunOptions options;
  options.transaction.time_limit = Duration::Millis(1);
  const CommitResult result = banks_.client()->Run(
      [&](Transaction& t) -> absl::Status {
        ++runs_;
        absl::Status status = absl::OkStatus();
        while (status.ok()) status = t.Kv("bank-b", {Add("bob", 1)}).status();
        return status;
      },
      options);
  EXPECT_EQ(result.cause, AbortCause::kTimedOut) << result;
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.work)) << result.work;
  EXPECT_EQ(runs_, 1);
}

TEST_F(Run, ConditionThatDoesNotHold_IsNotRunAgain) {
  int runs = 0;
  const CommitResult result = banks_.client()->Run([&](Transaction& t) -> absl::Status {
    ++runs;
    return t.Kv("bank-a", {AddIfAtLeast("bob", -1, 0)}).status();
  });
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kRolledBack) << result;
  EXPECT_TRUE(absl::IsFailedPrecondition(result.work)) << result.work;
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace concordat::client
