// What becomes of a branch when the connection, the server or the process goes in the
// middle of a verb. Three hooks stop a session where a test wants it:
//   - a proxy that holds the answers back: the verb is done, and nobody hears of it;
//   - a lock on the evidence table: the step before XA PREPARE waits;
//   - FLUSH TABLES WITH READ LOCK: XA COMMIT waits.
// All with the binary log off and on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/socket_proxy.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using wire::Code;

constexpr char kUpdate[] = "UPDATE account SET balance=balance-5 WHERE id=1";

class LostTest : public MariadbTest, public ::testing::WithParamInterface<bool> {
 protected:
  LostTest() {
    UseServer(&OwnServer());
    proxy_ = std::make_unique<testing::SocketProxy>(server().SocketPath());
    Reopen();
  }
  ~LostTest() override { Close(); }
  static void TearDownTestSuite() {
    for (auto& server : own_) server.reset();
  }

  // One for each way of logging.
  static testing::MariadbServer& OwnServer() {
    std::unique_ptr<testing::MariadbServer>& server = own_[GetParam() ? 1 : 0];
    if (server == nullptr) {
      testing::MariadbServerOptions options;
      options.binlog = GetParam();
      // Nothing is flushed but what somebody flushes.
      options.settings = {"--innodb-flush-log-at-timeout=2700"};
      server = std::make_unique<testing::MariadbServer>(options);
    }
    return *server;
  }
  // All connections of the manager go by way of the proxy.
  void Reopen(Duration patience = Duration::Seconds(5)) {
    MariadbOptions options = Options();
    options.settle_patience = patience;
    const auto recovered =
        TryOpenAt(testing::MariadbServer::UrlAt(proxy_->path(), Database()), options);
    ASSERT_TRUE(recovered.ok()) << recovered.status();
    recovered_ = *recovered;
  }
  // The work session's, once there is one; for hooks that need it idle.
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }
  bool Waits(const std::string& state) {
    return Eventually([&] {
      return Sql(absl::StrCat("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                              "db='",
                              Database(), "' AND state LIKE '%", state, "%'")) != "0";
    });
  }
  uint64_t Flushes() {
    return std::stoull(
        Sql("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE "
            "VARIABLE_NAME='COM_FLUSH'"));
  }
  // The verb is done on the server, as `done` finds out, and then the line is cut.
  void CutWhen(const std::function<bool()>& done) {
    EXPECT_TRUE(Eventually(done));
    proxy_->Cut();
  }

  // A session that holds a lock until it is destroyed.
  class Hold {
   public:
    Hold(LostTest* test, const std::string& lock)
        : test_(test),
          thread_([test, lock] { (void)test->TrySql(lock + "; SELECT SLEEP(60)"); }) {
      EXPECT_TRUE(test->Waits("User sleep"));
      id_ = test->Sql(
          "SELECT id FROM information_schema.processlist WHERE state='User sleep'");
    }
    ~Hold() {
      if (test_->server().running()) test_->KillSession(id_);
      thread_.join();
    }

   private:
    LostTest* const test_;
    std::thread thread_;
    std::string id_;
  };
  static constexpr char kEvidence[] = "LOCK TABLES concordat.branches WRITE";
  static constexpr char kCommits[] = "FLUSH TABLES WITH READ LOCK";

  std::unique_ptr<testing::SocketProxy> proxy_;

 private:
  static std::unique_ptr<testing::MariadbServer> own_[2];
};
std::unique_ptr<testing::MariadbServer> LostTest::own_[2];

// --- between calls ---

TEST_P(LostTest, ConnectionLostBetweenCalls_TheBranchIsOver) {
  const BranchId executed = BeginAndRun(kUpdate);
  KillAllSessions();
  EXPECT_TRUE(Eventually([&] {
    const Code::type code = Execute(executed, "SELECT 1").result.code;
    return code == Code::BRANCH_GONE || code == Code::RESOURCE_ERROR;
  }));
  EXPECT_TRUE(Eventually([&] { return manager().Start(NextBranch(), {}).ok(); }));
  const BranchId prepared = BeginAndRun(kUpdate);
  const BranchId alone = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  const BranchId rolled_back = BeginAndRun("UPDATE account SET balance=1 WHERE id=3");
  KillAllSessions();
  EXPECT_EQ(Prepare(prepared).vote, Vote::kRefused);
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kRolledBack);
  EXPECT_EQ(Rollback(rolled_back).finish, Finish::kDone);
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "1000");
}

TEST_P(LostTest, ConnectionLostDuringACall_ResourceErrorAndTheBranchIsOver) {
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT SLEEP(60)")});
  EXPECT_TRUE(Waits("User sleep"));
  KillSession(
      Sql("SELECT id FROM information_schema.processlist WHERE state='User sleep'"));
  EXPECT_EQ(call->reply.Get().result.code, Code::RESOURCE_ERROR);
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
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
}

// The vote is not known to anybody: the transaction is rolled back, or PREPARE comes.
TEST_P(LostTest, Scenario24_PreparedByItsCallAndNotAnswered_FoundWhenItIsToEnd) {
  for (const bool commit : {false, true}) {
    const BranchId branch = Begin();
    EXPECT_TRUE(Eventually([&] {  // the connections are there again
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
    EXPECT_EQ((commit ? Commit(branch) : Rollback(branch)).finish, Finish::kDone);
    EXPECT_TRUE(Prepared().empty());
    EXPECT_EQ(Balance(), commit ? "95" : "100");
  }
}

// The server does not know that the client has gone, and works on when it can.
TEST_P(LostTest, Scenario23_CutOffBeforePrepare_TheOldSessionIsEndedBeforeTheVote) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    Hold lock(this, kEvidence);
    vote = PrepareLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    proxy_->Cut();
    EXPECT_EQ(vote.Get().vote, Vote::kUnavailable) << "the evidence is locked, too";
  }
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kRefused; }));
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
  proxy_->Cut();
  EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  EXPECT_EQ(Rollback(branch).finish, Finish::kRetry);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kPrepared; }));
  EXPECT_TRUE(Eventually([&] { return Commit(branch).finish == Finish::kDone; }));
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
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kRefused; }));
  EXPECT_EQ(Balance(), "100");
}

// A vote that was given outlives the server, again and again, and so does a commit.
// InnoDB does not flush XA ROLLBACK: such a branch may be there again, prepared; it is
// found by the next look, asks, and is rolled back once more.
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
        return (commit ? Commit(branch) : Rollback(branch)).finish == Finish::kDone;
      }));
    }
  }
  for (const BranchId& branch : rolled_back) {
    EXPECT_EQ(Rollback(branch).finish, Finish::kDone);
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

// Somebody's KILL QUERY in the middle of XA PREPARE, or an engine that cannot.
TEST_P(LostTest, Scenario28_PrepareInterrupted_TheVoteIsTheTruth) {
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    Hold lock(this, kEvidence);
    vote = PrepareLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    (void)TrySql("KILL QUERY " + WorkSession());
    EXPECT_EQ(vote.Get().vote, Vote::kRefused);
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).finish, Finish::kDone);
}

// Work must not use up what settles it.
TEST_P(LostTest, AllConnectionsWaitForAPreparedBranch_ItIsCommittedAllTheSame) {
  MariadbOptions options = Options();
  options.max_connections = 1;
  Open(options);
  const BranchId holder = BeginAndPrepare(kUpdate);
  const BranchId waiter = Begin();
  const auto call = ExecuteLater(waiter, {Stmt(kUpdate)});
  EXPECT_TRUE(Eventually([&] { return manager().Stats().detached == 1; }));
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(100)));
  EXPECT_EQ(Commit(holder).finish, Finish::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
  EXPECT_EQ(CommitOnePhase(waiter).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "90");
}

// --- commit ---

TEST_P(LostTest, Scenario25_CommittedAndNotAnswered_DoneByTheEvidence) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswers();
  Later<FinishResult> done = CommitLater(branch);
  CutWhen([&] { return Balance() == "95"; });
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  EXPECT_EQ(EvidenceRows(), "1");
}

// The session that commits is gone before it has flushed; an operator's session, which
// never flushes, stands for it. XAER_NOTA, then the evidence, and the loss of power: the
// server loses what its engine's log has not on disk.
TEST_P(LostTest, Scenario93_CommittedButNotFlushed_FlushedBeforeItIsDone) {
  for (const bool commit : {true, false}) {
    const BranchId branch = BeginAndPrepare(kUpdate);
    Reopen();  // as long as our session has it, nobody else can
    Sql(absl::StrCat("XA COMMIT ", XidOf(branch)));
    const uint64_t flushes = Flushes();
    if (commit) {
      EXPECT_EQ(Commit(branch).finish, Finish::kDone);
    } else {
      EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
    }
    EXPECT_EQ(Flushes(), flushes + 1);
    server().Kill();
    server().Start();
    EXPECT_TRUE(Prepared().empty());
    EXPECT_EQ(Balance(), commit ? "95" : "90");
    Reopen();
  }
}

TEST_P(LostTest, Scenario93_OnePhaseAnswerLost_FlushedBeforeItIsToldCommitted) {
  const BranchId branch = BeginAndRun(kUpdate);
  const uint64_t before = Flushes() + (GetParam() ? 1 : 0);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  CutWhen([&] { return Balance() == "95" && Flushes() == before; });
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Flushes(), before + 1);
}

TEST_P(LostTest, Scenario25_ServerKilledAfterCommit_RetryAndThenDone) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswers();
  Later<FinishResult> done = CommitLater(branch);
  EXPECT_TRUE(Eventually([&] { return Balance() == "95"; }));
  server().Kill();
  proxy_->Cut();
  EXPECT_EQ(done.Get().finish, Finish::kRetry);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Commit(branch).finish == Finish::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

// The session that holds the branch is killed while its XA COMMIT waits.
TEST_P(LostTest, Scenario27_SessionKilledInXaCommit_TriedAgainUntilDone) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Later<FinishResult> done;
  {
    Hold lock(this, kCommits);
    done = CommitLater(branch);
    std::string id;
    EXPECT_TRUE(Eventually([&] {
      id = Sql(
          "SELECT id FROM information_schema.processlist WHERE info LIKE 'XA COMMIT%'");
      return !id.empty();
    }));
    KillSession(id);
    EXPECT_FALSE(done.WaitFor(Duration::Millis(100)));
    EXPECT_EQ(Prepared().size(), 1u);
  }
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  EXPECT_GT(manager().Stats().lost_ends, 0u);
  EXPECT_EQ(Balance(), "95");
}

// The line is cut, and the old session still waits to commit: NOTA for everybody else.
TEST_P(LostTest, Scenario26_CutOffInXaCommit_NotaIsNoProof) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Later<FinishResult> done;
  {
    Hold lock(this, kCommits);
    done = CommitLater(branch);
    EXPECT_TRUE(Eventually([&] {
      return Sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE "
                 "'XA COMMIT%'") == "1";
    }));
    proxy_->Cut();
    EXPECT_FALSE(done.WaitFor(Duration::Millis(200)));
  }
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
}

// --- one phase ---

TEST_P(LostTest, Scenario35_CommittedAloneAndNotAnswered_CommittedByTheEvidence) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  CutWhen([&] { return Balance() == "95"; });
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Rollback(branch).finish, Finish::kHeuristicCommit);
}

TEST_P(LostTest, Scenario35_ServerKilledAfterCommitAlone_UnknownUntilTheEvidenceIsRead) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  EXPECT_TRUE(Eventually([&] { return Balance() == "95"; }));
  server().Kill();
  proxy_->Cut();
  EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
  EXPECT_EQ(LookUp(branch), Evidence::kUnknown);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return LookUp(branch) == Evidence::kCommittedAlone; }));
  EXPECT_EQ(Balance(), "95");
}

// --- the process goes: the next one finds the truth ---

TEST_P(LostTest, Scenario24_ProcessGoneDuringPrepare_TheNextOneFindsItInDoubt) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  (void)PrepareLater(branch);
  EXPECT_TRUE(Eventually([&] { return !Prepared().empty(); }));
  // The server does not know that the process is gone, and its session has the branch.
  MariadbResourceManager next(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> recovered;
  next.Recover(kCluster, recovered.callback());
  EXPECT_EQ(*recovered.Get(), std::vector<BranchId>{branch});
  Later<FinishResult> done;
  next.Commit(branch, done.callback());
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
  next.Close();
}

// --- settled by hand ---

TEST_P(LostTest, Scenario26And30_SettledByHand_HeuristicWhereItDiffers) {
  BranchId branch = BeginAndPrepare(kUpdate);
  const auto by_hand = [&](const char* verb) {
    Open();  // as long as our session has it, nobody else can
    EXPECT_EQ(recovered_, std::vector<BranchId>{branch});
    Sql(absl::StrCat("XA ", verb, " ", XidOf(branch)));
  };
  by_hand("ROLLBACK");
  const FinishResult result = Commit(branch);
  EXPECT_EQ(result.finish, Finish::kHeuristicRollback);
  EXPECT_THAT(result.detail, ::testing::HasSubstr(ToString(branch)));
  EXPECT_EQ(Commit(NextBranch()).finish, Finish::kHeuristicHazard);
  branch = BeginAndPrepare(kUpdate);
  by_hand("COMMIT");
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  branch = BeginAndPrepare(kUpdate);
  by_hand("COMMIT");
  EXPECT_EQ(Rollback(branch).finish, Finish::kHeuristicCommit);
}

// --- late messages ---

TEST_P(LostTest, Scenario17_LateCommitAndRollback_DoNothingToTheNextBranch) {
  MariadbOptions options = Options();
  options.max_connections = 1;
  options.settle_connections = 1;
  Open(options);
  const BranchId committed = BeginAndPrepare(kUpdate);
  EXPECT_EQ(Commit(committed).finish, Finish::kDone);
  const BranchId rolled_back = BeginAndPrepare(kUpdate);
  EXPECT_EQ(Rollback(rolled_back).finish, Finish::kDone);
  const BranchId next = BeginAndRun(kUpdate);
  EXPECT_EQ(Commit(committed).finish, Finish::kDone);
  EXPECT_EQ(Rollback(rolled_back).finish, Finish::kDone);
  EXPECT_EQ(Rollback(committed).finish, Finish::kHeuristicCommit);
  Query(next, "SELECT 1");
  EXPECT_EQ(Prepare(next).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(committed).finish, Finish::kDone);
  EXPECT_EQ(Rollback(rolled_back).finish, Finish::kDone);
  EXPECT_EQ(LookUp(next), Evidence::kPrepared);
  EXPECT_EQ(Commit(next).finish, Finish::kDone);
  EXPECT_EQ(Balance(), "90");
}

INSTANTIATE_TEST_SUITE_P(Binlog, LostTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "On" : "Off"; });

}  // namespace
}  // namespace concordat::participant
