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

namespace concordat::client {
namespace {

using participant::Callback;
using participant::Evidence;
using participant::FinishResult;
using participant::OnePhase;
using participant::OnePhaseResult;
using participant::PrepareResult;

// A bank whose store cannot be read for a while: it commits and cannot say so.
class SilentBank final : public participant::ResourceManager {
 public:
  SilentBank(const std::string& dir, std::atomic<bool>* silent)
      : silent_(silent), bank_(dir, SmallBank()) {}

  [[nodiscard]] std::string_view kind() const override { return bank_.kind(); }
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override {
    bank_.Recover(cluster, std::move(done));
  }
  absl::Status Start(const BranchId& branch,
                     const participant::StartOptions& options) override {
    return bank_.Start(branch, options);
  }
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override {
    bank_.Execute(branch, request, std::move(done));
  }
  void End(const BranchId& branch) override { bank_.End(branch); }
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override {
    bank_.Prepare(branch, std::move(done));
  }
  void Commit(const BranchId& branch, Callback<FinishResult> done) override {
    bank_.Commit(branch, std::move(done));
  }
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override {
    bank_.CommitOnePhase(branch,
                         [this, done = std::move(done)](OnePhaseResult result) mutable {
                           if (*silent_)
                             result = {OnePhase::kUnknown, "the store cannot be read"};
                           done(std::move(result));
                         });
  }
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override {
    bank_.Rollback(branch, std::move(done));
  }
  void LookUp(const BranchId& branch, Callback<Evidence> done) override {
    bank_.LookUp(branch, [this, done = std::move(done)](Evidence evidence) mutable {
      done(*silent_ ? Evidence::kUnknown : evidence);
    });
  }
  void ForgetBelow(const Gtid& watermark) override { bank_.ForgetBelow(watermark); }
  void Close() override { bank_.Close(); }

 private:
  std::atomic<bool>* const silent_;
  participant::kv::KvResourceManager bank_;
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
  const wal::TempDir folder_;
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
