// What becomes of a branch when the connection, the server or the process goes in the
// middle of a verb. Two hooks stop a backend where a test wants it:
//   - a synchronous standby that does not exist: PREPARE, COMMIT and COMMIT PREPARED are
//     done, on disk, and wait for it before they answer;
//   - a lock on the evidence table: the step before them waits.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <thread>

#include "coordinator/base/random.h"
#include "tests/support/socket_proxy.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

using wire::Code;

constexpr char kUpdate[] = "UPDATE account SET balance=balance-5 WHERE id=1";

class LostTest : public PostgresqlTest {
 protected:
  LostTest() {
    UseServer(&OwnServer());
    Sql("CREATE TABLE IF NOT EXISTS probe(x int)");
    Open();
  }
  ~LostTest() override {
    if (server().running()) AnswersFlow(true);
    Close();
  }

  // Shared by these tests, but not with others: its settings change.
  static testing::PostgresqlServer& OwnServer() {
    if (own_ == nullptr) {
      testing::PostgresqlServerOptions options;
      options.max_prepared_transactions = 10;
      own_ = std::make_unique<testing::PostgresqlServer>(options);
    }
    return *own_;
  }
  static void TearDownTestSuite() { own_.reset(); }

  // Whether what is done is also answered.
  void AnswersFlow(bool flow) {
    server().Set("synchronous_standby_names", flow ? "''" : "'nobody'");
    if (!server().running()) return;
    Sql("SELECT pg_reload_conf()");
    // The setting's name is the server's own; the backends read it after the signal.
    EXPECT_TRUE(Eventually(
        [&] { return Sql("SHOW synchronous_standby_names") == (flow ? "" : "nobody"); }));
    // Commits wait only once the checkpointer, too, has read it.
    if (flow) return;
    EXPECT_TRUE(Eventually([&] { return ACommitWaits(); }));
  }
  bool ACommitWaits() {
    std::atomic<bool> over = false;
    bool waits = false;
    std::thread commit([&] {
      (void)TrySql("INSERT INTO probe VALUES(1)");
      over = true;
    });
    Eventually([&] {
      waits = Sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event='SyncRep' AND "
                  "query LIKE 'INSERT INTO probe%'") == "1";
      return waits || over;
    });
    Sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE "
        "'INSERT INTO probe%' AND pid<>pg_backend_pid()");
    commit.join();
    return waits;
  }
  // The pid of a backend of the resource that waits so, once there is one.
  std::string Waiting(const std::string& event) {
    std::string pid;
    EXPECT_TRUE(Eventually([&] {
      pid = Sql("SELECT pid FROM pg_stat_activity WHERE wait_event='" + event +
                "' AND application_name LIKE 'concordat%'");
      return !pid.empty();
    })) << event;
    return pid;
  }
  void Terminate(const std::string& pid) {
    Sql("SELECT pg_terminate_backend(" + pid + ")");
  }
  // All connections of the manager go by way of the proxy.
  void OpenThrough(testing::SocketProxy* proxy) {
    Close();
    OpenAt("postgresql://postgres@/" + Database() + "?host=" + proxy->folder());
  }
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }

  Later<PrepareResult> PrepareLater(const BranchId& branch) {
    Later<PrepareResult> done;
    manager().Prepare(branch, done.callback());
    return done;
  }
  Later<FinishResult> CommitLater(const BranchId& branch) {
    Later<FinishResult> done;
    manager().Commit(branch, done.callback());
    return done;
  }
  Later<OnePhaseResult> CommitAloneLater(const BranchId& branch) {
    Later<OnePhaseResult> done;
    manager().CommitOnePhase(branch, done.callback());
    return done;
  }

  // Holds the evidence table until it is destroyed.
  class EvidenceLock {
   public:
    explicit EvidenceLock(LostTest* test)
        : test_(test), thread_([test] {
            (void)test->TrySql(
                "BEGIN; LOCK TABLE concordat.branches IN EXCLUSIVE MODE; "
                "SELECT pg_sleep(60)");
          }) {
      EXPECT_TRUE(Eventually([&] {
        return test->Sql(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event='PgSleep'") ==
               "1";
      }));
    }
    ~EvidenceLock() {
      if (test_->server().running()) {
        (void)test_->TrySql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
            "'%pg_sleep(60)%' AND pid<>pg_backend_pid()");
      }
      thread_.join();
    }

   private:
    LostTest* const test_;
    std::thread thread_;
  };

 private:
  static std::unique_ptr<testing::PostgresqlServer> own_;
};
std::unique_ptr<testing::PostgresqlServer> LostTest::own_;

// --- between calls ---

TEST_F(LostTest, ConnectionLostBetweenCalls_TheBranchIsOver) {
  const BranchId executed = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_TRUE(Eventually([&] { return WorkBackend().empty(); }));
  const Code::type code = Execute(executed, "SELECT 1").result.code;
  EXPECT_TRUE(code == Code::BRANCH_GONE || code == Code::RESOURCE_ERROR) << code;

  const BranchId prepared = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(Prepare(prepared).vote, Vote::kRefused);

  const BranchId alone = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kRolledBack);

  const BranchId rolled_back = BeginAndRun(kUpdate);
  Terminate(WorkBackend());
  EXPECT_EQ(Rollback(rolled_back).finish, Finish::kDone);
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, ConnectionLostDuringACall_ResourceErrorAndTheBranchIsOver) {
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT pg_sleep(60)")});
  Terminate(Waiting("PgSleep"));
  EXPECT_EQ(call->reply.Get().result.code, Code::RESOURCE_ERROR);
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
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
}

// The vote is not known to anybody: the transaction is rolled back, or PREPARE comes.
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
    EXPECT_EQ((commit ? Commit(branch) : Rollback(branch)).finish, Finish::kDone);
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
  EXPECT_EQ(Prepare(branch).vote, Vote::kRefused);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario23_LostBeforePrepare_Refused) {
  const BranchId branch = BeginAndRun(kUpdate);
  {
    EvidenceLock lock(this);
    Later<PrepareResult> vote = PrepareLater(branch);
    Terminate(Waiting("relation"));
    EXPECT_EQ(vote.Get().vote, Vote::kRefused);
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// The server goes, and stays away for longer than anybody has patience for.
TEST_F(LostTest, Scenario24_ServerKilledDuringPrepare_UnavailableAndThenTheTruth) {
  PostgresqlOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<PrepareResult> vote = PrepareLater(branch);
  (void)Waiting("SyncRep");
  server().Kill();
  EXPECT_EQ(vote.Get().vote, Vote::kUnavailable);
  EXPECT_EQ(Prepare(branch).vote, Vote::kUnavailable);
  EXPECT_EQ(Rollback(branch).finish, Finish::kRetry);
  AnswersFlow(true);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kPrepared; }));
  EXPECT_TRUE(Eventually([&] { return Commit(branch).finish == Finish::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostTest, Scenario23_ServerKilledBeforePrepare_UnavailableAndThenRefused) {
  PostgresqlOptions options = Options();
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
  EXPECT_TRUE(Eventually([&] { return Prepare(branch).vote == Vote::kRefused; }));
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario13_RollbackAfterALostPrepare_NothingStaysPrepared) {
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<PrepareResult> vote = PrepareLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(vote.Get().vote, Vote::kPrepared);
  AnswersFlow(true);
  EXPECT_EQ(Rollback(branch).finish, Finish::kDone);
  EXPECT_TRUE(Prepared().empty());
}

// The server has rolled back by itself when PREPARE fails.
TEST_F(LostTest, Scenario28_PrepareFails_RefusedAndNothingIsLeft) {
  Sql("ALTER TABLE account ADD UNIQUE (id, balance) DEFERRABLE INITIALLY DEFERRED;"
      "CREATE TABLE child(id int PRIMARY KEY, parent int REFERENCES account(id) "
      "DEFERRABLE INITIALLY DEFERRED)");
  const BranchId branch = BeginAndRun("INSERT INTO child VALUES (1, 99)");
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kRefused);
  EXPECT_NE(result.detail.find("23503"), std::string::npos) << result.detail;
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  EXPECT_EQ(Rollback(branch).finish, Finish::kDone);
  const BranchId alone = BeginAndRun("INSERT INTO child VALUES (1, 99)");
  EXPECT_EQ(CommitOnePhase(alone).outcome, OnePhase::kRolledBack);
  EXPECT_EQ(Sql("SELECT count(*) FROM child"), "0");
  EXPECT_EQ(EvidenceRows(), "0");
  // The connection is as good as before.
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).finish, Finish::kDone);
}

// PREPARE TRANSACTION in a transaction that has failed is answered without an error; it
// must not come to that.
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

TEST_F(LostTest, Scenario23_CutOffBeforePrepare_TheOldBackendIsEndedBeforeTheVote) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  Later<PrepareResult> vote;
  {
    EvidenceLock lock(this);
    vote = PrepareLater(branch);
    (void)Waiting("relation");
    proxy.Cut();
    EXPECT_EQ(vote.Get().vote, Vote::kRefused);
  }  // now the backend could go on
  EXPECT_FALSE(Eventually([&] { return !Prepared().empty(); }, 0.7));
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario35_CutOffBeforeCommitAlone_TheOldBackendIsEndedBeforeTheAnswer) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  Later<OnePhaseResult> done;
  {
    EvidenceLock lock(this);
    done = CommitAloneLater(branch);
    (void)Waiting("relation");
    proxy.Cut();
    EXPECT_EQ(done.Get().outcome, OnePhase::kRolledBack);
  }
  EXPECT_FALSE(Eventually([&] { return Balance() != "100"; }, 0.7));
}

TEST_F(LostTest, CutOffWhileItWorks_TheBackendAndItsLocksGoSoon) {
  testing::SocketProxy proxy(server().SocketPath(), ".s.PGSQL.5432");
  OpenThrough(&proxy);
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("SELECT pg_sleep(8)")});
  (void)Waiting("PgSleep");
  proxy.Cut();
  EXPECT_EQ(call->reply.Get().result.code, Code::RESOURCE_ERROR);
  EXPECT_TRUE(Eventually([&] { return WorkBackend().empty(); }, 3));
  EXPECT_EQ(Commit(BeginAndPrepare(kUpdate)).finish, Finish::kDone);
}

// Work must not use up what settles it.
TEST_F(LostTest, AllConnectionsWaitForAPreparedBranch_ItIsCommittedAllTheSame) {
  PostgresqlOptions options = Options();
  options.max_connections = 1;
  Open(options);
  const BranchId holder = BeginAndPrepare(kUpdate);
  const BranchId waiter = Begin();
  const auto call = ExecuteLater(waiter, {Stmt(kUpdate)});
  (void)Waiting("transactionid");
  EXPECT_EQ(Commit(holder).finish, Finish::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
  EXPECT_EQ(CommitOnePhase(waiter).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(), "90");
}

// --- the process goes: a new one finds the truth, whatever is still running ---

TEST_F(LostTest, Scenario24_ProcessKilledDuringPrepare_TheNextOneFindsItInDoubt) {
  PostgresqlResourceManager killed(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  killed.Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  const BranchId branch = NextBranch();
  ASSERT_TRUE(killed.Start(branch, {}).ok());
  Call call;
  call.request.__set_sql({Stmt(kUpdate)});
  killed.Execute(branch, call.request, call.reply.callback());
  ASSERT_EQ(call.reply.Get().result.code, Code::OK);
  AnswersFlow(false);
  Later<PrepareResult> vote;
  killed.Prepare(branch, vote.callback());
  (void)Waiting("SyncRep");
  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{branch});
  AnswersFlow(true);
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
  killed.Close();
}

TEST_F(LostTest,
       ProcessKilledBeforePrepareIsDone_NothingIsPreparedBehindTheNextOnesBack) {
  PostgresqlResourceManager killed(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  killed.Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  const BranchId branch = NextBranch();
  ASSERT_TRUE(killed.Start(branch, {}).ok());
  Call call;
  call.request.__set_sql({Stmt(kUpdate)});
  killed.Execute(branch, call.request, call.reply.callback());
  ASSERT_EQ(call.reply.Get().result.code, Code::OK);
  Later<OnePhaseResult> outcome;
  {
    EvidenceLock lock(this);
    killed.CommitOnePhase(branch, outcome.callback());
    (void)Waiting("relation");
    Open();  // it ends that backend before it answers anything
  }
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  EXPECT_EQ(outcome.Get().outcome == OnePhase::kCommitted, false);
  EXPECT_EQ(Balance(), "100");
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  killed.Close();
}

// --- commit ---

TEST_F(LostTest, Scenario25_CommittedAndNotAnswered_DoneByTheEvidence) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done = CommitLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  AnswersFlow(true);
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostTest, Scenario25_ServerKilledDuringCommit_RetryAndThenDone) {
  PostgresqlOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done = CommitLater(branch);
  (void)Waiting("SyncRep");
  server().Kill();
  EXPECT_EQ(done.Get().finish, Finish::kRetry);
  EXPECT_EQ(Commit(branch).finish, Finish::kRetry);
  AnswersFlow(true);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Commit(branch).finish == Finish::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

// The backend has the COMMIT PREPARED in its socket, and is told to end before it reads.
TEST_F(LostTest, Scenario27_BackendEndedBeforeItCommits_TriedAgainUntilDone) {
  PostgresqlOptions options = Options();
  options.settle_connections = 1;
  Open(options);
  const BranchId branch = BeginAndPrepare(kUpdate);
  EXPECT_EQ(LookUp(branch), Evidence::kPrepared);  // the settling connection is there
  const std::string pid =
      Sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'concordat%' AND "
          "query LIKE '%concordat.branches%' AND query LIKE 'SELECT how%'");
  ASSERT_FALSE(pid.empty());
  ASSERT_EQ(kill(std::stoi(pid), SIGSTOP), 0);
  Later<FinishResult> done = CommitLater(branch);
  EXPECT_FALSE(done.WaitFor(Duration::Millis(50)));
  Terminate(pid);
  ASSERT_EQ(kill(std::stoi(pid), SIGCONT), 0);
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostTest, Scenario25_RolledBackAndNotAnswered_Done) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done;
  manager().Rollback(branch, done.callback());
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().finish, Finish::kDone);
  AnswersFlow(true);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// --- one phase ---

TEST_F(LostTest, Scenario35_CommittedAloneAndNotAnswered_CommittedByTheEvidence) {
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  AnswersFlow(true);
  EXPECT_EQ(Balance(), "95");
  EXPECT_EQ(Rollback(branch).finish, Finish::kHeuristicCommit);
}

TEST_F(LostTest, Scenario35_LostBeforeCommitAlone_RolledBack) {
  const BranchId branch = BeginAndRun(kUpdate);
  EvidenceLock lock(this);
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  Terminate(Waiting("relation"));
  EXPECT_EQ(done.Get().outcome, OnePhase::kRolledBack);
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostTest, Scenario35_ServerKilledDuringCommitAlone_UnknownUntilTheEvidenceIsRead) {
  PostgresqlOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  (void)Waiting("SyncRep");
  server().Kill();
  EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
  EXPECT_EQ(LookUp(branch), Evidence::kUnknown);
  AnswersFlow(true);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return LookUp(branch) == Evidence::kCommittedAlone; }));
  EXPECT_EQ(Balance(), "95");
}

// --- settled by hand, lost for good ---

TEST_F(LostTest, Scenario26_NotThereAndNoEvidence_IsAnAlarmNotAnAcknowledgement) {
  const BranchId rolled_back = BeginAndPrepare(kUpdate);
  Sql("ROLLBACK PREPARED '" + Gid(rolled_back) + "'");
  const FinishResult result = Commit(rolled_back);
  EXPECT_EQ(result.finish, Finish::kHeuristicRollback);
  EXPECT_NE(result.detail.find(Gid(rolled_back)), std::string::npos) << result.detail;
  EXPECT_EQ(Commit(NextBranch()).finish, Finish::kHeuristicHazard);
}

TEST_F(LostTest, Scenario30_CommittedByHand_HeuristicOnlyWhenItWasToRollBack) {
  BranchId branch = BeginAndPrepare(kUpdate);
  Sql("COMMIT PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  branch = BeginAndPrepare(kUpdate);
  Sql("COMMIT PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Rollback(branch).finish, Finish::kHeuristicCommit);
}

TEST_F(LostTest, Scenario30_RolledBackByHand_FoundAfterARestartToo) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Open();
  ASSERT_EQ(recovered_, std::vector<BranchId>{branch});
  Sql("ROLLBACK PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Commit(branch).finish, Finish::kHeuristicRollback);
}

TEST_F(LostTest, AnotherRolesPreparedTransaction_IsKeptAndSaidSo) {
  Sql("CREATE ROLE weak LOGIN; GRANT USAGE ON SCHEMA concordat TO weak; GRANT ALL ON "
      "ALL TABLES IN SCHEMA concordat TO weak; GRANT ALL ON account TO weak");
  const BranchId branch = BeginAndPrepare(kUpdate);
  Close();
  std::string url = Url();
  url.replace(url.find("postgres@"), 9, "weak@");
  PostgresqlResourceManager weak(url, Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  weak.Recover(kCluster, served.callback());
  ASSERT_EQ(*served.Get(), std::vector<BranchId>{branch});
  Later<FinishResult> done;
  weak.Commit(branch, done.callback());
  const FinishResult result = done.Get();
  EXPECT_EQ(result.finish, Finish::kRetry);
  EXPECT_NE(result.detail.find("permission"), std::string::npos) << result.detail;
  weak.Close();
  Open();
  EXPECT_EQ(Commit(branch).finish, Finish::kDone);
  Sql("DROP OWNED BY weak; DROP ROLE weak");
}

TEST_F(LostTest, Scenario34_SlotsExhausted_RefusedAndTheRestGoesOn) {
  std::vector<BranchId> held;
  for (int id = 1; id <= 10; ++id) {
    held.push_back(
        BeginAndPrepare("UPDATE account SET balance=1 WHERE id=" + std::to_string(id)));
  }
  const BranchId late = BeginAndRun("INSERT INTO account VALUES (11,0)");
  const PrepareResult refused = Prepare(late);
  EXPECT_EQ(refused.vote, Vote::kRefused);
  EXPECT_NE(refused.detail.find("max_prepared_transactions"), std::string::npos)
      << refused.detail;
  EXPECT_EQ(Sql("SELECT count(*) FROM account"), "10");
  EXPECT_EQ(Rollback(held.back()).finish, Finish::kDone);
  held.pop_back();
  const BranchId next = BeginAndPrepare("INSERT INTO account VALUES (11,0)");
  EXPECT_EQ(Rollback(next).finish, Finish::kDone);
  for (const BranchId& branch : held) EXPECT_EQ(Rollback(branch).finish, Finish::kDone);
}

// --- late messages ---

TEST_F(LostTest, Scenario17_LateCommitAndRollback_DoNothingToTheNextBranch) {
  PostgresqlOptions options = Options();
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

}  // namespace
}  // namespace concordat::participant
