// Scenarios in which real processes are killed at one exact moment. The proxies before
// the participants make the moment: they hold what would let the transaction go on.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "coordinator/client/context.h"
#include "coordinator/client/operations.h"
#include "coordinator/client/wire_names.h"
#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using client::Outcome;

void SleepMs(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class Kills : public ::testing::Test {
 protected:
  // Begins a transfer of 5 and does its work, without committing.
  client::Transaction Worked() {
    auto transaction = client_->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status().message();
    const absl::Status worked = Cluster::Transfer(&*transaction, "alice", "bob", 5);
    EXPECT_TRUE(worked.ok()) << worked.message();
    return std::move(*transaction);
  }
  std::future<CommitResult> CommitInBackground(client::Transaction* transaction) {
    return std::async(std::launch::async,
                      [transaction] { return transaction->Commit(); });
  }
  void HoldVotes(bool hold) {
    for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).HoldReplies(hold);
  }
  void HoldRequests(bool hold) {
    for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).HoldRequests(hold);
  }
  bool WaitForState(const Gtid& gtid, const std::string& state) {
    return WaitUntil(10, [&] { return cluster_.Show(gtid).state == state; });
  }
  void ExpectTransferred() {
    EXPECT_TRUE(cluster_.WaitUntilSettled());
    EXPECT_EQ(cluster_.KvBalance("alice"), -5);
    EXPECT_EQ(cluster_.SqlBalance("bob"), 5);
  }

  Cluster cluster_;
  std::unique_ptr<client::Client> client_ = cluster_.NewClient();
};

TEST_F(Kills, Scenario01_LeaderKilledBeforeStagedIsLogCommitted_TheRetryGetsOneOutcome) {
  auto transaction = Worked();
  const int leader = cluster_.Leader();
  for (int id = 1; id <= 3; ++id) {
    if (id != leader) cluster_.node(id).Pause();
  }
  auto result = CommitInBackground(&transaction);
  SleepMs(50);
  cluster_.node(leader).Kill();
  for (int id = 1; id <= 3; ++id) {
    if (id != leader) cluster_.node(id).Resume();
  }
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

TEST_F(Kills, Scenario02_LeaderKilledAfterSomePrepares_TheNewLeaderPreparesTheRest) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  cluster_.proxy("sql").HoldRequests(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  cluster_.KillLeader();
  cluster_.proxy("sql").Cut();
  cluster_.proxy("sql").HoldRequests(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

TEST_F(Kills, Scenario03_AllVotedAndDecidedNotAppended_TheNewLeaderAsksAgainAndCommits) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);  // both banks have prepared; their votes lie in the proxies
  cluster_.KillLeader();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Cut();
  HoldVotes(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

TEST_F(Kills, Scenario05_DecidedOnAQuorumAndTheClientNotAnswered_TheRetryReturnsIt) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  wire::CommitRequest request;
  request.context = client::MakeContext();
  request.gtid = client::ToWire(gtid);
  request.mode = wire::CommitMode::DECIDED;
  request.timeout_ms = 10'000;
  const auto context = client::ParseContext(transaction.CarryBack());
  ASSERT_TRUE(context.ok());
  for (const BranchId& branch : context->branches) {
    request.branches.push_back(client::ToWire(branch));
  }
  const auto commit = [&request](client::CoordinatorLink* link,
                                 std::function<void(const wire::OutcomeReply&)> done) {
    link->commit(std::move(done), request);
  };
  // The first answer is dropped here, as if the client had never got it.
  (void)cluster_.Ask<wire::OutcomeReply>(cluster_.Leader(), commit);
  cluster_.KillLeader();
  wire::OutcomeReply second;
  ASSERT_TRUE(WaitUntil(10, [&] {
    second = cluster_.Ask<wire::OutcomeReply>(cluster_.Leader(), commit);
    return second.result.code == wire::Code::OK;
  }));
  EXPECT_EQ(second.outcome, wire::Outcome::COMMITTED);
  ExpectTransferred();
}

TEST_F(Kills, Scenario06_ClientAnsweredAndCommitsUnsent_TheNewLeaderSendsThem) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);
  HoldRequests(true);  // votes may pass now, COMMIT may not
  HoldVotes(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  cluster_.KillLeader();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Cut();
  HoldRequests(false);
  ExpectTransferred();
}

TEST_F(Kills, Scenario07_HalfOfTheResourceManagersCommitted_TheRestCommit) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);
  cluster_.proxy("sql").HoldRequests(true);
  HoldVotes(false);
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  SleepMs(100);  // kv has committed by now
  cluster_.KillLeader();
  cluster_.proxy("sql").Cut();
  cluster_.proxy("sql").HoldRequests(false);
  ExpectTransferred();
}

TEST_F(Kills, Scenario09_LeaderStoppedPastAnElection_ItsLateMessagesChangeNothing) {
  auto transaction = Worked();
  const int old_leader = cluster_.Leader();
  cluster_.node(old_leader).Pause();
  auto result = CommitInBackground(&transaction);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  cluster_.node(old_leader).Resume();
  EXPECT_TRUE(WaitUntil(10, [&] {
    const auto status = cluster_.Status(old_leader);
    return status.result.code == wire::Code::OK && status.role == "follower";
  }));
  ExpectTransferred();
}

class BankKills : public Kills, public ::testing::WithParamInterface<const char*> {};

TEST_P(BankKills, Scenario24_CrashAfterPrepareBeforeTheVote_InDoubtThenCommitted) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  cluster_.proxy(GetParam()).HoldReplies(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);
  cluster_.bank(GetParam()).Kill();
  cluster_.proxy(GetParam()).Cut();
  cluster_.proxy(GetParam()).HoldReplies(false);
  cluster_.StartBank(GetParam());
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

TEST_P(BankKills, Scenario25_CrashAfterCommitBeforeTheAcknowledgement_AppliedOnce) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);
  // Let the votes out and keep what follows them.
  HoldVotes(false);
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  cluster_.proxy(GetParam()).HoldReplies(true);
  SleepMs(100);
  cluster_.bank(GetParam()).Kill();
  cluster_.proxy(GetParam()).Cut();
  cluster_.proxy(GetParam()).HoldReplies(false);
  cluster_.StartBank(GetParam());
  ExpectTransferred();
}

INSTANTIATE_TEST_SUITE_P(Banks, BankKills, ::testing::Values("kv", "sql"));

TEST_F(Kills, Scenario32_NoCoordinatorForAWhile_BranchesHoldAndNothingIsDecidedAlone) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  SleepMs(100);
  for (int id = 1; id <= 3; ++id) cluster_.node(id).Kill();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Cut();
  HoldVotes(false);
  SleepMs(3000);  // longer than a branch waits before it asks
  for (int id = 1; id <= 3; ++id) cluster_.StartNode(id);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

}  // namespace
}  // namespace concordat::testing
