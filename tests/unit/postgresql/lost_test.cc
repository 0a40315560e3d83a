// Connections are lost between calls, during PREPARE, and with the process. See
// lost_fixture.h.
#include <signal.h>

#include "coordinator/base/random.h"
#include "tests/unit/postgresql/lost_fixture.h"

namespace concordat::participant {
namespace {

// --- between calls ---

TEST_F(LostTest, ConnectionLostBetweenCalls_TheBranchIsOver) {
  const BranchId executed = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_TRUE(Eventually([&] { return WorkBackend().empty(); }));
  const Code::type code = Execute(executed, "SELECT 1").result.code;
  EXPECT_EQ(code, Code::BRANCH_GONE);

  const BranchId prepared = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(Prepare(prepared).vote, Vote::kLost);

  const BranchId alone = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kLost);

  const BranchId rolled_back = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(Rollback(rolled_back).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario101_ConnectionLostDuringACall_TheBranchIsGone) {
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT pg_sleep(60)")});
  Terminate(Waiting("PgSleep"));
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Balance(), "100");
}

// --- prepare ---

TEST_F(LostTest, Scenario24_PreparedAndNotAnswered_FoundAndVotedPrepared) {
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<PrepareResult> vote = PrepareLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(vote.Get().vote, Vote::kPrepared);
  EXPECT_EQ(Prepared(), std::vector<std::string>{Gid(branch)});
  AnswersFlow(true);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
}

// Nobody knows the vote. The transaction is rolled back, or PREPARE comes.
TEST_F(LostTest, Scenario24_PreparedByItsCallAndNotAnswered_FoundWhenItIsToEnd) {
  for (const bool commit : {false, true}) {
    const BranchId branch = Begin();
    AnswersFlow(false);
    const auto call = ExecuteLastLater(branch, {Stmt(kUpdate)});
    Terminate(Waiting("SyncRep"));
    const wire::ExecuteReply reply = call->reply.Get();
    EXPECT_EQ(reply.result.code, Code::UNKNOWN) << reply.result.message;
    EXPECT_FALSE(reply.__isset.prepared);
    EXPECT_EQ(Prepared(), std::vector<std::string>{Gid(branch)});
    AnswersFlow(true);
    if (commit) {
      EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
    }
    EXPECT_EQ((commit ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
    EXPECT_TRUE(Prepared().empty());
    EXPECT_EQ(Balance(), commit ? "95" : "100");
  }
}

TEST_F(LostTest, Scenario23_LostBeforeItsCallPrepared_NothingIsLeft) {
  const BranchId branch = Begin();
  {
    EvidenceLock lock(this);
    const auto call = ExecuteLastLater(branch, {Stmt(kUpdate)});
    Terminate(Waiting("relation"));
    EXPECT_EQ(call->reply.Get().result.code, Code::UNKNOWN);
  }
  EXPECT_EQ(Prepare(branch).vote, Vote::kLost);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario23_LostBeforePrepare_Refused) {
  const BranchId branch = BeginAndRun(kUpdate);
  {
    EvidenceLock lock(this);
    Later<PrepareResult> vote = PrepareLater(branch);
    Terminate(Waiting("relation"));
    EXPECT_EQ(vote.Get().vote, Vote::kLost);
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// The server is down for longer than settle_patience.
TEST_F(LostTest, Scenario24_ServerKilledDuringPrepare_UnavailableAndThenTheTruth) {
  DatabaseOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<PrepareResult> vote = PrepareLater(branch);
  (void)Waiting("SyncRep");
  server().Kill();
  EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  EXPECT_EQ(Prepare(branch).vote, Vote::kUnavailable);
  EXPECT_EQ(Rollback(branch).state, FinishState::kRetry);
  AnswersFlow(true);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kPrepared; }));
  EXPECT_TRUE(Eventually([&] { return Commit(branch).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostTest, Scenario23_ServerKilledBeforePrepare_UnavailableAndThenRefused) {
  DatabaseOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndRun(kUpdate);
  {
    EvidenceLock lock(this);
    Later<PrepareResult> vote = PrepareLater(branch);
    (void)Waiting("relation");
    server().Kill();
    EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  }
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kLost; }));
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario13_RollbackAfterALostPrepare_NothingStaysPrepared) {
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<PrepareResult> vote = PrepareLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(vote.Get().vote, Vote::kPrepared);
  AnswersFlow(true);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_TRUE(Prepared().empty());
}

// When PREPARE fails, the server has already rolled back.
TEST_F(LostTest, Scenario28_PrepareFails_RefusedAndNothingIsLeft) {
  Sql("ALTER TABLE account ADD UNIQUE (id, balance) DEFERRABLE INITIALLY DEFERRED;"
      "CREATE TABLE child(id int PRIMARY KEY, parent int REFERENCES account(id) "
      "DEFERRABLE INITIALLY DEFERRED)");
  const BranchId branch = BeginAndRun("INSERT INTO child VALUES (1, 99)");
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kRefused);
  EXPECT_NE(result.detail.find("23503"), std::string::npos) << result.detail;
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  const BranchId alone = BeginAndRun("INSERT INTO child VALUES (1, 99)");
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kRefused);
  EXPECT_EQ(Sql("SELECT count(*) FROM child"), "0");
  EXPECT_EQ(EvidenceRows(), "0");
  // The connection can be used again.
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).state, FinishState::kDone);
}

// In a transaction that has failed, PREPARE TRANSACTION is answered without an error. It
// must not be sent then.
TEST_F(LostTest, Scenario28_EvidenceCannotBeWritten_Refused) {
  const BranchId branch = BeginAndRun(kUpdate);
  Sql("INSERT INTO concordat.branches VALUES ('bank-a'," +
      std::to_string(static_cast<int64_t>(kCluster.value())) + ",1,7," +
      std::to_string(branch.gtid.sequence) + "," +
      std::to_string(branch.incarnation.value()) + "," + std::to_string(branch.number) +
      ",'prepared')");
  EXPECT_EQ(Prepare(branch).vote, Vote::kRefused);
  EXPECT_EQ(Balance(), "100");
}

// --- the network goes: the backend does not know, and works on ---

TEST_F(LostTest, Scenario23_DisconnectedBeforePrepare_TheOldBackendIsEndedBeforeTheVote) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    EvidenceLock lock(this);
    vote = PrepareLater(branch);
    (void)Waiting("relation");
    proxy.Disconnect();
    EXPECT_EQ(vote.Get().vote, Vote::kLost);
  }  // now the backend could go on
  EXPECT_FALSE(Eventually([&] { return !Prepared().empty(); }, 0.7));
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest,
       Scenario35_DisconnectedBeforeCommitAlone_TheOldBackendIsEndedBeforeTheAnswer) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  Later<OnePhaseResult> done;
  {
    EvidenceLock lock(this);
    done = CommitAloneLater(branch);
    (void)Waiting("relation");
    proxy.Disconnect();
    EXPECT_EQ(done.Get().outcome, OnePhase::kLost);
  }
  EXPECT_FALSE(Eventually([&] { return Balance() != "100"; }, 0.7));
}

TEST_F(LostTest, DisconnectedWhileItWorks_TheBackendAndItsLocksGoSoon) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT pg_sleep(8)")});
  (void)Waiting("PgSleep");
  proxy.Disconnect();
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_TRUE(Eventually([&] { return WorkBackend().empty(); }, 3));
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).state, FinishState::kDone);
}

// Branches at work must not use up the connections by which branches are ended.
TEST_F(LostTest, AllConnectionsWaitForAPreparedBranch_ItIsCommittedAllTheSame) {
  DatabaseOptions options = Options();
  options.max_connections = 1;
  Open(options);
  const BranchId holder = BeginAndPrepare(kUpdate);
  const BranchId waiter = Begin();
  const auto call = ExecuteLater(waiter, {Stmt(kUpdate)});
  (void)Waiting("transactionid");
  EXPECT_EQ(Commit(holder).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
  EXPECT_EQ(CommitOnePhase(waiter).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "90");
}

// --- the process goes: a new one finds the truth, whatever is still running ---

TEST_F(LostTest, Scenario24_ProcessKilledDuringPrepare_TheNextOneFindsItInDoubt) {
  const auto killed = MakePostgresql(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  killed->Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  const BranchId branch = NextBranch();
  ASSERT_TRUE(killed->Start(branch, {}).ok());
  Call call;
  call.request.__set_sql({Stmt(kUpdate)});
  killed->Execute(branch, call.request, call.reply.callback());
  ASSERT_EQ(call.reply.Get().result.code, Code::OK);
  AnswersFlow(false);
  Later<PrepareResult> vote;
  killed->Prepare(branch, vote.callback());
  (void)Waiting("SyncRep");
  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{branch});
  AnswersFlow(true);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
  killed->Close();
}

TEST_F(LostTest,
       ProcessKilledBeforePrepareIsDone_NothingIsPreparedBehindTheNextOnesBack) {
  const auto killed = MakePostgresql(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  killed->Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  const BranchId branch = NextBranch();
  ASSERT_TRUE(killed->Start(branch, {}).ok());
  Call call;
  call.request.__set_sql({Stmt(kUpdate)});
  killed->Execute(branch, call.request, call.reply.callback());
  ASSERT_EQ(call.reply.Get().result.code, Code::OK);
  Later<OnePhaseResult> outcome;
  {
    EvidenceLock lock(this);
    killed->CommitOnePhase(branch, outcome.callback());
    (void)Waiting("relation");
    Open();  // it ends that backend before it answers anything
  }
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  EXPECT_EQ(outcome.Get().outcome == OnePhase::kCommitted, false);
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  killed->Close();
}

}  // namespace
}  // namespace concordat::participant
