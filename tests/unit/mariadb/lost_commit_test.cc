// Connections are lost during a commit, and branches are ended by others. See
// lost_fixture.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/database_tests/late_messages.h"
#include "tests/support/database_tests/lost_alone.h"
#include "tests/unit/mariadb/lost_fixture.h"

namespace concordat::participant {
namespace {

class LostCommitTest : public LateMessages<LostTest, MariadbOptions> {};

// --- commit ---

TEST_P(LostCommitTest, Scenario25_CommittedAndNotAnswered_DoneByTheEvidence) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswers();
  Later<FinishResult> done = CommitLater(branch);
  CutWhen([&] { return Balance() == "95"; });
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(EvidenceRows(), "1");
}

// The session that commits is gone before it has flushed. In this test it is an
// operator's session, which never flushes. The answers are XAER_NOTA, and then the
// evidence. Then the power is lost, and the server loses what its engine's log has not on
// disk.
TEST_P(LostCommitTest, Scenario93_CommittedButNotFlushed_FlushedBeforeItIsDone) {
  for (const bool commit : {true, false}) {
    const BranchId branch = BeginAndPrepare(kUpdate);
    Reopen();  // while our session lives, no other session can end the branch
    Sql(absl::StrCat("XA COMMIT ", XidOf(branch)));
    const uint64_t flushes = Flushes();
    if (commit) {
      EXPECT_EQ(Commit(branch).state, FinishState::kDone);
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

TEST_P(LostCommitTest, Scenario93_OnePhaseAnswerLost_FlushedBeforeItIsToldCommitted) {
  const BranchId branch = BeginAndRun(kUpdate);
  const uint64_t before = Flushes() + (GetParam() ? 1 : 0);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  CutWhen([&] { return Balance() == "95" && Flushes() == before; });
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Flushes(), before + 1);
}

TEST_P(LostCommitTest, Scenario25_ServerKilledAfterCommit_RetryAndThenDone) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswers();
  Later<FinishResult> done = CommitLater(branch);
  EXPECT_TRUE(Eventually([&] { return Balance() == "95"; }));
  server().Kill();
  proxy_->Disconnect();
  EXPECT_EQ(done.Get().state, FinishState::kRetry);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return Commit(branch).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "95");
}

// The session that holds the branch is killed while its XA COMMIT waits.
TEST_P(LostCommitTest, Scenario27_SessionKilledInXaCommit_TriedAgainUntilDone) {
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
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_GT(manager().Stats().lost_ends, 0u);
  EXPECT_EQ(Balance(), "95");
}

// The connection is cut, and the old session still waits to commit. All other sessions
// get XAER_NOTA.
TEST_P(LostCommitTest, Scenario26_DisconnectedInXaCommit_NotaIsNoProof) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Later<FinishResult> done;
  {
    Hold lock(this, kCommits);
    done = CommitLater(branch);
    EXPECT_TRUE(Eventually([&] {
      return Sql("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE "
                 "'XA COMMIT%'") == "1";
    }));
    proxy_->Disconnect();
    EXPECT_FALSE(done.WaitFor(Duration::Millis(200)));
  }
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
}

// Trial 28: when there was no connection to be had, nothing is lost.
TEST_P(LostCommitTest, AllSettlingConnectionsInUse_SaidSo) {
  std::vector<BranchId> branches = {
      BeginAndPrepare(kUpdate),
      BeginAndPrepare("UPDATE account SET balance=1 WHERE id=2")};
  MariadbOptions options = Options();
  options.settle_connections = 1;
  options.settle_patience = Duration::Millis(300);
  ReopenWith(options);
  {
    Hold lock(this, kCommits);
    Later<FinishResult> first = CommitLater(branches[0]);
    EXPECT_TRUE(Waits("backup lock"));
    const FinishResult second = Commit(branches[1]);
    EXPECT_EQ(second.state, FinishState::kRetry);
    EXPECT_THAT(second.detail, ::testing::StartsWith("all 1 connections were in use"));
    (void)first.Get();
  }
  for (const BranchId& branch : branches) {
    EXPECT_TRUE(Eventually([&] { return Commit(branch).state == FinishState::kDone; }));
  }
}

// --- one phase ---

TEST_P(LostCommitTest, Scenario35_CommittedAloneAndNotAnswered_CommittedByTheEvidence) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  CutWhen([&] { return Balance() == "95"; });
  EXPECT_EQ(done.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Rollback(branch).state, FinishState::kHeuristicCommit);
}

TEST_P(LostCommitTest,
       Scenario35_ServerKilledAfterCommitAlone_UnknownUntilTheEvidenceIsRead) {
  Reopen(Duration::Millis(200));
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswers();
  Later<OnePhaseResult> done = CommitAloneLater(branch);
  EXPECT_TRUE(Eventually([&] { return Balance() == "95"; }));
  server().Kill();
  proxy_->Disconnect();
  EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
  EXPECT_EQ(LookUp(branch), Evidence::kUnknown);
  server().Start();
  EXPECT_TRUE(Eventually([&] { return LookUp(branch) == Evidence::kCommittedAlone; }));
  EXPECT_EQ(Balance(), "95");
}

using LostAloneTest = LostAlone<LostTest, MariadbOptions>;

TEST_P(LostAloneTest, Scenario98_NobodyAsksForACommitAlone_FoundOutAndLetGo) {
  for (const bool committed : {true, false}) {
    ReopenWith(OnePlace());
    const BranchId branch = BeginAndRun(kUpdate);
    if (committed) {
      proxy_->HoldAnswers();
      Later<OnePhaseResult> done = CommitAloneLater(branch);
      EXPECT_TRUE(Eventually([&] { return Balance() == "95"; }));
      server().Kill();
      proxy_->Disconnect();
      EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
    } else {
      Hold lock(this, kEvidence);
      Later<OnePhaseResult> done = CommitAloneLater(branch);
      EXPECT_TRUE(Waits("metadata lock"));
      server().Kill();
      EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
    }
    ExpectHeld();
    server().Start();
    ExpectLetGo(branch, committed ? Evidence::kCommittedAlone : Evidence::kNone);
    EXPECT_EQ(Balance(), "95");
  }
}

// The server lives and has not noticed that the connection is lost. The old session would
// hold the branch's locks.
TEST_P(LostAloneTest, Scenario98_DisconnectedInACommitAlone_ItsLocksAreLetGo) {
  ReopenWith(OnePlace());
  const BranchId branch = BeginAndRun(kUpdate);
  {
    Hold lock(this, kEvidence);
    Later<OnePhaseResult> done = CommitAloneLater(branch);
    EXPECT_TRUE(Waits("metadata lock"));
    proxy_->Disconnect();
    EXPECT_EQ(done.Get().outcome, OnePhase::kUnknown);
    ExpectHeld();
  }
  ExpectLetGo(branch, Evidence::kNone);
  Sql("UPDATE account SET balance=balance+1 WHERE id=1");
  EXPECT_EQ(Balance(), "101");
}

// --- a server that is stopped ---

class StoppedServerTest : public LostTest {
 protected:
  StoppedServerTest() {
    MariadbOptions options = Options();
    options.settle_patience = Duration::Millis(500);
    options.answer_time = Duration::Millis(300);
    options.connect_timeout = Duration::Millis(500);
    options.scan_interval = Duration::Millis(100);
    ReopenWith(options);
  }
  ~StoppedServerTest() override { server().Resume(); }
};

// The connections stay open but nothing arrives. Every caller is told so in time.
TEST_P(StoppedServerTest, CommitsAndRollbacks_AreToBeTriedAgainAndSayWhy) {
  const BranchId committed = BeginAndPrepare(kUpdate);
  const BranchId rolled_back = BeginAndPrepare("UPDATE account SET balance=1 WHERE id=2");
  EXPECT_EQ(manager().unavailable(), "");
  server().Pause();
  Later<FinishResult> commit = CommitLater(committed);
  const FinishResult rollback = Rollback(rolled_back);
  EXPECT_EQ(rollback.state, FinishState::kRetry);
  EXPECT_THAT(rollback.detail, ::testing::HasSubstr("no"));
  EXPECT_EQ(commit.Get().state, FinishState::kRetry);
  EXPECT_EQ(LookUp(committed), Evidence::kUnknown);
  EXPECT_TRUE(Eventually([&] { return !manager().unavailable().empty(); }));
  server().Resume();
  EXPECT_TRUE(Eventually([&] { return Commit(committed).state == FinishState::kDone; }));
  EXPECT_TRUE(
      Eventually([&] { return Rollback(rolled_back).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "95");
  EXPECT_TRUE(Eventually([&] { return manager().unavailable().empty(); }));
}

// A commit may wait for a replica or for a backup, while the server answers others.
TEST_P(StoppedServerTest, SlowCommit_IsNotStopped) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  Later<FinishResult> done;
  {
    Hold lock(this, kCommits);
    done = CommitLater(branch);
    EXPECT_FALSE(done.WaitFor(Duration::Millis(900)));
    EXPECT_EQ(manager().Stats().lost_ends, 0u);
  }
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(manager().Stats().lost_ends, 0u);
  EXPECT_EQ(Balance(), "95");
}

// --- settled by hand ---

TEST_P(LostCommitTest, Scenario26And30_SettledByHand_HeuristicWhereItDiffers) {
  BranchId branch = BeginAndPrepare(kUpdate);
  const auto by_hand = [&](const char* verb) {
    Open();  // while our session lives, no other session can end the branch
    EXPECT_EQ(recovered_, std::vector<BranchId>{branch});
    Sql(absl::StrCat("XA ", verb, " ", XidOf(branch)));
  };
  by_hand("ROLLBACK");
  const FinishResult result = Commit(branch);
  EXPECT_EQ(result.state, FinishState::kHeuristicRollback);
  EXPECT_THAT(result.detail, ::testing::HasSubstr(ToString(branch)));
  EXPECT_EQ(Commit(NextBranch()).state, FinishState::kHeuristicHazard);
  branch = BeginAndPrepare(kUpdate);
  by_hand("COMMIT");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  branch = BeginAndPrepare(kUpdate);
  by_hand("COMMIT");
  EXPECT_EQ(Rollback(branch).state, FinishState::kHeuristicCommit);
}

// --- late messages ---

TEST_P(LostCommitTest, Scenario17_LateCommitAndRollback_DoNothingToTheNextBranch) {
  ComeLate();
}

std::string BinlogName(const ::testing::TestParamInfo<bool>& binlog) {
  return binlog.param ? "On" : "Off";
}
INSTANTIATE_TEST_SUITE_P(Binlog, LostCommitTest, ::testing::Bool(), BinlogName);
INSTANTIATE_TEST_SUITE_P(Binlog, LostAloneTest, ::testing::Bool(), BinlogName);
INSTANTIATE_TEST_SUITE_P(Binlog, StoppedServerTest, ::testing::Bool(), BinlogName);

}  // namespace
}  // namespace concordat::participant
