// Connections are lost between calls, during a call or a prepare, and with the process.
// See lost_fixture.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/mariadb/lost_fixture.h"

namespace concordat::participant {
namespace {

// --- between calls ---

TEST_P(LostTest, ConnectionLostBetweenCalls_TheBranchIsOver) {
  const BranchId executed = BeginAndRun(kUpdate);
  KillAllSessions();
  EXPECT_TRUE(Eventually(
      [&] { return Execute(executed, "SELECT 1").result.code == Code::BRANCH_GONE; }));
  EXPECT_TRUE(Eventually([&] { return manager().Start(NextBranch(), {}).ok(); }));
  const BranchId prepared = BeginAndRun(kUpdate);
  const BranchId alone = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  const BranchId rolled_back = BeginAndRun("UPDATE account SET balance=1 WHERE id=3");
  KillAllSessions();
  EXPECT_EQ(Prepare(prepared).vote, Vote::kLost);
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kLost);
  EXPECT_EQ(Rollback(rolled_back).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "1000");
}

TEST_P(LostTest, Scenario101_ConnectionLostDuringACall_TheBranchIsGone) {
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT SLEEP(60)")});
  EXPECT_TRUE(Waits("User sleep"));
  KillSession(
      Sql("SELECT id FROM information_schema.processlist WHERE state='User sleep'"));
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Balance(), "100");
}

// --- prepare ---

TEST_P(LostTest, Scenario24_PreparedAndNotAnswered_FoundAndVotedPrepared) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<PrepareResult> vote = PrepareLater(branch);
  CutWhen([&] { return !Prepared().empty(); });
  EXPECT_EQ(vote.Get().vote, Vote::kPrepared);
  EXPECT_EQ(Prepared(), std::vector<std::string>{XidOf(branch)});
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
}

// Nobody knows the vote. The transaction is rolled back, or PREPARE comes.
TEST_P(LostTest, Scenario24_PreparedByItsCallAndNotAnswered_FoundWhenItIsToEnd) {
  for (const bool commit : {false, true}) {
    const BranchId branch = Begin();
    EXPECT_TRUE(Eventually([&] {  // until the connections were made again
      return Execute(branch, "SELECT 1").result.code == Code::OK;
    }));
    proxy_->HoldAnswers();
    const auto call = ExecuteLastLater(branch, {Stmt(kUpdate)});
    CutWhen([&] { return !Prepared().empty(); });
    const wire::ExecuteReply reply = call->reply.Get();
    EXPECT_EQ(reply.result.code, Code::UNKNOWN) << reply.result.message;
    EXPECT_FALSE(reply.__isset.prepared);
    if (commit) {
      EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
    }
    EXPECT_EQ((commit ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
    EXPECT_TRUE(Prepared().empty());
    EXPECT_EQ(Balance(), commit ? "95" : "100");
  }
}

// The server does not know that the client is gone, and goes on when it can.
TEST_P(LostTest, Scenario23_DisconnectedBeforePrepare_TheOldSessionIsEndedBeforeTheVote) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    Hold lock(this, kEvidence);
    vote = PrepareLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    proxy_->Disconnect();
    EXPECT_EQ(vote.Get().vote, Vote::kUnavailable) << "the evidence is locked, too";
  }
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kLost; }));
  EXPECT_FALSE(Eventually([&] { return !Prepared().empty(); }, 0.3));
  EXPECT_EQ(Balance(), "100");
}

TEST_P(LostTest, Scenario24And33_ServerKilledAfterPrepare_UnavailableAndThenPrepared) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<PrepareResult> vote = PrepareLater(branch);
  EXPECT_TRUE(Eventually([&] { return !Prepared().empty(); }));
  server().Kill();
  proxy_->Disconnect();
  EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  EXPECT_EQ(Rollback(branch).state, FinishState::kRetry);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kPrepared; }));
  EXPECT_TRUE(Eventually([&] { return Commit(branch).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

TEST_P(LostTest, Scenario23And33_ServerKilledBeforePrepare_UnavailableAndThenRefused) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  {
    Hold lock(this, kEvidence);
    Later<PrepareResult> vote = PrepareLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    server().Kill();
    EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  }
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kLost; }));
  EXPECT_EQ(Balance(), "100");
}

// A vote that was given survives every crash of the server, and so does a commit. InnoDB
// does not flush XA ROLLBACK, so such a branch may be prepared again. Then the next scan
// finds it, and it is rolled back again.
TEST_P(LostTest, Scenario33_ServerKilledAfterTheVote_TheVoteHolds) {
  std::vector<BranchId> branches;
  for (int id = 1; id <= 6; ++id) {
    branches.push_back(BeginAndPrepare(
        absl::StrCat("UPDATE account SET balance=balance-5 WHERE id=", id)));
  }
  std::vector<BranchId> rolled_back;
  for (int i = 0; i < 3; ++i) {
    server().Kill();
    server().Start();
    EXPECT_GE(Prepared().size(), branches.size());
    EXPECT_LE(Prepared().size(), branches.size() + rolled_back.size());
    for (const bool commit : {true, false}) {
      const BranchId branch = branches.back();
      branches.pop_back();
      if (!commit) rolled_back.push_back(branch);
      EXPECT_TRUE(Eventually([&] {
        return (commit ? Commit(branch) : Rollback(branch)).state == FinishState::kDone;
      }));
    }
  }
  for (const BranchId& branch : rolled_back) {
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), std::to_string(1000 - 15));
}

TEST_P(LostTest, Scenario28_EvidenceCannotBeWritten_Refused) {
  const BranchId branch = BeginAndRun(kUpdate);
  Sql(absl::StrCat("INSERT INTO concordat.branches VALUES ('", Resource(), "',",
                   kCluster.value(), ",1,7,", branch.gtid.sequence, ",",
                   branch.incarnation.value(), ",", branch.number, ",'prepared')"));
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kRefused);
  EXPECT_THAT(result.detail, ::testing::HasSubstr("1062"));
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// The evidence is locked for longer than lock_wait. The next attempt may succeed.
TEST_P(LostTest, Scenario101_LockThatDoesNotComeAtTheEnd_IsAConflict) {
  MariadbOptions options = Options();
  options.lock_wait = Duration::Seconds(1);
  ReopenWith(options);
  const BranchId branch = BeginAndRun(kUpdate);
  const BranchId alone = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  {
    Hold hold(this, kEvidence);
    Later<PrepareResult> vote = PrepareLater(branch);
    Later<OnePhaseResult> outcome = CommitAloneLater(alone);
    EXPECT_EQ(vote.Get().vote, Vote::kConflict);
    EXPECT_EQ(outcome.Get().outcome, OnePhase::kConflict);
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "1000");
}

// A KILL QUERY comes during XA PREPARE, or the engine cannot prepare.
TEST_P(LostTest, Scenario28_PrepareInterrupted_TheVoteIsTheTruth) {
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    Hold lock(this, kEvidence);
    vote = PrepareLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    (void)TrySql("KILL QUERY " + WorkSession());
    EXPECT_EQ(vote.Get().vote, Vote::kConflict);
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).state, FinishState::kDone);
}

// Branches at work must not use up the connections by which branches are ended.
TEST_P(LostTest, AllConnectionsWaitForAPreparedBranch_ItIsCommittedAllTheSame) {
  MariadbOptions options = Options();
  options.max_connections = 1;
  Open(options);
  const BranchId holder = BeginAndPrepare(kUpdate);
  const BranchId waiter = Begin();
  const auto call = ExecuteLater(waiter, {Stmt(kUpdate)});
  EXPECT_TRUE(Eventually([&] { return manager().Stats().detached == 1; }));
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(100)));
  EXPECT_EQ(Commit(holder).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
  EXPECT_EQ(CommitOnePhase(waiter).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "90");
}

// --- the process goes: the next one finds the truth ---

TEST_P(LostTest, Scenario24_ProcessGoneDuringPrepare_TheNextOneFindsItInDoubt) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  (void)PrepareLater(branch);
  EXPECT_TRUE(Eventually([&] { return !Prepared().empty(); }));
  // The server does not know that the process is gone, and its session has the branch.
  const auto next = MakeMariadb(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> recovered;
  next->Recover(kCluster, recovered.callback());
  EXPECT_EQ(*recovered.Get(), std::vector<BranchId>{branch});
  Later<FinishResult> done;
  next->Commit(branch, done.callback());
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
  next->Close();
}

INSTANTIATE_TEST_SUITE_P(Binlog, LostTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "On" : "Off"; });

}  // namespace
}  // namespace concordat::participant
