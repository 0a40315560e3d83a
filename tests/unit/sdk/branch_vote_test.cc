// PREPARE and what follows from a vote. Numbers are those of the scenarios.
#include "tests/unit/sdk/branch_fixture.h"

namespace concordat::participant {
namespace {

using Kinds = std::vector<CommandKind>;

TEST_F(BranchTableTest, Scenario68_RequestsBeforeRecovery_AreUnavailableNeverRefused) {
  const BranchId id = OfEarlierIncarnation(1);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kUnavailable);
  EXPECT_EQ(FinishOf(Commit(id)).state, FinishState::kRetry);
  EXPECT_EQ(FinishOf(Rollback(id)).state, FinishState::kRetry);
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kUnknown);
  EXPECT_EQ(ExecuteOf(Execute(id, 1)).verdict, ExecuteVerdict::kUnavailable);
  EXPECT_EQ(table_->Start(MakeGtid(1), Duration(), now_).refusal,
            StartRefusal::kUnavailable);
  EXPECT_TRUE(TakeCommands().empty());

  Recover({{id, Duration()}});
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kPrepared);
}

TEST_F(BranchTableTest, Rule10_VoteFollowsTheResourceManagersAnswer) {
  Recover();
  const BranchId id = Start();
  const RequestToken token = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kPrepare});
  EXPECT_FALSE(Answered(token));
  Prepared(id, Vote::kPrepared);
  EXPECT_EQ(VoteOf(token), Vote::kPrepared);
}

TEST_F(BranchTableTest, Scenario14_PrepareTwice_SameVoteExecutedOnce) {
  Recover();
  const BranchId id = Start();
  const RequestToken first = Prepare(id);
  const RequestToken joined = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kPrepare});
  Prepared(id, Vote::kPrepared);
  const RequestToken later = Prepare(id);
  EXPECT_EQ(VoteOf(first), Vote::kPrepared);
  EXPECT_EQ(VoteOf(joined), Vote::kPrepared);
  EXPECT_EQ(VoteOf(later), Vote::kPrepared);  // 15: the vote was lost
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, Scenario70_PrepareTwiceOfReadOnlyBranch_ReadOnlyAgain) {
  Recover();
  const BranchId id = Start();
  const RequestToken first = Prepare(id);
  Prepared(id, Vote::kReadOnly);
  TakeCommands();
  EXPECT_EQ(VoteOf(first), Vote::kReadOnly);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kReadOnly);
  EXPECT_EQ(FinishOf(Commit(id)).state, FinishState::kDone);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kReadOnly);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, ReadOnlyVote_IsForgottenWhenTheWatermarkPasses) {
  Recover();
  const BranchId id = Start(5);
  Prepare(id);
  Prepared(id, Vote::kReadOnly);
  table_->OnWatermark(MakeGtid(5));
  EXPECT_EQ(table_->Stats(now_).remembered, 1u);
  table_->OnWatermark(MakeGtid(6));
  EXPECT_EQ(table_->Stats(now_).remembered, 0u);
}

TEST_F(BranchTableTest, ReadOnlyVotes_AreBoundedByNumber) {
  BranchTableOptions options;
  options.max_remembered = 10;
  Reset(options);
  Recover();
  std::vector<BranchId> ids;
  for (uint64_t i = 1; i <= 11; ++i) {
    ids.push_back(Start(i));
    Prepare(ids.back());
    Prepared(ids.back(), Vote::kReadOnly);
  }
  EXPECT_EQ(table_->Stats(now_).remembered, 10u);
  EXPECT_EQ(VoteOf(Prepare(ids[1])), Vote::kReadOnly);
  // The first branch is not remembered: its COMMIT raises no alarm, because it may have
  // been read-only.
  const RequestToken commit = Commit(ids[0]);
  Found(ids[0], Evidence::kNone);
  EXPECT_EQ(FinishOf(commit).state, FinishState::kDone);
  EXPECT_EQ(CountEvents(EventKind::kHeuristic), 0u);
}

TEST_F(BranchTableTest, Scenario101_Refused_EndsTheBranchAndKeepsTheReasonsClass) {
  Recover();
  for (const Vote vote : {Vote::kRefused, Vote::kConflict, Vote::kLost}) {
    const BranchId id = Start();
    const RequestToken token = Prepare(id);
    Prepared(id, vote);
    EXPECT_EQ(VoteOf(token), vote);
    EXPECT_EQ(table_->Stats(now_).held, 0u);
  }
}

TEST_F(BranchTableTest, PrepareOfABranchThatWasIdle_SaysWhyItIsGone) {
  Recover();
  const BranchId id = Start();
  Advance(options_.idle_timeout);
  RolledBack(id);
  const RequestToken token = Prepare(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(VoteOf(token), Vote::kLost);
  EXPECT_EQ(std::get<VoteAnswer>(answers_.at(token).body).detail,
            "the branch is not there: rolled back (no call for 30000 ms)");
}

TEST_F(BranchTableTest, PrepareThatCannotTell_IsAskedAgainWithoutEnd) {
  Recover();
  const BranchId id = Start();
  const RequestToken first = Prepare(id);
  Prepared(id, Vote::kUnavailable);
  EXPECT_EQ(VoteOf(first), Vote::kUnavailable);
  TakeCommands();
  const RequestToken second = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kPrepareAgain});
  EXPECT_EQ(ExecuteOf(Execute(id, 1)).verdict, ExecuteVerdict::kBranchGone);
  Prepared(id, Vote::kPrepared);
  EXPECT_EQ(VoteOf(second), Vote::kPrepared);
}

TEST_F(BranchTableTest, Scenario13_RollbackOvertakesPrepare_PrepareIsRefused) {
  Recover();
  const BranchId id = Start();
  const RequestToken rollback = Rollback(id);
  const RequestToken during = Prepare(id);
  EXPECT_EQ(VoteOf(during), Vote::kLost);
  RolledBack(id);
  EXPECT_EQ(FinishOf(rollback).state, FinishState::kDone);
  TakeCommands();
  const RequestToken after = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kLookUp});
  Found(id, Evidence::kNone);
  EXPECT_EQ(VoteOf(after), Vote::kLost);
  EXPECT_EQ(table_->Stats(now_).held, 0u);
}

TEST_F(BranchTableTest, Scenario13_RollbackThatHasToBeRetried_StillRefusesPrepare) {
  Recover();
  const BranchId id = Start();
  Rollback(id);
  RolledBack(id, FinishState::kRetry);
  TakeCommands();
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kLost);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  RolledBack(id, FinishState::kRetry);
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kInvalid);
}

TEST_F(BranchTableTest, Scenario13_PreparedBranchWhoseRollbackIsRetried_NeverVotesAgain) {
  Recover();
  const BranchId id = StartPrepared();
  Rollback(id);
  RolledBack(id, FinishState::kRetry);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kLost);
}

TEST_F(BranchTableTest, RollbackDuringPrepare_WaitsBehindItAndTheVoteIsNo) {
  Recover();
  const BranchId id = Start();
  const RequestToken prepare = Prepare(id);
  const RequestToken rollback = Rollback(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kPrepare});
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kLost);
  Prepared(id, Vote::kPrepared);
  EXPECT_EQ(VoteOf(prepare), Vote::kLost);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  EXPECT_FALSE(Answered(rollback));
  RolledBack(id);
  EXPECT_EQ(FinishOf(rollback).state, FinishState::kDone);
}

TEST_F(BranchTableTest, RollbackDuringPrepareThatEndsReadOnly_IsDone) {
  Recover();
  const BranchId id = Start();
  const RequestToken prepare = Prepare(id);
  const RequestToken rollback = Rollback(id);
  Prepared(id, Vote::kReadOnly);
  EXPECT_EQ(VoteOf(prepare), Vote::kLost);
  EXPECT_EQ(FinishOf(rollback).state, FinishState::kDone);
}

TEST_F(BranchTableTest, PrepareWhileWorkRuns_IsRefusedAndRolledBack) {
  Recover();
  const BranchId id = Start();
  const RequestToken work = Execute(id, 1);
  TakeCommands();
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kRefused);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  RolledBack(id);
  EXPECT_EQ(ExecuteOf(work).verdict, ExecuteVerdict::kBranchGone);
  Executed(id, "too late");  // ignored, and not answered twice
}

TEST_F(BranchTableTest, Scenario23_PrepareOfBranchLostInACrash_IsRefused) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken token = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kLookUp});
  Found(id, Evidence::kNone);
  EXPECT_EQ(VoteOf(token), Vote::kLost);
}

TEST_F(BranchTableTest, Scenario61_LatePrepareOfCommittedAndForgotten_IsRefused) {
  Recover();
  const BranchId id = StartPrepared();
  Commit(id);
  Committed(id, FinishState::kDone);
  const RequestToken late = Prepare(id);
  Found(id, Evidence::kCommitted);
  EXPECT_EQ(VoteOf(late), Vote::kRefused);
  const RequestToken forgotten = Prepare(id);
  Found(id, Evidence::kNone);
  EXPECT_EQ(VoteOf(forgotten), Vote::kLost);
}

TEST_F(BranchTableTest, Scenario74_PrepareOfBranchCommittedAlone_SaysSo) {
  Recover();
  const BranchId id = Start();
  CommitOnePhase(id);
  const RequestToken during = Prepare(id);
  EXPECT_FALSE(Answered(during));
  CommittedAlone(id, OnePhase::kCommitted);
  Found(id, Evidence::kCommittedAlone);
  EXPECT_EQ(VoteOf(during), Vote::kCommittedAlone);
}

TEST_F(BranchTableTest, LookUpThatCannotTell_IsUnavailable) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken prepare = Prepare(id);
  const RequestToken commit = Commit(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kLookUp}) << "one look-up serves both";
  Found(id, Evidence::kUnknown);
  EXPECT_EQ(VoteOf(prepare), Vote::kUnavailable);
  EXPECT_EQ(FinishOf(commit).state, FinishState::kRetry);
  EXPECT_FALSE(FinishOf(commit).protocol_error);
}

TEST_F(BranchTableTest, BranchFoundPreparedByLookUp_IsAdoptedAndVotes) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  const RequestToken prepare = Prepare(id);
  Found(id, Evidence::kPrepared);
  EXPECT_EQ(VoteOf(prepare), Vote::kPrepared);
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
}

TEST_F(BranchTableTest, Scenario18_ForgedBranch_IsRefused) {
  Recover();
  const BranchId real = Start(1);
  BranchId forged = real;
  forged.number += 7;
  EXPECT_EQ(VoteOf(Prepare(forged)), Vote::kRefused);
  EXPECT_TRUE(FinishOf(Commit(forged)).protocol_error);
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(forged)), OnePhaseVerdict::kInvalid);
  // The right number with another transaction's gtid is not this branch.
  BranchId other = real;
  other.gtid = MakeGtid(99);
  const RequestToken token = Prepare(other);
  Found(other, Evidence::kNone);
  EXPECT_EQ(VoteOf(token), Vote::kLost);
  EXPECT_EQ(table_->Stats(now_).active, 1u);
}

}  // namespace
}  // namespace concordat::participant
