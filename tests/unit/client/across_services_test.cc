// One transaction through two services. The first two functions are the example at the
// top of client.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"
#include "tests/unit/client/forwarding_bank.h"

namespace concordat::client {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<std::string> ServiceB(Client* client, const std::string& context) {
  auto joined = client->Join(context);
  if (!joined.ok()) return joined.status();
  auto credit = joined->Kv("bank-b", {Add("bob", 5)});
  if (!credit.ok()) return credit.status();
  return joined->CarryBack();
}

CommitResult ServiceA(Client* client, Client* client_of_b) {
  return client->Run([&](Transaction& t) -> absl::Status {
    auto debit = t.Kv("bank-a", {Add("alice", -5)});
    if (!debit.ok()) return debit.status();
    auto branches = ServiceB(client_of_b, t.Share());
    if (!branches.ok()) return branches.status();
    return t.Merge(*branches);
  });
}

class AcrossServices : public ::testing::Test {
 protected:
  Transaction Debited() {
    auto transaction = client()->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status();
    EXPECT_TRUE(transaction->Kv("bank-a", {Add("alice", -5)}).ok());
    return std::move(*transaction);
  }
  Transaction Credited(const std::string& context) {
    auto joined = client()->Join(context);
    EXPECT_TRUE(joined.ok()) << joined.status();
    EXPECT_TRUE(joined->Kv("bank-b", {Add("bob", 5)}).ok());
    return std::move(*joined);
  }
  void ExpectBalances(int64_t alice, int64_t bob) {
    EXPECT_EQ(banks_.Balance("bank-a", "alice"), alice);
    EXPECT_EQ(banks_.Balance("bank-b", "bob"), bob);
  }
  Client* client() { return banks_.client(); }

  Banks banks_;
};

TEST_F(AcrossServices, Example_CommitsTheWorkOfBoth) {
  const CommitResult result = ServiceA(client(), client());
  EXPECT_TRUE(result.committed()) << result;
  ExpectBalances(-5, 5);
}

TEST_F(AcrossServices, EnlistedBranch_SurvivesTheServicesObject) {
  Transaction transaction = Debited();
  ASSERT_TRUE(Credited(transaction.Share()).Enlist().ok());
  const CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.committed()) << result;
  ExpectBalances(-5, 5);
}

TEST_F(AcrossServices, JoinedAndNeverHandedOver_IsRolledBackWithItsObject) {
  Transaction transaction = Debited();
  { Transaction joined = Credited(transaction.Share()); }
  // Bob's row is not locked any more.
  EXPECT_EQ(banks_.Balance("bank-b", "bob"), 0);
  EXPECT_TRUE(transaction.Commit().committed());
  ExpectBalances(-5, 0);
}

TEST_F(AcrossServices, HandedOverAndThenRolledBack_TheCallersCommitAborts) {
  Transaction transaction = Debited();
  Transaction joined = Credited(transaction.Share());
  ASSERT_TRUE(transaction.Merge(joined.CarryBack()).ok());
  (void)joined.Rollback("changed its mind");
  EXPECT_EQ(transaction.Commit().outcome, Outcome::kAborted);
  ExpectBalances(0, 0);
}

TEST_F(AcrossServices, BranchStartedAfterTheHandOver_GoesWithTheObject) {
  Transaction transaction = Debited();
  {
    Transaction joined = Credited(transaction.Share());
    ASSERT_TRUE(transaction.Merge(joined.CarryBack()).ok());
    ASSERT_TRUE(joined.Kv("bank-a", {Add("carol", 7)}).ok());
  }
  const CommitResult result = transaction.Commit();
  EXPECT_TRUE(result.committed()) << result;
  ExpectBalances(-5, 5);
  EXPECT_EQ(banks_.Balance("bank-a", "carol"), 0);
}

TEST_F(AcrossServices, MergedTwice_CommitsOnce) {
  Transaction transaction = Debited();
  const std::string carried = Credited(transaction.Share()).CarryBack();
  ASSERT_TRUE(transaction.Merge(carried).ok());
  ASSERT_TRUE(transaction.Merge(carried).ok());
  EXPECT_TRUE(transaction.Commit().committed());
  ExpectBalances(-5, 5);
}

// Work that failed is not handed over: what the caller would commit lacks a part.
TEST_F(AcrossServices, WorkThatLostAConflict_CannotBeEnlistedAndAbortsTheCaller) {
  auto older = client()->Begin();
  ASSERT_TRUE(older.ok());
  Transaction transaction = Debited();
  Transaction joined = Credited(transaction.Share());
  ASSERT_TRUE(older->Kv("bank-b", {Add("bob", 100)}).ok());  // takes the lock away
  EXPECT_TRUE(absl::IsAborted(joined.Kv("bank-b", {Get("bob")}).status()));
  const absl::Status enlisted = joined.Enlist();
  EXPECT_TRUE(absl::IsAborted(enlisted)) << enlisted;
  const absl::Status merged = transaction.Merge(joined.CarryBack());
  EXPECT_TRUE(absl::IsAborted(merged)) << merged;
  const CommitResult result = transaction.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kConflict) << result;
  EXPECT_TRUE(older->Commit().committed());
  ExpectBalances(0, 100);
}

// A bank that starts no branches for a while.
class ClosedBank final : public ForwardingBank {
 public:
  ClosedBank(const std::string& dir, std::atomic<bool>* closed)
      : ForwardingBank(dir), closed_(closed) {}
  absl::Status Start(const BranchId& branch,
                     const participant::StartOptions& options) override {
    if (*closed_) return absl::UnavailableError("the bank is closed");
    return ForwardingBank::Start(branch, options);
  }

 private:
  std::atomic<bool>* const closed_;
};

// The only call of the callee has failed, so that it has no branch to hand back: what the
// caller would commit lacks its part.
TEST(AcrossServicesWithAClosedBank, CalleeWhoseOnlyCallFailed_TheCallersCommitAborts) {
  const testing::TempDir folder;
  std::atomic<bool> closed{true};
  Banks banks({}, std::make_unique<ClosedBank>(folder.path() + "/bank", &closed));
  auto transaction = banks.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(transaction->Kv("bank-b", {Add("alice", -5)}).ok());
  auto joined = banks.client()->Join(transaction->Share());
  ASSERT_TRUE(joined.ok());
  EXPECT_TRUE(absl::IsUnavailable(joined->Kv("bank-a", {Add("bob", 5)}).status()));
  const absl::Status merged = transaction->Merge(joined->CarryBack());
  EXPECT_TRUE(absl::IsUnavailable(merged)) << merged;
  EXPECT_THAT(std::string(merged.message()), HasSubstr("the bank is closed"));
  const CommitResult result = transaction->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(result.cause, AbortCause::kLost) << result;
  EXPECT_EQ(banks.Balance("bank-b", "alice"), 0);
}

// As a database is: it takes branches of one transaction for strangers.
class StrangersBank final : public ForwardingBank {
 public:
  using ForwardingBank::ForwardingBank;
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }
};

TEST(AcrossServicesAtOneBank, Scenario102_TheSecondIsRefusedAtOnceAndTheCommitAborts) {
  const testing::TempDir folder;
  Banks banks({}, std::make_unique<StrangersBank>(folder.path() + "/bank"));
  auto transaction = banks.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(transaction->Kv("bank-a", {Add("alice", -5)}).ok());
  auto joined = banks.client()->Join(transaction->Share());
  ASSERT_TRUE(joined.ok());
  const absl::Status second = joined->Kv("bank-a", {Add("bob", 5)}).status();
  EXPECT_TRUE(absl::IsInternal(second)) << second;
  EXPECT_THAT(std::string(second.message()),
              HasSubstr("let one service do the transaction's work at bank-a"));
  EXPECT_FALSE(transaction->Merge(joined->CarryBack()).ok());
  EXPECT_EQ(transaction->Commit().outcome, Outcome::kAborted);
  EXPECT_EQ(banks.Balance("bank-a", "alice"), 0);
}

class TwoClusters : public ::testing::Test {
 protected:
  // The clusters choose their ids themselves.
  static ClusterId IdOf(Banks* banks) {
    auto transaction = banks->client()->Begin();
    CONCORDAT_CHECK(transaction.ok());
    return ParseContext(transaction->Share())->cluster;
  }
  static std::string TextOf(ClusterId id) { return absl::StrCat(absl::Hex(id.value())); }

  Banks here_;
  Banks there_;
};

TEST_F(TwoClusters, ContextNamesItsCluster) {
  auto transaction = here_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  const auto context = ParseContext(transaction->Share());
  ASSERT_TRUE(context.ok());
  EXPECT_FALSE(context->cluster.is_none());
  EXPECT_EQ(context->cluster, IdOf(&here_));
  EXPECT_NE(context->cluster, IdOf(&there_));
}

// Gtids count from the same numbers in every cluster: this one exists there too.
TEST_F(TwoClusters, ContextOfAnotherCluster_IsNotJoined) {
  auto transaction = here_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  const auto joined = there_.client()->Join(transaction->Share());
  ASSERT_TRUE(absl::IsFailedPrecondition(joined.status())) << joined.status();
  EXPECT_THAT(std::string(joined.status().message()), HasSubstr(TextOf(IdOf(&here_))));
  EXPECT_THAT(std::string(joined.status().message()), HasSubstr(TextOf(IdOf(&there_))));
}

TEST_F(TwoClusters, BranchesOfAnotherCluster_AreNotMerged) {
  auto transaction = here_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  const BranchId foreign{transaction->gtid(), "bank-b", Incarnation(5), 6};
  const std::string text =
      EncodeContext(Context{IdOf(&there_), transaction->gtid(), {foreign}});
  EXPECT_TRUE(absl::IsInvalidArgument(transaction->Merge(text)));
}

TEST_F(TwoClusters, ContextWithoutACluster_IsJoinedUnchecked) {
  auto transaction = here_.client()->Begin();
  ASSERT_TRUE(transaction.ok());
  const std::string text = EncodeContext(Context{ClusterId(), transaction->gtid(), {}});
  EXPECT_TRUE(here_.client()->Join(text).ok());
}

}  // namespace
}  // namespace concordat::client
