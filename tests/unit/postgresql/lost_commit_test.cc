// Connections are lost during a commit or a rollback, and branches are ended by others.
// See lost_fixture.h.
#include "tests/support/database_tests/late_messages.h"
#include "tests/support/database_tests/lost_alone.h"
#include "tests/unit/postgresql/lost_fixture.h"

namespace concordat::participant {
namespace {

class LostCommitTest : public LateMessages<LostTest, DatabaseOptions> {};

// --- commit ---

TEST_F(LostCommitTest, Scenario25_CommittedAndNotAnswered_DoneByTheEvidence) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done = CommitLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  AnswersFlow(true);
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostCommitTest, Scenario25_ServerKilledDuringCommit_RetryAndThenDone) {
  DatabaseOptions options = Options();
  options.settle_patience = Duration::Millis(200);
  Open(options);
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done = CommitLater(branch);
  (void)Waiting("SyncRep");
  server().Kill();
  EXPECT_EQ(done.Get().state, FinishState::kRetry);
  EXPECT_EQ(Commit(branch).state, FinishState::kRetry);
  AnswersFlow(true);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Commit(branch).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

// The backend has the COMMIT PREPARED in its socket, and is told to end before it reads.
TEST_F(LostCommitTest, Scenario27_BackendEndedBeforeItCommits_TriedAgainUntilDone) {
  DatabaseOptions options = Options();
  options.settle_connections = 1;
  Open(options);
  const BranchId branch = BeginAndPrepare(kUpdate);
  EXPECT_EQ(LookUp(branch), Evidence::kPrepared);  // makes the connection for settling
  const std::string pid =
      Sql("SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'concordat%' AND "
          "query LIKE '%concordat.branches%' AND query LIKE 'SELECT how%'");
  ASSERT_FALSE(pid.empty());
  ASSERT_EQ(kill(std::stoi(pid), SIGSTOP), 0);
  Later<FinishResult> done = CommitLater(branch);
  EXPECT_FALSE(done.WaitFor(Duration::Millis(50)));
  Terminate(pid);
  ASSERT_EQ(kill(std::stoi(pid), SIGCONT), 0);
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
}

TEST_F(LostCommitTest, Scenario25_RolledBackAndNotAnswered_Done) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  AnswersFlow(false);
  Later<FinishResult> done;
  manager().Rollback(branch, done.callback());
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  AnswersFlow(true);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// --- one phase ---

TEST_F(LostCommitTest, Scenario35_CommittedAloneAndNotAnswered_CommittedByTheEvidence) {
  const BranchId branch = BeginAndRun(kUpdate);
  AnswersFlow(false);
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  Terminate(Waiting("SyncRep"));
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  AnswersFlow(true);
  EXPECT_EQ(Balance(), "95");
  EXPECT_EQ(Rollback(branch).state, FinishState::kHeuristicCommit);
}

TEST_F(LostCommitTest, Scenario35_LostBeforeCommitAlone_RolledBack) {
  const BranchId branch = BeginAndRun(kUpdate);
  EvidenceLock lock(this);
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  Terminate(Waiting("relation"));
  EXPECT_EQ(done.Get().outcome, OnePhase::kLost);
  EXPECT_EQ(Balance(), "100");
}

TEST_F(LostCommitTest,
       Scenario35_ServerKilledDuringCommitAlone_UnknownUntilTheEvidenceIsRead) {
  DatabaseOptions options = Options();
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

// The branch's client was told UNKNOWN, and never comes back.
using LostAloneTest = LostAlone<LostTest, DatabaseOptions>;

TEST_F(LostAloneTest, Scenario98_NobodyAsksForACommitAlone_FoundOutAndLetGo) {
  for (const bool committed : {true, false}) {
    Open(OnePlace());
    const BranchId branch = BeginAndRun(kUpdate);
    if (committed) {
      AnswersFlow(false);
      Later<OnePhaseResult> done = CommitAloneLater(branch);
      (void)Waiting("SyncRep");
      server().Kill();
      EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
      AnswersFlow(true);
    } else {
      EvidenceLock lock(this);
      Later<OnePhaseResult> done = CommitAloneLater(branch);
      (void)Waiting("relation");
      server().Kill();
      EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
    }
    ExpectHeld();
    server().Start();
    ExpectLetGo(branch, committed ? Evidence::kCommittedAlone : Evidence::kNone);
  }
}

// --- settled by hand, lost for good ---

TEST_F(LostCommitTest, Scenario26_NotThereAndNoEvidence_IsAnAlarmNotAnAcknowledgement) {
  const BranchId rolled_back = BeginAndPrepare(kUpdate);
  Sql("ROLLBACK PREPARED '" + Gid(rolled_back) + "'");
  const FinishResult result = Commit(rolled_back);
  EXPECT_EQ(result.state, FinishState::kHeuristicRollback);
  EXPECT_NE(result.detail.find(Gid(rolled_back)), std::string::npos) << result.detail;
  EXPECT_EQ(Commit(NextBranch()).state, FinishState::kHeuristicHazard);
}

TEST_F(LostCommitTest, Scenario30_CommittedByHand_HeuristicOnlyWhenItWasToRollBack) {
  BranchId branch = BeginAndPrepare(kUpdate);
  Sql("COMMIT PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  branch = BeginAndPrepare(kUpdate);
  Sql("COMMIT PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Rollback(branch).state, FinishState::kHeuristicCommit);
}

TEST_F(LostCommitTest, Scenario30_RolledBackByHand_FoundAfterARestartToo) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Open();
  ASSERT_EQ(recovered_, std::vector<BranchId>{branch});
  Sql("ROLLBACK PREPARED '" + Gid(branch) + "'");
  EXPECT_EQ(Commit(branch).state, FinishState::kHeuristicRollback);
}

TEST_F(LostCommitTest, AnotherRolesPreparedTransaction_IsKeptAndSaidSo) {
  MakeRole("weak");
  const BranchId branch = BeginAndPrepare(kUpdate);
  Close();
  const auto weak = MakePostgresql(UrlOf("weak"), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  weak->Recover(kCluster, served.callback());
  ASSERT_EQ(*served.Get(), std::vector<BranchId>{branch});
  Later<FinishResult> done;
  weak->Commit(branch, done.callback());
  const FinishResult result = done.Get();
  EXPECT_EQ(result.state, FinishState::kRetry);
  EXPECT_NE(result.detail.find("permission"), std::string::npos) << result.detail;
  weak->Close();
  Open();
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
}

TEST_F(LostCommitTest, Scenario34_SlotsExhausted_RefusedAndTheRestGoesOn) {
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
  EXPECT_EQ(Rollback(held.back()).state, FinishState::kDone);
  held.pop_back();
  const BranchId next = BeginAndPrepare("INSERT INTO account VALUES (11,0)");
  EXPECT_EQ(Rollback(next).state, FinishState::kDone);
  for (const BranchId& branch : held)
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// --- late messages ---

TEST_F(LostCommitTest, Scenario17_LateCommitAndRollback_DoNothingToTheNextBranch) {
  ComeLate();
}

}  // namespace
}  // namespace concordat::participant
