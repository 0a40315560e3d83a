// COMMIT, ROLLBACK and one-phase commit. Numbers are those of the scenarios.
#include "tests/unit/sdk/branch_fixture.h"

namespace concordat::participant {
namespace {

using Kinds = std::vector<CommandKind>;

TEST_F(BranchTableTest, Scenario16_CommitTwice_AcknowledgedTwiceAppliedOnce) {
  Recover();
  const BranchId id = StartPrepared();
  const RequestToken first = Commit(id);
  const RequestToken joined = Commit(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kCommit});
  EXPECT_FALSE(Answered(first));
  Committed(id, FinishState::kDone);
  EXPECT_EQ(FinishOf(first).state, FinishState::kDone);
  EXPECT_EQ(FinishOf(joined).state, FinishState::kDone);
  const RequestToken later = Commit(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kLookUp});
  Found(id, Evidence::kCommitted);
  EXPECT_EQ(FinishOf(later).state, FinishState::kDone);
}

TEST_F(BranchTableTest, Scenario25_CommitAfterRestart_AcknowledgedByEvidence) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken token = Commit(id);
  EXPECT_FALSE(Answered(token));
  Found(id, Evidence::kCommitted);
  EXPECT_EQ(FinishOf(token).state, FinishState::kDone);
}

TEST_F(BranchTableTest, CommitOfActiveBranch_IsAProtocolErrorAndNotDone) {
  Recover();
  const BranchId id = Start();
  const FinishAnswer answer = FinishOf(Commit(id));
  EXPECT_TRUE(answer.protocol_error);
  EXPECT_EQ(answer.state, FinishState::kRetry);
  EXPECT_TRUE(TakeCommands().empty());
  EXPECT_EQ(table_->Stats(now_).active, 1u);
  EXPECT_EQ(CountEvents(EventKind::kProtocolError), 1u);
}

// A client that gives up may not end what the coordinator may be committing.
TEST_F(BranchTableTest, AbandonedByItsClientAfterTheVote_StaysPrepared) {
  Recover();
  const BranchId id = StartPrepared();
  EXPECT_EQ(FinishOf(Abandon(id)).state, FinishState::kRetry);
  EXPECT_TRUE(TakeCommands().empty());
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
  const BranchId preparing = Start();
  Prepare(preparing);
  TakeCommands();
  EXPECT_EQ(FinishOf(Abandon(preparing)).state, FinishState::kRetry);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, AbandonedByItsClientBeforeTheVote_IsRolledBack) {
  Recover();
  const BranchId id = Start();
  const RequestToken token = Abandon(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  EXPECT_FALSE(Answered(token));
}

TEST_F(BranchTableTest, CommitBeforeTheVote_IsAProtocolErrorAndNotDone) {
  Recover();
  const BranchId id = Start();
  Prepare(id);
  TakeCommands();
  EXPECT_TRUE(FinishOf(Commit(id)).protocol_error);
  Prepared(id, Vote::kPrepared);
  EXPECT_TRUE(TakeCommands().empty());
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
}

TEST_F(BranchTableTest,
       CommitOfBranchRolledBackInThisIncarnation_IsAnAlarmNotAnAcknowledgement) {
  Recover();
  const BranchId id = StartPrepared();
  Rollback(id);
  RolledBack(id);
  const RequestToken token = Commit(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(FinishOf(token).state, FinishState::kHeuristicRollback);
  EXPECT_EQ(CountEvents(EventKind::kHeuristic), 1u);
}

TEST_F(BranchTableTest, Scenario26_CommitWithoutEvidenceWhereOthersCanSettle_IsAnAlarm) {
  BranchTableOptions options;
  options.can_be_settled_elsewhere = true;
  Reset(options);
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken token = Commit(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(FinishOf(token).state, FinishState::kHeuristicHazard);
  EXPECT_EQ(CountEvents(EventKind::kHeuristic), 1u);
}

TEST_F(BranchTableTest,
       Scenario69_CommitOfReadOnlyBranchOfEarlierIncarnation_IsAcknowledged) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken token = Commit(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(FinishOf(token).state, FinishState::kDone);
  EXPECT_EQ(CountEvents(EventKind::kHeuristic), 0u);
}

TEST_F(BranchTableTest, LateCommitBelowTheWatermark_IsAcknowledged) {
  Recover();
  const BranchId id = StartPrepared(3);
  Commit(id);
  Committed(id, FinishState::kDone);
  table_->OnWatermark(MakeGtid(4));
  Drain();
  const RequestToken token = Commit(id);
  Found(id, Evidence::kNone);  // dropped
  EXPECT_EQ(FinishOf(token).state, FinishState::kDone);
}

TEST_F(BranchTableTest, CommitThatCouldNotBeDone_IsRetriedAndNeverRolledBack) {
  Recover();
  const BranchId id = StartPrepared();
  const RequestToken first = Commit(id);
  Committed(id, FinishState::kRetry);
  EXPECT_EQ(FinishOf(first).state, FinishState::kRetry);
  TakeCommands();
  EXPECT_TRUE(FinishOf(Rollback(id)).protocol_error);
  table_->OnInquiryAnswer(id, InquiryAnswer::kRollback, now_);
  Drain();
  EXPECT_TRUE(TakeCommands().empty());
  const RequestToken second = Commit(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kCommit});
  Committed(id, FinishState::kDone);
  EXPECT_EQ(FinishOf(second).state, FinishState::kDone);
}

TEST_F(BranchTableTest, RollbackThatCouldNotBeDone_IsNeverCommitted) {
  Recover();
  const BranchId id = StartPrepared();
  Rollback(id);
  EXPECT_TRUE(FinishOf(Commit(id)).protocol_error);
  RolledBack(id, FinishState::kRetry);
  TakeCommands();
  EXPECT_TRUE(FinishOf(Commit(id)).protocol_error);
  table_->OnInquiryAnswer(id, InquiryAnswer::kCommit, now_);
  Drain();
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, HeuristicOutcome_IsRepeatedUntilTheWatermarkPasses) {
  Recover();
  const BranchId id = StartPrepared(3);
  const RequestToken first = Commit(id);
  Committed(id, FinishState::kHeuristicMixed);
  EXPECT_EQ(FinishOf(first).state, FinishState::kHeuristicMixed);
  EXPECT_EQ(FinishOf(Commit(id)).state, FinishState::kHeuristicMixed);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kRefused);
  EXPECT_EQ(CountEvents(EventKind::kHeuristic), 1u);
}

TEST_F(BranchTableTest, RollbackTwice_IsAcknowledgedTwice) {
  Recover();
  const BranchId id = StartPrepared();
  const RequestToken first = Rollback(id);
  const RequestToken joined = Rollback(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  RolledBack(id);
  const RequestToken later = Rollback(id);
  Found(id, Evidence::kNone);
  for (const RequestToken token : {first, joined, later}) {
    EXPECT_EQ(FinishOf(token).state, FinishState::kDone);
  }
}

TEST_F(BranchTableTest, RollbackDuringWork_GoesToTheResourceManagerAtOnce) {
  Recover();
  const BranchId id = Start();
  const RequestToken work = Execute(id, 1);
  TakeCommands();
  const RequestToken rollback = Rollback(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  Executed(id, "gone", AfterExecute::kOver);
  EXPECT_EQ(TextOf(work), "gone");
  EXPECT_FALSE(Answered(rollback));
  RolledBack(id);
  EXPECT_EQ(FinishOf(rollback).state, FinishState::kDone);
}

TEST_F(BranchTableTest, Scenario35_LateRollbackOfOnePhaseCommit_TellsTheTruth) {
  Recover();
  const BranchId id = Start();
  CommitOnePhase(id);
  const RequestToken during = Rollback(id);
  CommittedAlone(id, OnePhase::kCommitted);
  EXPECT_FALSE(Answered(during));
  Found(id, Evidence::kCommittedAlone);
  EXPECT_EQ(FinishOf(during).state, FinishState::kHeuristicCommit);
  const RequestToken after = Rollback(id);
  Found(id, Evidence::kUnknown);
  EXPECT_EQ(FinishOf(after).state, FinishState::kRetry)
      << "unknown until evidence was read";
}

TEST_F(BranchTableTest, OnePhaseCommit_RetryIsAnsweredFromEvidence) {
  Recover();
  const BranchId id = Start();
  const RequestToken first = CommitOnePhase(id);
  const RequestToken joined = CommitOnePhase(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kCommitOnePhase});
  CommittedAlone(id, OnePhase::kCommitted);
  EXPECT_EQ(OnePhaseOf(first), OnePhaseVerdict::kCommitted);
  EXPECT_EQ(OnePhaseOf(joined), OnePhaseVerdict::kCommitted);
  const RequestToken retry = CommitOnePhase(id);
  Found(id, Evidence::kCommittedAlone);
  EXPECT_EQ(OnePhaseOf(retry), OnePhaseVerdict::kCommitted);
}

TEST_F(BranchTableTest, OnePhaseCommitLostInACrash_IsRolledBack) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken retry = CommitOnePhase(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(OnePhaseOf(retry), OnePhaseVerdict::kLost);
}

TEST_F(BranchTableTest, OnePhaseCommitBelowTheWatermark_IsForgottenNeverAGuess) {
  Recover();
  const BranchId id = OfEarlierIncarnation(3);
  table_->OnWatermark(MakeGtid(4));
  Drain();
  const RequestToken dropped = CommitOnePhase(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(OnePhaseOf(dropped), OnePhaseVerdict::kForgotten);
  const RequestToken kept = CommitOnePhase(id);
  Found(id, Evidence::kCommittedAlone);
  EXPECT_EQ(OnePhaseOf(kept), OnePhaseVerdict::kCommitted);
}

TEST_F(BranchTableTest, OnePhaseCommitOfReadOnlyBranch_IsRemembered) {
  Recover();
  const BranchId id = Start();
  CommitOnePhase(id);
  CommittedAlone(id, OnePhase::kReadOnly);
  TakeCommands();
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kCommitted);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kCommittedAlone);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, OnePhaseCommitOfPreparedBranch_IsRefused) {
  Recover();
  const BranchId id = StartPrepared();
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kInvalid);
  EXPECT_TRUE(TakeCommands().empty());
  const BranchId preparing = Start(2);
  Prepare(preparing);
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(preparing)), OnePhaseVerdict::kInvalid);
}

TEST_F(BranchTableTest, OnePhaseCommitWhileWorkRuns_IsRefusedAndChangesNothing) {
  Recover();
  const BranchId id = Start();
  const RequestToken work = Execute(id, 1);
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kInvalid);
  Executed(id, "fine");
  EXPECT_EQ(TextOf(work), "fine");
  CommitOnePhase(id);
  EXPECT_EQ(commands_.back().kind, CommandKind::kCommitOnePhase);
}

}  // namespace
}  // namespace concordat::participant
