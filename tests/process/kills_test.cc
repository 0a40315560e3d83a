// Scenarios in which real processes are killed at an exact moment. The proxies in front
// of the participants bring that moment about: they hold the messages that would let the
// transaction go on.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "coordinator/client/context.h"
#include "coordinator/client/operations.h"
#include "tests/process/cluster.h"
#include "thrift/wire/conversion.h"

namespace concordat::testing {
namespace {

using client::CommitResult;

class Kills : public ::testing::Test {
 protected:
  // Banks do not ask for outcomes while the test runs, unless it wants them to. So
  // branches are ended by what the leader sends.
  explicit Kills(int in_doubt_inquiry_ms = 60'000)
      : cluster_({.in_doubt_inquiry_ms = in_doubt_inquiry_ms}) {}

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
    return WaitUntil(kPatience, [&] { return cluster_.Show(gtid).state == state; });
  }
  // Waits until the leader shows the branch at that bank in that state.
  bool WaitForBranch(const Gtid& gtid, const std::string& bank,
                     const std::string& state) {
    return WaitUntil(kPatience, [&] {
      for (const wire::BranchView& branch : cluster_.Show(gtid).branches) {
        if (branch.branch.resource == bank && branch.state == state) return true;
      }
      return false;
    });
  }
  // Waits until both banks have answered and the proxies hold the answers.
  bool WaitForHeldVotes() {
    return WaitUntil(kPatience, [this] {
      return cluster_.proxy("kv").HeldReplyBytes() > 0 &&
             cluster_.proxy("sql").HeldReplyBytes() > 0;
    });
  }
  void ExpectTransferred(int times = 1) {
    EXPECT_TRUE(cluster_.WaitUntilSettled());
    EXPECT_EQ(cluster_.KvBalance("alice"), -5 * times);
    EXPECT_EQ(cluster_.SqlBalance("bob"), 5 * times);
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
  const wire::StatusReply before = cluster_.Status(leader);
  auto result = CommitInBackground(&transaction);
  // The leader has appended STAGED, and nobody else can have acknowledged it.
  ASSERT_TRUE(WaitUntil(
      kPatience, [&] { return cluster_.Status(leader).last_index > before.last_index; }));
  EXPECT_EQ(cluster_.Status(leader).commit_index, before.commit_index);
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
  ASSERT_TRUE(WaitForBranch(gtid, "kv", "prepared"));
  EXPECT_EQ(cluster_.Show(gtid).state, "preparing");
  cluster_.KillLeader();
  cluster_.proxy("sql").Disconnect();
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
  ASSERT_TRUE(WaitForHeldVotes());
  EXPECT_EQ(cluster_.Show(gtid).state, "preparing");
  cluster_.KillLeader();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Disconnect();
  HoldVotes(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

TEST_F(Kills, Scenario05_DecidedOnAQuorumAndTheClientNotAnswered_TheRetryReturnsIt) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  wire::CommitRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(gtid);
  request.mode = wire::CommitMode::DECIDED;
  request.timeout_ms = 10'000;
  const auto context = client::ParseContext(transaction.CarryBack());
  ASSERT_TRUE(context.ok());
  for (const BranchId& branch : context->branches) {
    request.branches.push_back(ToWire(branch));
  }
  const auto commit = [&request](client::CoordinatorLink* link,
                                 std::function<void(const wire::OutcomeReply&)> done) {
    link->commit(std::move(done), request);
  };
  // The first answer is dropped here, as if the client had never got it.
  const auto first = cluster_.Ask<wire::OutcomeReply>(cluster_.Leader(), commit);
  EXPECT_EQ(first.outcome, wire::Outcome::COMMITTED);
  cluster_.KillLeader();
  wire::OutcomeReply second;
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
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
  ASSERT_TRUE(WaitForHeldVotes());
  HoldRequests(true);  // votes may pass now, COMMIT may not
  HoldVotes(false);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  for (const wire::BranchView& branch : cluster_.Show(gtid).branches) {
    EXPECT_EQ(branch.state, "prepared") << "COMMIT has got through";
  }
  cluster_.KillLeader();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Disconnect();
  HoldRequests(false);
  ExpectTransferred();
}

TEST_F(Kills, Scenario07_HalfOfTheResourceManagersCommitted_TheRestCommit) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  ASSERT_TRUE(WaitForHeldVotes());
  cluster_.proxy("sql").HoldRequests(true);
  HoldVotes(false);
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  ASSERT_TRUE(WaitForBranch(gtid, "kv", "committed"));
  ASSERT_TRUE(WaitForBranch(gtid, "sql", "prepared"));
  cluster_.KillLeader();
  cluster_.proxy("sql").Disconnect();
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
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    const auto status = cluster_.Status(old_leader);
    return status.result.code == wire::Code::OK && status.role == "follower";
  }));
  ExpectTransferred();
}

class BankKills : public Kills, public ::testing::WithParamInterface<const char*> {
 protected:
  // Another transaction works on the row that the transfer has changed, and is rolled
  // back. Returns whether it sees the transfer.
  bool RivalSeesTheTransfer(const std::string& bank) {
    auto client = cluster_.NewClient();
    auto rival = client->Begin();
    if (!rival.ok()) return false;
    if (bank == "kv") {
      const auto added = rival->Kv("kv", {client::Add("alice", -1)});
      return added.ok() ? (*added)[0].sum == -6 : absl::IsAborted(added.status());
    }
    const auto inserted =
        rival->Sql("sql", client::Sql("INSERT INTO account VALUES('bob', 0)"));
    return absl::IsFailedPrecondition(inserted.status()) ||  // it is there
           absl::IsAborted(inserted.status());
  }
};

TEST_P(BankKills, Scenario24_CrashAfterPrepareBeforeTheVote_InDoubtThenCommitted) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  cluster_.proxy(GetParam()).HoldReplies(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  ASSERT_TRUE(WaitUntil(kPatience,
                        [&] { return cluster_.proxy(GetParam()).HeldReplyBytes() > 0; }));
  cluster_.bank(GetParam()).Kill();
  cluster_.proxy(GetParam()).Disconnect();
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
  ASSERT_TRUE(WaitForHeldVotes());
  Proxy& proxy = cluster_.proxy(GetParam());
  proxy.HoldRequests(true);  // the votes may pass, COMMIT has to wait here
  HoldVotes(false);
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return proxy.HeldReplyBytes() == 0; }));
  // Now COMMIT may pass, and its acknowledgement has to wait.
  proxy.HoldReplies(true);
  proxy.HoldRequests(false);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return proxy.HeldReplyBytes() > 0; }));
  cluster_.bank(GetParam()).Kill();
  EXPECT_EQ(cluster_.Show(gtid).state, "committing") << "it was acknowledged";
  proxy.Disconnect();
  proxy.HoldReplies(false);
  cluster_.StartBank(GetParam());
  ExpectTransferred();
}

// The other bank's vote is held, so that the transaction stays undecided.
TEST_P(BankKills, Scenario24_RestartedInDoubt_ItsLocksAreHeldBeforeAnythingIsServed) {
  const std::string bank = GetParam();
  const std::string other = bank == "kv" ? "sql" : "kv";
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  cluster_.proxy(other).HoldReplies(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForBranch(gtid, bank, "prepared"));
  cluster_.bank(bank).Kill();
  cluster_.StartBank(bank);
  // Another transaction wants the same row. Whenever it comes in, it must not see the
  // state before: it waits for the branch in doubt, or loses against it.
  auto rival = std::async(std::launch::async, [&] { return RivalSeesTheTransfer(bank); });
  (void)rival.wait_for(std::chrono::milliseconds(500));
  EXPECT_EQ(cluster_.Show(gtid).state, "preparing");
  cluster_.proxy(other).HoldReplies(false);
  EXPECT_TRUE(rival.get());
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  ExpectTransferred();
}

INSTANTIATE_TEST_SUITE_P(Banks, BankKills, ::testing::Values("kv", "sql"));

// The bank is killed at many moments, from before COMMIT has arrived to after its end.
TEST_F(Kills, Scenario36_SqliteBankKilledAroundItsCommit_EachAppliedOnce) {
  constexpr int kRounds = 12;
  Proxy& proxy = cluster_.proxy("sql");
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("killed " + std::to_string(round) + " ms after COMMIT was let go");
    auto transaction = Worked();
    HoldVotes(true);
    auto result = CommitInBackground(&transaction);
    ASSERT_TRUE(WaitForHeldVotes());
    proxy.HoldRequests(true);
    HoldVotes(false);
    EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
    proxy.HoldRequests(false);
    SleepMs(round);
    cluster_.bank("sql").Kill();
    proxy.Disconnect();
    cluster_.StartBank("sql");
    ExpectTransferred(round + 1);
  }
}

class KillsAndInquiries : public Kills {
 protected:
  static constexpr int kInquiryMs = 1000;
  KillsAndInquiries() : Kills(kInquiryMs) {}
};

TEST_F(KillsAndInquiries,
       Scenario32_NoCoordinatorForAWhile_BranchesHoldAndNothingIsDecidedAlone) {
  auto transaction = Worked();
  const Gtid gtid = transaction.gtid();
  HoldVotes(true);
  auto result = CommitInBackground(&transaction);
  ASSERT_TRUE(WaitForState(gtid, "preparing"));
  ASSERT_TRUE(WaitForHeldVotes());
  for (int id = 1; id <= 3; ++id) cluster_.node(id).Kill();
  for (const char* bank : {"kv", "sql"}) cluster_.proxy(bank).Disconnect();
  HoldVotes(false);
  SleepMs(3 * kInquiryMs);  // they ask, and nobody answers
  for (int id = 1; id <= 3; ++id) cluster_.StartNode(id);
  const CommitResult outcome = result.get();
  EXPECT_EQ(outcome.outcome, Outcome::kCommitted) << outcome;
  ExpectTransferred();
}

}  // namespace
}  // namespace concordat::testing
