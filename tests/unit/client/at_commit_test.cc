// Work that is left to the commit (AtCommit). What the databases make of it is tested
// with them (tests/unit/postgresql, tests/unit/mariadb, tests/databases).
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"

namespace concordat::client {
namespace {

class AtCommit : public ::testing::Test {
 protected:
  Banks banks_;
  Client* client_ = banks_.client();
};

TEST_F(AtCommit, WorkAtTwoBanks_IsDoneByTheCommit) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {Add("alice", -5)}).ok());
  ASSERT_TRUE(t->AtCommit("bank-b", {Add("bob", 5)}).ok());
  EXPECT_EQ(banks_.Balance("bank-b", "bob"), 0);
  const CommitResult result = t->Commit();
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), -5);
  EXPECT_EQ(banks_.Balance("bank-b", "bob"), 5);
}

TEST_F(AtCommit, OneBankAlone_CommitsInOnePhase) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  const Gtid gtid = t->gtid();
  ASSERT_TRUE(t->AtCommit("bank-a", {Add("alice", 5)}).ok());
  EXPECT_TRUE(t->Commit().committed());
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 5);
  // The coordinators had no part in this commit.
  EXPECT_EQ(client_->Ask(gtid).outcome, Outcome::kUnknown);
}

TEST_F(AtCommit, MoreWorkAtOneBank_IsAddedInItsOrder_BehindWhatWasExecuted) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->Kv("bank-a", {Put("key", "first")}).ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {CompareAndSet("key", "first", "second")}).ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {CompareAndSet("key", "second", "7")}).ok());
  ASSERT_TRUE(t->AtCommit("bank-b", {Add("bob", 1)}).ok());
  const CommitResult result = t->Commit();
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(banks_.Balance("bank-a", "key"), 7);
}

TEST_F(AtCommit, ConditionThatDoesNotHold_AbortsAllAndIsNotRunAgain) {
  int runs = 0;
  const CommitResult result = client_->Run([&](Transaction& t) -> absl::Status {
    ++runs;
    if (absl::Status s = t.AtCommit("bank-a", {AddIfAtLeast("alice", -5, 0)}); !s.ok()) {
      return s;
    }
    return t.AtCommit("bank-b", {Add("bob", 5)});
  });
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kRolledBack) << result;
  EXPECT_NE(result.detail.find("bank-a: "), std::string::npos) << result;
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(banks_.Balance("bank-b", "bob"), 0);
}

TEST_F(AtCommit, UnknownResource_AbortsAll) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {Add("alice", 5)}).ok());
  ASSERT_TRUE(t->AtCommit("bank-x", {Add("bob", 5)}).ok());
  const CommitResult result = t->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 0);
}

// An older transaction has the row; the younger one's work waits for it, and goes on.
TEST_F(AtCommit, WorkThatWaitsForALock_CommitsBehindItsHolder) {
  auto older = client_->Begin();
  ASSERT_TRUE(older.ok());
  ASSERT_TRUE(older->Kv("bank-a", {Add("alice", 100)}).ok());
  auto younger = client_->Begin();
  ASSERT_TRUE(younger.ok());
  ASSERT_TRUE(younger->AtCommit("bank-a", {Add("alice", 1)}).ok());
  ASSERT_TRUE(younger->AtCommit("bank-b", {Add("bob", 1)}).ok());
  CommitResult result;
  std::thread commit([&] { result = younger->Commit(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(older->Commit().committed());
  commit.join();
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 101);
}

TEST_F(AtCommit, Rollback_DropsTheWork) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {Add("alice", 5)}).ok());
  EXPECT_EQ(t->Rollback().outcome, Outcome::kAborted);
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 0);
}

TEST_F(AtCommit, MixedWorkAndJoinedTransactions_AreRefused) {
  auto t = client_->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->AtCommit("bank-a", {Add("alice", 5)}).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(t->AtCommit("bank-a", Sql("SELECT 1"))));
  auto joined = client_->Join(t->Share());
  ASSERT_TRUE(joined.ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(joined->AtCommit("bank-b", {Add("bob", 5)})));
  EXPECT_EQ(t->Rollback().outcome, Outcome::kAborted);
}

}  // namespace
}  // namespace concordat::client
