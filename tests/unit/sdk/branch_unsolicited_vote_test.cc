// Calls that prepare the branch in the same step.
#include "tests/unit/sdk/branch_fixture.h"

namespace concordat::participant {
namespace {

using Kinds = std::vector<CommandKind>;

class UnsolicitedVoteTest : public BranchTableTest {
 protected:
  UnsolicitedVoteTest() { Recover(); }
  // Starts a branch whose call, which may prepare, is running.
  BranchId StartWorking() {
    const BranchId id = Start();
    call_ = Execute(id, 1, /*may_prepare=*/true);
    EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kExecute});
    return id;
  }
  BranchId StartPreparedByItsCall() {
    const BranchId id = StartWorking();
    Executed(id, "prepared", AfterExecute::kPrepared);
    return id;
  }
  RequestToken call_;
  // How long a call of the fixture may take.
  static constexpr Duration kCall = Duration::Seconds(5);
};

TEST_F(UnsolicitedVoteTest, PreparedByItsCall_CommitsWhenTold) {
  const BranchId id = StartPreparedByItsCall();
  EXPECT_EQ(TextOf(call_), "prepared");
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
  const RequestToken commit = Commit(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kCommit});
  Committed(id, FinishState::kDone);
  EXPECT_EQ(FinishOf(commit).state, FinishState::kDone);
}

TEST_F(UnsolicitedVoteTest, RepeatedCall_GetsTheSameAnswerAndNothingRuns) {
  const BranchId id = StartPreparedByItsCall();
  EXPECT_EQ(TextOf(Execute(id, 1, true)), "prepared");
  EXPECT_EQ(ExecuteOf(Execute(id, 2, true)).verdict, ExecuteVerdict::kBranchGone);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(UnsolicitedVoteTest, PrepareBehindIt_RepeatsTheVote) {
  const BranchId id = StartPreparedByItsCall();
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kPrepared);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(UnsolicitedVoteTest, CallThatDidNotPrepare_LeavesAnActiveBranch) {
  const BranchId id = StartWorking();
  Executed(id, "only read");
  const RequestToken vote = Prepare(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kPrepare});
  Prepared(id, Vote::kReadOnly);
  EXPECT_EQ(VoteOf(vote), Vote::kReadOnly);
}

// The caller may still be waiting for a lock at another resource.
TEST_F(UnsolicitedVoteTest, InDoubt_OnlyWhenTheCallerMayHaveGivenUp) {
  const BranchId id = StartPreparedByItsCall();
  Advance(kCall + options_.in_doubt_inquiry - Duration::Millis(1));
  EXPECT_TRUE(inquiries_.empty());
  Advance(options_.scan_interval);
  EXPECT_EQ(inquiries_, std::vector<BranchId>{id});
  table_->OnInquiryAnswer(id, InquiryAnswer::kRollback, now_);
  Drain();
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
}

// The vote may be on its way to the client, and part of a commit by now.
TEST_F(UnsolicitedVoteTest, CallerGivesUpWhileItRuns_OnlyTheCoordinatorEndsIt) {
  const BranchId id = StartWorking();
  EXPECT_EQ(FinishOf(Abandon(id)).state, FinishState::kRetry);
  EXPECT_TRUE(TakeCommands().empty());
  Executed(id, "prepared", AfterExecute::kPrepared);
  EXPECT_EQ(FinishOf(Abandon(id)).state, FinishState::kRetry);
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(UnsolicitedVoteTest, CallerGivesUpAfterItFailed_RolledBack) {
  const BranchId id = StartWorking();
  Executed(id, "no such row");
  const RequestToken abandoned = Abandon(id);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  RolledBack(id);
  EXPECT_EQ(FinishOf(abandoned).state, FinishState::kDone);
}

// The branch has not voted as long as nobody was answered (X/Open DTP, 2.3.2).
TEST_F(UnsolicitedVoteTest, OverdueCall_IsRolledBack_AndItsVoteNeverGoesOut) {
  const BranchId id = StartWorking();
  Advance(kCall);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  Executed(id, "gone", AfterExecute::kOver);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kLost);
  RolledBack(id);
  EXPECT_EQ(table_->Stats(now_).held, 0u);
}

// The resource manager had prepared the branch when the rollback was begun.
TEST_F(UnsolicitedVoteTest, VoteThatCrossesARollback_NeverGoesOut) {
  const BranchId id = StartWorking();
  Advance(kCall);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  Executed(id, "prepared", AfterExecute::kPrepared);
  EXPECT_EQ(ExecuteOf(call_).verdict, ExecuteVerdict::kTimedOut);
  // The store could not roll the branch back yet: it is kept, and nobody can commit it.
  RolledBack(id, FinishState::kRetry);
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kLost);
  EXPECT_TRUE(FinishOf(Commit(id)).protocol_error);
  const RequestToken rollback = Rollback(id);
  RolledBack(id);
  EXPECT_EQ(FinishOf(rollback).state, FinishState::kDone);
}

TEST_F(UnsolicitedVoteTest, PrepareWhileItRuns_IsRefused) {
  const BranchId id = StartWorking();
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kRefused);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
}

TEST_F(UnsolicitedVoteTest, CommitInOnePhaseBehindIt_IsInvalid) {
  const BranchId id = StartPreparedByItsCall();
  EXPECT_EQ(OnePhaseOf(CommitOnePhase(id)), OnePhaseVerdict::kInvalid);
}

}  // namespace
}  // namespace concordat::participant
