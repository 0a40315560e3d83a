// The scenarios of the project's list that the transaction core decides by itself.
// Those with real disks, networks and processes have their tests elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Two nodes on one log. `old` leads term 1, `next` takes over in term 2.
class ScenarioTest : public ::testing::Test {
 protected:
  ScenarioTest() { old.Lead(1); }
  void TakeOver() {
    next.CatchUp();
    next.Lead(2);
  }
  Gtid Staged(CommitMode mode = CommitMode::kDecided) {
    const Gtid g = old.NewGtid();
    old.Commit(g, {A(g), B(g)}, mode);
    old.CommitLog();
    return g;
  }

  Log log;
  Node old{&log};
  Node next{&log};
};

TEST_F(ScenarioTest, Scenario01_LeaderDiesBeforeStaged_RetryCommitsAtTheNext) {
  const Gtid g = old.NewGtid();
  const auto lost = old.Commit(g, {A(g), B(g)});
  old.Lose();  // STAGED never was log-committed
  EXPECT_EQ(old.Said(lost), "UNDECIDED 1.1.1/bank-a/5f3c.1 1.1.1/bank-b/5f3c.1");
  TakeOver();
  const auto retry = next.Commit(g, {A(g), B(g)});
  next.Prepared({A(g), B(g)});  // they had been asked before: PREPARED again
  next.CommitLog();
  EXPECT_EQ(next.Said(retry), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario02_LeaderDiesAfterSomePrepares_TheNextPreparesTheRest) {
  const Gtid g = Staged();
  old.Prepared({A(g)});
  TakeOver();
  EXPECT_EQ(next.Sent(Verb::kPrepare, A(g)), 1);
  EXPECT_EQ(next.Sent(Verb::kPrepare, B(g)), 1);
  next.Prepared({A(g), B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario03_AllVotedNothingDecided_TheNextAsksAgainAndCommits) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.Lose();  // DECIDED(commit) is lost
  TakeOver();
  EXPECT_EQ(next.Said(next.Outcome(g)),
            "UNDECIDED 1.1.1/bank-a/5f3c.1 1.1.1/bank-b/5f3c.1");
  next.Prepared({A(g), B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario04_DecisionOnTheOldLeaderOnly_InquiriesWaitForTheNewEntry) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  const std::string decided = old.pending().at(0);
  next.CatchUp();
  next.Lead(2, /*ready=*/false);
  const auto inquiry = next.Inquire(A(g));
  EXPECT_EQ(next.Said(inquiry), "");
  // The old leader's record survived: it comes before the new leader's own entry.
  log.committed.push_back(decided);
  next.CatchUp();
  EXPECT_EQ(next.Said(inquiry), "");
  next.Ready();
  EXPECT_EQ(next.Said(inquiry), "BRANCH commit");
}

TEST_F(ScenarioTest, Scenario05_DecidedAndNotAnswered_TheRetryReturnsIt) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  TakeOver();
  EXPECT_EQ(next.Said(next.Commit(g, {A(g), B(g)})), "COMMITTED");
  EXPECT_EQ(next.Said(next.Rollback(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario06_AnsweredAndNotTold_TheNextTells) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  TakeOver();
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(next.Sent(Verb::kCommit, B(g)), 1);
}

TEST_F(ScenarioTest, Scenario07_HalfCommitted_TheRestCommits) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  old.Ack(A(g));
  TakeOver();
  next.Ack(A(g));  // again, by its evidence
  EXPECT_EQ(next.table().StateOf(g), TxnState::kDecided);
  next.Ack(B(g));
  next.Pass(Duration::Millis(100));
  next.CommitLog();
  EXPECT_EQ(next.table().StateOf(g), TxnState::kEnded);
}

TEST_F(ScenarioTest, Scenario08_AcknowledgedWithoutEnded_IsRepeatedAndEnds) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  old.Ack(A(g));
  old.Ack(B(g));
  old.Lose();  // ENDED was never written
  TakeOver();
  next.Ack(A(g));
  next.Ack(B(g));
  next.Ack(B(g));
  next.Pass(Duration::Millis(100));
  EXPECT_THAT(next.Appended(), ElementsAre("ENDED 1.1.1"));
  next.CommitLog();
  EXPECT_EQ(next.core().Status().in_progress, 0u);
  // Written twice it changes nothing.
  log.committed.push_back(EncodeRecord(EndedRecord{{g}}));
  next.CatchUp();
  EXPECT_EQ(next.table().StateOf(g), TxnState::kEnded);
}

TEST_F(ScenarioTest, Scenario09_DeposedLeaderWakesUp_ItsAppendsAreWorthNothing) {
  const Gtid g = Staged();
  TakeOver();
  next.Vote(A(g), Vote::kRefused);
  next.CommitLog();
  // It still believes that it leads; what it appends never reaches the log.
  old.Prepared({A(g), B(g)});
  const auto client = old.Commit(g, {A(g), B(g)});
  EXPECT_EQ(old.Said(client), "");
  EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), 0);
  old.Lose();
  old.CatchUp();
  EXPECT_EQ(old.Said(client), "UNDECIDED");
  EXPECT_EQ(old.table().FindSettled(g)->outcome, Outcome::kAborted);
  EXPECT_EQ(old.table().Hash(), next.table().Hash());
}

TEST_F(ScenarioTest, Scenario10_FollowerAndFreshLeader_NeverPresumeAbort) {
  const Gtid g = old.NewGtid();
  EXPECT_EQ(next.Said(next.Inquire(A(g))), "NOT_LEADER");
  EXPECT_EQ(next.Said(next.Outcome(g)), "NOT_LEADER");
  next.Lead(2, /*ready=*/false);
  const auto inquiry = next.Inquire(A(g));
  const auto outcome = next.Outcome(g);
  EXPECT_EQ(next.Said(inquiry) + next.Said(outcome), "");
  EXPECT_THAT(next.Appended(), IsEmpty());
  next.Pass(Duration::Seconds(2));
  EXPECT_EQ(next.Said(inquiry), "NOT_READY");
  EXPECT_EQ(next.Said(outcome), "NOT_READY");
}

TEST_F(ScenarioTest, Scenario11_TimeoutRacesTheLastVote_OneOutcome) {
  for (const bool vote_first : {true, false}) {
    const Gtid g = old.NewGtid();
    const auto commit = old.Commit(g, {A(g)}, CommitMode::kDecided, 1000);
    old.CommitLog();
    if (vote_first) old.Prepared({A(g)});
    old.Pass(Duration::Seconds(1));
    if (!vote_first) old.Prepared({A(g)});
    EXPECT_EQ(old.Appended().size(), 1u);
    old.CommitLog();
    EXPECT_THAT(old.Said(commit),
                StartsWith(vote_first ? "COMMITTED" : "ABORTED timed-out"));
    EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), vote_first ? 1 : 0);
    EXPECT_EQ(old.Sent(Verb::kRollback, A(g)), vote_first ? 0 : 1);
  }
}

TEST_F(ScenarioTest, Scenario12_EnlistedAfterTheDecision_IsRefused) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  EXPECT_THAT(old.Said(old.Enlist(C(g))), StartsWith("REFUSED too-late"));
  EXPECT_FALSE(old.table().InCommittedSet(C(g)));
  EXPECT_EQ(old.Sent(Verb::kRollback, C(g)), 1);
}

TEST_F(ScenarioTest, Scenario13_NoPrepareIsSentOnceAnAbortIsDecided) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g), B(g)});
  old.Vote(B(g), Vote::kRefused);
  old.CommitLog();
  old.Vote(A(g), Vote::kRefused);  // the PREPARE that was overtaken
  old.Vote(A(g), Vote::kPrepared);
  old.Pass(Duration::Seconds(60));
  EXPECT_EQ(old.Sent(Verb::kPrepare, A(g)), 1);
  EXPECT_EQ(old.table().FindSettled(g)->outcome, Outcome::kAborted);
}

TEST_F(ScenarioTest, Scenario14_PreparedTwice_CountsOnce) {
  const Gtid g = Staged();
  old.Prepared({A(g), A(g), A(g)});
  EXPECT_THAT(old.Appended(), IsEmpty());
  old.Prepared({B(g), B(g)});
  EXPECT_EQ(old.Appended().size(), 1u);
}

TEST_F(ScenarioTest, Scenario15_VoteLost_IsAskedAgain) {
  const Gtid g = Staged();
  old.Prepared({A(g)});
  old.Pass(Duration::Millis(500));
  EXPECT_EQ(old.Sent(Verb::kPrepare, A(g)), 1);
  EXPECT_EQ(old.Sent(Verb::kPrepare, B(g)), 2);
  old.Prepared({B(g)});
  old.CommitLog();
  EXPECT_EQ(old.Said(old.Outcome(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario16_CommitAcknowledgedTwice_EndsOnce) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  old.Ack(A(g));
  old.Ack(A(g));
  old.Pass(Duration::Millis(100));
  EXPECT_THAT(old.Appended(), IsEmpty());
  old.Ack(B(g));
  old.Ack(B(g));
  old.Pass(Duration::Millis(100));
  EXPECT_THAT(old.Appended(), ElementsAre("ENDED 1.1.1"));
}

TEST_F(ScenarioTest, Scenario18_ForgedGtids_AreRefused) {
  (void)old.NewGtid();
  Gtid foreign = G(1, 1);
  foreign.group = GroupId(2);
  for (const Gtid& g : {foreign, G(1, 0), G(0, 1), G(1, 2)}) {
    EXPECT_THAT(old.Said(old.Commit(g, {})), StartsWith("REFUSED forged")) << g;
    EXPECT_THAT(old.Said(old.Rollback(g)), StartsWith("REFUSED forged")) << g;
    EXPECT_THAT(old.Said(old.Inquire(A(g))), StartsWith("REFUSED forged")) << g;
    EXPECT_THAT(old.Said(old.Enlist(A(g))), StartsWith("REFUSED forged")) << g;
    EXPECT_THAT(old.Said(old.Outcome(g)), StartsWith("REFUSED forged")) << g;
  }
  EXPECT_THAT(old.Appended(), IsEmpty());
  EXPECT_EQ(old.core().Status().in_progress, 0u);
}

// A gtid of a later term is a forgery, or this leader is deposed and does not know it
// yet: it must not say anything about the outcome.
TEST_F(ScenarioTest, Scenario18_GtidOfALaterTerm_IsNotThisLeadersToAnswer) {
  const Gtid g = G(7, 1);
  EXPECT_EQ(old.Said(old.Commit(g, {A(g)})), "NOT_LEADER");
  EXPECT_EQ(old.Said(old.Inquire(A(g))), "NOT_LEADER");
  EXPECT_THAT(old.Appended(), IsEmpty());
}

TEST_F(ScenarioTest, Scenario18_GtidsAreNeverHandedOutTwice) {
  std::vector<Gtid> seen;
  for (uint64_t term = 2; term < 6; ++term) {
    old.Lead(term);
    for (int i = 0; i < 5; ++i) {
      const Gtid g = old.NewGtid();
      EXPECT_THAT(seen, ::testing::Not(::testing::Contains(g)));
      seen.push_back(g);
    }
  }
}

TEST_F(ScenarioTest, Scenario19_ClientGivesUpAndRetries_OneOutcome) {
  const Gtid g = old.NewGtid();
  const auto first = old.Commit(g, {A(g)}, CommitMode::kDecided, 1000);
  old.CommitLog();
  old.Pass(Duration::Millis(900));
  const auto retry = old.Commit(g, {A(g)}, CommitMode::kDecided, 60'000);
  old.Pass(Duration::Millis(100));  // the first deadline counts
  old.CommitLog();
  EXPECT_THAT(old.Said(first), StartsWith("ABORTED timed-out"));
  EXPECT_EQ(old.Said(retry), old.Said(first));
}

TEST_F(ScenarioTest, Scenario20_AfterTheOutcomeWasDropped_ForgottenNeverAborted) {
  const Gtid g = old.NewGtid();
  old.RunToEnd(g, {A(g)});
  old.Pass(Duration::Seconds(700));
  old.CommitLog();
  ASSERT_EQ(old.table().StateOf(g), TxnState::kForgotten);
  EXPECT_EQ(old.Said(old.Outcome(g)), "FORGOTTEN");
  EXPECT_EQ(old.Said(old.Commit(g, {A(g)})), "FORGOTTEN");
  EXPECT_EQ(old.Said(old.Rollback(g)), "FORGOTTEN");
  TakeOver();
  EXPECT_EQ(next.Said(next.Outcome(g)), "FORGOTTEN");
}

TEST_F(ScenarioTest, Scenario21_ParallelAnsweredAndLeaderDead_NobodyAborts) {
  const Gtid g = old.NewGtid();
  const auto client = old.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  old.Prepared({A(g), B(g)});
  old.CommitLog(1);
  ASSERT_EQ(old.Said(client), "COMMITTED");
  old.Lose();  // and DECIDED with it
  TakeOver();
  next.Prepared({A(g)});
  const auto rollback = next.Rollback(g);
  for (int minute = 0; minute < 60; ++minute) {
    next.Inquire(A(g));
    next.Vote(B(g), Vote::kUnavailable);
    next.Pass(Duration::Seconds(60));
  }
  EXPECT_EQ(next.Happened(EventKind::kDeciding), 0);
  EXPECT_THAT(next.Said(rollback), StartsWith("UNDECIDED"));
  next.Prepared({B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
  EXPECT_EQ(next.Sent(Verb::kCommit, B(g)), 1);
}

TEST_F(ScenarioTest, Scenario22_RollbackRacesCommit_OneOutcomeTheSameOnBoth) {
  for (const bool rollback_first : {true, false}) {
    for (const CommitMode mode : {CommitMode::kDecided, CommitMode::kParallel}) {
      const Gtid g = old.NewGtid();
      const auto early = rollback_first ? old.Rollback(g, {A(g)}) : RequestToken();
      const auto commit = old.Commit(g, {A(g)}, mode);
      const auto late = rollback_first ? RequestToken() : old.Rollback(g, {A(g)});
      old.Prepared({A(g)});
      old.CommitLog();
      EXPECT_THAT(old.Said(commit), StartsWith("ABORTED rolled-back"));
      EXPECT_EQ(old.Said(rollback_first ? early : late), old.Said(commit));
      EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), 0);
      EXPECT_EQ(old.Sent(Verb::kRollback, A(g)), 1);
    }
  }
}

TEST_F(ScenarioTest, Scenario22_RollbackAfterTheVotes_IsToldCommitted) {
  const Gtid g = old.NewGtid();
  const auto commit = old.Commit(g, {A(g)}, CommitMode::kParallel);
  old.Prepared({A(g)});
  old.CommitLog(1);
  const auto rollback = old.Rollback(g, {A(g)});
  old.CommitLog();
  EXPECT_EQ(old.Said(commit), "COMMITTED");
  EXPECT_EQ(old.Said(rollback), "COMMITTED");
  EXPECT_EQ(old.Sent(Verb::kRollback, A(g)), 0);
}

TEST_F(ScenarioTest, Scenario31_ResourceGoneForGood_OthersCommitAndTheDecisionIsKept) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  old.Ack(A(g));
  for (int hour = 0; hour < 24 * 30; ++hour) {
    old.Pass(Duration::Seconds(3600));
    old.CommitLog();
  }
  EXPECT_EQ(old.table().StateOf(g), TxnState::kDecided);
  EXPECT_EQ(old.Said(old.Inquire(B(g))), "BRANCH commit");
  EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_GT(old.Sent(Verb::kCommit, B(g)), 24 * 30);
  const auto view = old.core().Show(g, old.now());
  EXPECT_THAT(view.waiting_for, ElementsAre(B(g)));
}

TEST_F(ScenarioTest, Scenario61_DeposedLeadersPrepareRefused_NobodyIsToldAborted) {
  const Gtid g = Staged();
  TakeOver();
  next.Prepared({A(g), B(g)});
  next.CommitLog();
  next.Ack(A(g));
  next.Ack(B(g));
  // The deposed leader's late PREPARE: committed and forgotten, so "not there".
  const auto client = old.Commit(g, {A(g), B(g)});
  old.Vote(A(g), Vote::kRefused, "not there");
  EXPECT_THAT(old.Appended(), ElementsAre(HasSubstr("cause=refused")));
  EXPECT_EQ(old.Said(client), "");
  EXPECT_EQ(old.Sent(Verb::kRollback, B(g)), 0);
  old.Lose();
  EXPECT_EQ(old.Said(client), "UNDECIDED");
}

TEST_F(ScenarioTest, Scenario62_AbortBehindPendingStaged_NoCommittedAfterIt) {
  const Gtid g = old.NewGtid();
  const auto client = old.Commit(g, {A(g)}, CommitMode::kParallel);
  // Another leader's STAGED and abort stand in the log before anything of this one's.
  log.committed.push_back(old.pending().at(0));
  log.committed.push_back(EncodeRecord(
      DecidedRecord{g, Outcome::kAborted, AbortCause::kPresumed, "asked", ""}));
  old.CatchUp();
  old.Prepared({A(g)});
  old.CommitLog();
  EXPECT_THAT(old.Said(client), StartsWith("ABORTED presumed"));
  EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), 0);
}

TEST_F(ScenarioTest, Scenario62_InquiryWhileStagedIsPending_Waits) {
  const Gtid g = old.NewGtid();
  const auto client = old.Commit(g, {A(g)}, CommitMode::kParallel);
  const auto inquiry = old.Inquire(A(g));
  EXPECT_EQ(old.Appended().size(), 1u);
  old.Prepared({A(g)});
  old.CommitLog();
  EXPECT_EQ(old.Said(client), "COMMITTED");
  EXPECT_EQ(old.Said(inquiry), "BRANCH commit");
}

TEST_F(ScenarioTest, Scenario63_TimeoutAppendedThenLastVote_IsNotCommitted) {
  const Gtid g = old.NewGtid();
  const auto client = old.Commit(g, {A(g)}, CommitMode::kParallel, 1000);
  old.CommitLog();
  old.Pass(Duration::Seconds(1));
  old.Prepared({A(g)});
  EXPECT_EQ(old.Said(client), "");
  old.CommitLog();
  EXPECT_THAT(old.Said(client), StartsWith("ABORTED timed-out"));
}

TEST_F(ScenarioTest, Scenario64_TwoCommitRequestsThroughTwoLeaders_OneSetCommits) {
  const Gtid g = Staged();  // {A, B} at the old leader
  TakeOver();
  const auto second = next.Commit(g, {B(g), C(g)});
  next.Prepared({A(g), B(g), C(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(second), "COMMITTED");
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(next.Sent(Verb::kCommit, B(g)), 1);
  EXPECT_EQ(next.Sent(Verb::kCommit, C(g)), 0);
  EXPECT_EQ(next.Sent(Verb::kRollback, C(g)), 1);
}

TEST_F(ScenarioTest, Scenario65_BranchOutsideTheDecidedSet_IsToldRollback) {
  const Gtid g = Staged();
  old.Prepared({A(g), B(g)});
  old.CommitLog();
  EXPECT_EQ(old.Said(old.Inquire(C(g))), "BRANCH rollback");
  EXPECT_EQ(old.Said(old.Inquire(MakeBranch(g, "bank-a", 2))), "BRANCH rollback");
  EXPECT_EQ(old.Said(old.Inquire(A(g))), "BRANCH commit");
}

TEST_F(ScenarioTest, Scenario66_RetryInAnotherMode_StagedsModeCounts) {
  const Gtid decided = Staged(CommitMode::kDecided);
  const Gtid parallel = Staged(CommitMode::kParallel);
  TakeOver();
  const auto first = next.Commit(decided, {}, CommitMode::kParallel);
  const auto second = next.Commit(parallel, {}, CommitMode::kDecided);
  next.Prepared({A(decided), B(decided), A(parallel), B(parallel)});
  EXPECT_EQ(next.Said(first), "");
  EXPECT_EQ(next.Said(second), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario67_RollbackAtAFreshLeader_WhileStagedSurvives) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g)}, CommitMode::kParallel);
  const std::string staged = old.pending().at(0);
  next.Lead(2, /*ready=*/false);
  const auto rollback = next.Rollback(g);
  log.committed.push_back(staged);  // it survived, before the new leader's own entry
  next.CatchUp();
  next.Ready();
  EXPECT_THAT(next.Appended(), IsEmpty());  // the old leader may have answered
  EXPECT_EQ(next.Said(rollback), "");
  next.Prepared({A(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(rollback), "COMMITTED");
  EXPECT_EQ(next.Said(next.Commit(g, {A(g)})), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario67_RollbackAtAFreshLeader_WhereStagedDidNotSurvive) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g)});
  const std::string staged = old.pending().at(0);
  next.Lead(2);
  const auto rollback = next.Rollback(g);
  next.CommitLog();
  EXPECT_THAT(next.Said(rollback), StartsWith("ABORTED rolled-back"));
  log.committed.push_back(staged);  // nor would it matter if it came after all
  next.CatchUp();
  EXPECT_EQ(next.table().FindSettled(g)->outcome, Outcome::kAborted);
  EXPECT_THAT(next.Said(next.Commit(g, {A(g)})), StartsWith("ABORTED"));
}

TEST_F(ScenarioTest, Scenario68_UnavailableIsNeverTakenForRefused) {
  const Gtid g = Staged();
  for (int i = 0; i < 20; ++i) old.Vote(A(g), Vote::kUnavailable, "recovering");
  EXPECT_THAT(old.Appended(), IsEmpty());
  old.Prepared({A(g), B(g)});
  old.Vote(A(g), Vote::kUnavailable, "another instance");
  old.CommitLog();
  EXPECT_EQ(old.Said(old.Outcome(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario69_ReadOnlyRestartedAndLeaderChanged_NothingWasPromised) {
  const Gtid g = old.NewGtid();
  const auto client = old.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  old.Vote(A(g), Vote::kReadOnly);
  old.Prepared({B(g)});
  old.CommitLog(1);
  EXPECT_EQ(old.Said(client), "");
  old.Lose();
  TakeOver();
  next.Vote(A(g), Vote::kRefused, "not there");  // restarted
  next.CommitLog();
  EXPECT_THAT(next.Said(next.Commit(g, {})), StartsWith("ABORTED refused"));
  EXPECT_EQ(old.Said(client), "UNDECIDED");
}

TEST_F(ScenarioTest, Scenario70_ReadOnlyTwice_IsNoRefusal) {
  const Gtid g = Staged();
  old.Vote(A(g), Vote::kReadOnly);
  old.Vote(A(g), Vote::kReadOnly);
  old.Vote(A(g), Vote::kRefused);  // asked once more after a restart: it is over anyway
  EXPECT_THAT(old.Appended(), IsEmpty());
  old.Prepared({B(g)});
  old.CommitLog();
  EXPECT_EQ(old.Said(old.Outcome(g)), "COMMITTED");
}

TEST_F(ScenarioTest, Scenario71_EnlistmentAnswered_IsInTheSetWhoeverLeads) {
  const Gtid g = old.NewGtid();
  TakeOver();
  const auto enlist = next.Enlist(C(g));
  next.CommitLog();
  ASSERT_EQ(next.Said(enlist), "ENLISTED");
  // The client commits through the deposed leader, which does not know of it.
  const auto deposed = old.Commit(g, {A(g)}, CommitMode::kParallel);
  old.Prepared({A(g)});
  EXPECT_EQ(old.Said(deposed), "");  // STAGED cannot be log-committed there
  old.Lose();
  const auto retry = next.Commit(g, {A(g)}, CommitMode::kParallel);
  next.Prepared({A(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(retry), "");
  next.Prepared({C(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(retry), "COMMITTED");
  EXPECT_TRUE(next.table().InCommittedSet(C(g)));
}

TEST_F(ScenarioTest, Scenario72_EnlistmentAfterStaged_IsRefused) {
  const Gtid g = Staged();
  EXPECT_THAT(old.Said(old.Enlist(C(g))), StartsWith("REFUSED too-late"));
  TakeOver();
  EXPECT_THAT(next.Said(next.Enlist(C(g))), StartsWith("REFUSED too-late"));
  EXPECT_EQ(next.Said(next.Enlist(A(g))), "ENLISTED");  // it is in the set
}

TEST_F(ScenarioTest, Scenario73_EnlistedNeverStaged_TheBranchThatAsksIsToldRollback) {
  const Gtid g = old.NewGtid();
  old.Enlist(A(g));
  old.Enlist(B(g));
  old.CommitLog();
  TakeOver();
  const auto inquiry = next.Inquire(A(g));
  EXPECT_EQ(next.Said(inquiry), "");
  EXPECT_THAT(next.Appended(), ElementsAre(HasSubstr("cause=presumed")));
  next.CommitLog();
  EXPECT_EQ(next.Said(inquiry), "BRANCH rollback");
  EXPECT_EQ(next.Sent(Verb::kRollback, B(g)), 1);  // known, so told without asking
  EXPECT_THAT(next.Said(next.Commit(g, {A(g)})), StartsWith("ABORTED presumed"));
}

TEST_F(ScenarioTest, Scenario74_CommittedAloneThenNamedAgain_SecondRolledBackRecorded) {
  const Gtid g = old.NewGtid();
  const auto commit = old.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  old.Vote(A(g), Vote::kCommittedAlone, "evidence of 12:01");
  old.Prepared({B(g)});
  old.CommitLog();
  EXPECT_THAT(old.Said(commit), StartsWith("ABORTED committed-alone"));
  EXPECT_EQ(old.Sent(Verb::kRollback, B(g)), 1);
  ASSERT_EQ(old.core().Heuristics().size(), 1u);
  EXPECT_EQ(old.core().Heuristics()[0].branch, A(g));
  EXPECT_EQ(old.core().Heuristics()[0].detail, "evidence of 12:01");
  TakeOver();
  EXPECT_EQ(next.core().Heuristics().size(), 1u);
}

}  // namespace
}  // namespace concordat::txn
