// Client::Ask(result): what became of a commit in one phase that nobody answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"
#include "tests/unit/client/forwarding_bank.h"

namespace concordat::client {
namespace {

using participant::Callback;
using participant::Evidence;
using participant::OnePhase;
using participant::OnePhaseResult;

// A bank whose store cannot be read for a while: it commits and cannot say so.
class SilentBank final : public ForwardingBank {
 public:
  SilentBank(const std::string& dir, std::atomic<bool>* silent)
      : ForwardingBank(dir), silent_(silent) {}

  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override {
    ForwardingBank::CommitOnePhase(
        branch, [this, done = std::move(done)](OnePhaseResult result) mutable {
          if (*silent_) result = {OnePhase::kUnknown, "the store cannot be read"};
          done(std::move(result));
        });
  }
  void LookUp(const BranchId& branch, Callback<Evidence> done) override {
    ForwardingBank::LookUp(branch,
                           [this, done = std::move(done)](Evidence evidence) mutable {
                             done(*silent_ ? Evidence::kUnknown : evidence);
                           });
  }

 private:
  std::atomic<bool>* const silent_;
};

class AskAboutOnePhase : public ::testing::Test {
 protected:
  static EmbeddedOptions Impatient() {
    EmbeddedOptions options;
    options.client.time_limit = Duration::Millis(200);
    return options;
  }
  CommitResult CommitUnheard() {
    silent_ = true;
    return banks_.client()->Run([](Transaction& t) -> absl::Status {
      return t.Kv("bank-a", {Add("alice", 5)}).status();
    });
  }

  std::atomic<bool> silent_{false};
  const testing::TempDir folder_;
  Banks banks_{Impatient(),
               std::make_unique<SilentBank>(folder_.path() + "/bank", &silent_)};
};

TEST_F(AskAboutOnePhase, UnknownResult_NamesTheBranch) {
  const CommitResult result = CommitUnheard();
  ASSERT_EQ(result.outcome, Outcome::kUnknown) << result;
  ASSERT_TRUE(result.one_phase_branch.has_value());
  EXPECT_EQ(result.one_phase_branch->resource, "bank-a");
  EXPECT_EQ(result.one_phase_branch->gtid, result.gtid);
  EXPECT_THAT(result.detail, ::testing::HasSubstr("bank-a"));
}

TEST_F(AskAboutOnePhase, StillSilent_IsUnknownAndCanBeAskedAgain) {
  const CommitResult again = banks_.client()->Ask(CommitUnheard());
  EXPECT_EQ(again.outcome, Outcome::kUnknown);
  ASSERT_TRUE(again.one_phase_branch.has_value());
  silent_ = false;
  const CommitResult result = banks_.client()->Ask(again);
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_FALSE(result.one_phase_branch.has_value());
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 5);
}

TEST_F(AskAboutOnePhase, TheGtidAlone_IsNotEnough) {
  const CommitResult unheard = CommitUnheard();
  silent_ = false;
  EXPECT_EQ(banks_.client()->Ask(unheard.gtid).outcome, Outcome::kUnknown);
}

// Coordinators have no record of it, this client has.
TEST_F(AskAboutOnePhase, AfterItsOwnRollback_IsKnownToBeAborted) {
  auto transaction = banks_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(transaction->Kv("bank-a", {Add("alice", 5)}).ok());
  (void)transaction->Rollback("changed its mind");
  const CommitResult answer = banks_.client()->Ask(transaction->gtid());
  EXPECT_EQ(answer.outcome, Outcome::kAborted) << answer;
  EXPECT_EQ(answer.cause, AbortCause::kRolledBack);
}

TEST_F(AskAboutOnePhase, Answer_NamesTheTransactionOnce) {
  auto transaction = banks_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  const CommitResult answer = banks_.client()->Ask(transaction->gtid());
  EXPECT_EQ(answer.outcome, Outcome::kUnknown);
  EXPECT_NE(answer.detail.rfind(ToString(transaction->gtid()) + ":", 0), 0u) << answer;
}

TEST_F(AskAboutOnePhase, KnownResult_IsReturnedAsItIs) {
  CommitResult known;
  known.outcome = Outcome::kAborted;
  known.cause = AbortCause::kConflict;
  known.detail = "as before";
  const CommitResult answer = banks_.client()->Ask(known);
  EXPECT_EQ(answer.outcome, Outcome::kAborted);
  EXPECT_EQ(answer.detail, "as before");
}

TEST_F(AskAboutOnePhase, TwoPhaseResult_IsAskedOfTheCoordinators) {
  auto transaction = banks_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  CommitResult asked;
  asked.gtid = transaction->gtid();
  for (const char* bank : {"bank-a", "bank-b"}) {
    ASSERT_TRUE(transaction->Kv(bank, {Add("alice", 5)}).ok());
  }
  ASSERT_TRUE(transaction->Commit().committed());
  EXPECT_TRUE(banks_.client()->Ask(asked).committed());
}

}  // namespace
}  // namespace concordat::client
