// Starts, calls, time and inquiries. Numbers are those of the scenarios.
#include "tests/unit/sdk/branch_fixture.h"

namespace concordat::participant {
namespace {

using Kinds = std::vector<CommandKind>;

TEST_F(BranchTableTest, Rule10_BranchIdIsNeverUsedTwice) {
  Recover();
  const BranchId a = Start(1);
  const BranchId b = Start(1);
  EXPECT_NE(a, b);
  EXPECT_EQ(a.incarnation, kThisIncarnation);
  table_->StartFailed(b);
  EXPECT_NE(Start(1), b);
}

TEST_F(BranchTableTest, Start_OverTheLimit_IsRefused) {
  BranchTableOptions options;
  options.max_branches = 2;
  Reset(options);
  Recover();
  const BranchId a = Start(1);
  Start(2);
  EXPECT_EQ(table_->Start(MakeGtid(3), Duration(), now_).refusal,
            StartRefusal::kOverloaded);
  Rollback(a);
  RolledBack(a);
  EXPECT_EQ(table_->Start(MakeGtid(3), Duration(), now_).refusal, StartRefusal::kNone);
}

// A database does not know that two branches belong to one transaction: the second would
// wait for the first, which ends only after the second has voted.
TEST_F(BranchTableTest, Scenario102_SecondBranchOfATransaction_IsRefusedAtOnce) {
  BranchTableOptions options;
  options.one_branch_a_transaction = true;
  Reset(options);
  Recover();
  const BranchId first = Start(1);
  Start(2);
  StartResult second = table_->Start(MakeGtid(1), Duration(), now_);
  EXPECT_EQ(second.refusal, StartRefusal::kSecond);
  EXPECT_EQ(second.branch, first);
  // A branch that was not begun, or has ended, is in nobody's way.
  Rollback(first);
  RolledBack(first);
  table_->StartFailed(Start(1));
  const BranchId third = Start(1);
  Prepare(third);
  EXPECT_EQ(table_->Start(MakeGtid(1), Duration(), now_).refusal, StartRefusal::kSecond);
}

TEST_F(BranchTableTest, Scenario102_PreparedBeforeTheStart_IsTheTransactionsBranch) {
  BranchTableOptions options;
  options.one_branch_a_transaction = true;
  Reset(options);
  Recover({{OfEarlierIncarnation(1), Duration()}});
  const StartResult second = table_->Start(MakeGtid(1), Duration(), now_);
  EXPECT_EQ(second.refusal, StartRefusal::kSecond);
  EXPECT_EQ(second.branch, OfEarlierIncarnation(1));
  Rollback(OfEarlierIncarnation(1));
  RolledBack(OfEarlierIncarnation(1));
  Start(1);
}

TEST_F(BranchTableTest, Start_BelowTheWatermark_IsRefused) {
  Recover();
  table_->OnWatermark(MakeGtid(10));
  EXPECT_EQ(table_->Start(MakeGtid(9), Duration(), now_).refusal, StartRefusal::kTooOld);
  EXPECT_EQ(table_->Start(MakeGtid(10), Duration(), now_).refusal, StartRefusal::kNone);
  table_->OnWatermark(MakeGtid(5));  // never goes back
  EXPECT_EQ(table_->Start(MakeGtid(9), Duration(), now_).refusal, StartRefusal::kTooOld);
}

TEST_F(BranchTableTest, Start_AfterStopStarting_IsUnavailable) {
  Recover();
  table_->StopStarting();
  EXPECT_EQ(table_->Start(MakeGtid(1), Duration(), now_).refusal,
            StartRefusal::kUnavailable);
}

TEST_F(BranchTableTest, Execute_RepeatOfTheLastNumber_GetsTheLastAnswerAndRunsNothing) {
  Recover();
  const BranchId id = Start();
  const RequestToken first = Execute(id, 1);
  const RequestToken joined = Execute(id, 1);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kExecute});
  Executed(id, "balance 5");
  EXPECT_EQ(TextOf(first), "balance 5");
  EXPECT_EQ(TextOf(joined), "balance 5");
  EXPECT_EQ(TextOf(Execute(id, 1)), "balance 5");
  EXPECT_TRUE(TakeCommands().empty());
}

TEST_F(BranchTableTest, Scenario96_AnswersKeptForIdleBranches_AreBoundedTogether) {
  BranchTableOptions options;
  options.max_kept_reply_bytes = 1000;
  Reset(options);
  Recover();
  std::vector<BranchId> branches;
  for (uint64_t i = 1; i <= 5; ++i) {
    branches.push_back(Start(i));
    Execute(branches.back(), 1);
    Executed(branches.back(), std::string(300, 'x'));
    EXPECT_LE(table_->Stats(now_).kept_reply_bytes, 1000u);
  }
  TakeCommands();
  EXPECT_EQ(TextOf(Execute(branches[4], 1)), std::string(300, 'x'));
  EXPECT_EQ(TextOf(Execute(branches[2], 1)), std::string(300, 'x'));
  // The oldest replies are dropped. Such a branch goes on as long as nobody asks for the
  // reply.
  Execute(branches[1], 2);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kExecute});
  const ExecuteAnswer answer = ExecuteOf(Execute(branches[0], 1));
  EXPECT_EQ(answer.verdict, ExecuteVerdict::kBranchGone);
  EXPECT_NE(answer.detail.find("not kept any more"), std::string::npos);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  // A branch that ends gives up its reply.
  for (const BranchId& id : branches) {
    Rollback(id);
    RolledBack(id);
  }
  EXPECT_EQ(table_->Stats(now_).kept_reply_bytes, 0u);
}

TEST_F(BranchTableTest, Scenario96_AnswerLargerThanTheBound_IsKeptWhileItIsTheNewest) {
  BranchTableOptions options;
  options.max_kept_reply_bytes = 10;
  Reset(options);
  Recover();
  const BranchId a = Start(1);
  Execute(a, 1);
  Executed(a, "more than ten bytes");
  EXPECT_EQ(TextOf(Execute(a, 1)), "more than ten bytes");
}

TEST_F(BranchTableTest, Execute_LowerOrSkippingNumber_IsRefused) {
  Recover();
  const BranchId id = Start();
  EXPECT_EQ(ExecuteOf(Execute(id, 2)).verdict, ExecuteVerdict::kWrongNumber);
  EXPECT_EQ(ExecuteOf(Execute(id, 0)).verdict, ExecuteVerdict::kWrongNumber);
  Execute(id, 1);
  EXPECT_EQ(ExecuteOf(Execute(id, 2)).verdict, ExecuteVerdict::kWrongNumber)
      << "one call at a time";
  Executed(id, "one");
  Execute(id, 2);
  Executed(id, "two");
  EXPECT_EQ(ExecuteOf(Execute(id, 1)).verdict, ExecuteVerdict::kWrongNumber);
  EXPECT_EQ(TextOf(Execute(id, 2)), "two");
}

TEST_F(BranchTableTest, Execute_ThatEndsTheBranch_LeavesNothing) {
  Recover();
  const BranchId id = Start();
  const RequestToken work = Execute(id, 1);
  Executed(id, "conflict", AfterExecute::kOver);
  EXPECT_EQ(TextOf(work), "conflict");
  EXPECT_EQ(table_->Stats(now_).held, 0u);
  EXPECT_EQ(ExecuteOf(Execute(id, 2)).verdict, ExecuteVerdict::kBranchGone);
}

TEST_F(BranchTableTest, Execute_AfterPrepare_IsGone) {
  Recover();
  const BranchId id = StartPrepared();
  EXPECT_EQ(ExecuteOf(Execute(id, 1)).verdict, ExecuteVerdict::kBranchGone);
}

TEST_F(BranchTableTest, ActiveBranch_WithoutCalls_IsRolledBackAlone) {
  Recover();
  const BranchId id = Start();
  Advance(options_.idle_timeout - Duration::Seconds(1));
  Execute(id, 1);
  Executed(id, "still here");
  TakeCommands();
  Advance(options_.idle_timeout - Duration::Millis(1));
  EXPECT_TRUE(TakeCommands().empty());
  Advance(Duration::Millis(100));
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  EXPECT_EQ(CountEvents(EventKind::kIdleRollback), 1u);
  RolledBack(id);
  EXPECT_EQ(table_->Stats(now_).held, 0u);
}

TEST_F(BranchTableTest, IdleRollbackThatFails_IsTriedAgain) {
  Recover();
  const BranchId id = Start();
  Advance(options_.idle_timeout);
  RolledBack(id, FinishState::kRetry);
  TakeCommands();
  Advance(options_.scan_interval);
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
}

TEST_F(BranchTableTest, Call_ThatWaitsLongerThanItsCaller_RollsTheBranchBack) {
  Recover();
  const BranchId id = Start();
  const RequestToken work = Execute(id, 1);  // ends after 5 s
  TakeCommands();
  Advance(Duration::Millis(4900));
  EXPECT_TRUE(TakeCommands().empty());
  Advance(Duration::Millis(200));
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
  EXPECT_EQ(CountEvents(EventKind::kOverdueRollback), 1u);
  Executed(id, "cancelled",
           AfterExecute::kOver);  // what its database says does not count
  EXPECT_EQ(ExecuteOf(work).verdict, ExecuteVerdict::kTimedOut);
  RolledBack(id);
}

TEST_F(BranchTableTest, Scenario32_PreparedBranch_IsHeldForHoursAndNeverEndedAlone) {
  Recover({{OfEarlierIncarnation(1), Duration()}});
  const BranchId id = StartPrepared(2);
  for (int minute = 0; minute < 300; ++minute) Advance(Duration::Seconds(60));
  EXPECT_TRUE(TakeCommands().empty());
  const BranchTableStats stats = table_->Stats(now_);
  EXPECT_EQ(stats.in_doubt, 2u);
  EXPECT_EQ(stats.oldest_in_doubt, Duration::Seconds(300 * 60));
  EXPECT_EQ(VoteOf(Prepare(id)), Vote::kPrepared);
}

TEST_F(BranchTableTest, BranchInDoubt_AsksAfterAWhileThenBacksOff) {
  Recover();
  const BranchId id = StartPrepared();
  Advance(Duration::Millis(1900));
  EXPECT_TRUE(inquiries_.empty());
  Advance(Duration::Millis(200));
  EXPECT_EQ(inquiries_, std::vector<BranchId>{id});
  table_->OnInquiryAnswer(id, InquiryAnswer::kWait, now_);
  Advance(Duration::Millis(2100));
  EXPECT_EQ(inquiries_.size(), 2u);
  Advance(Duration::Millis(2100));
  EXPECT_EQ(inquiries_.size(), 2u);
  Advance(Duration::Millis(2100));
  EXPECT_EQ(inquiries_.size(), 3u);
  inquiries_.clear();
  for (int i = 0; i < 300; ++i) Advance(Duration::Seconds(1));
  EXPECT_GE(inquiries_.size(), 300u / 30);
  EXPECT_LE(inquiries_.size(), 300u / 30 + 3);
  EXPECT_EQ(CountEvents(EventKind::kInquiry), 1u);
}

TEST_F(BranchTableTest, Scenario24_RecoveredBranch_AsksAndIsSettledByTheAnswer) {
  const BranchId commit = OfEarlierIncarnation(1);
  const BranchId rollback = OfEarlierIncarnation(2);
  Recover({{commit, Duration()}, {rollback, Duration()}});
  EXPECT_EQ(CountEvents(EventKind::kRecovered), 2u);
  Advance(Duration::Seconds(3));
  EXPECT_EQ(inquiries_.size(), 2u);
  table_->OnInquiryAnswer(commit, InquiryAnswer::kCommit, now_);
  table_->OnInquiryAnswer(rollback, InquiryAnswer::kRollback, now_);
  Drain();
  EXPECT_EQ(TakeCommands(), (Kinds{CommandKind::kCommit, CommandKind::kRollback}));
  // The coordinator's own COMMIT joins.
  const RequestToken token = Commit(commit);
  Committed(commit, FinishState::kDone);
  RolledBack(rollback);
  EXPECT_EQ(FinishOf(token).state, FinishState::kDone);
  EXPECT_EQ(table_->Stats(now_).held, 0u);
}

TEST_F(BranchTableTest, Scenario65_BranchOutsideTheDecidedSet_IsToldRollback) {
  Recover();
  const BranchId id = StartPrepared();
  Advance(Duration::Seconds(3));
  table_->OnInquiryAnswer(id, InquiryAnswer::kRollback, now_);
  Drain();
  EXPECT_EQ(TakeCommands(), Kinds{CommandKind::kRollback});
}

TEST_F(BranchTableTest, InquiryAnswer_ForABranchThatIsNotPrepared_ChangesNothing) {
  Recover();
  const BranchId active = Start();
  table_->OnInquiryAnswer(active, InquiryAnswer::kCommit, now_);
  table_->OnInquiryAnswer(OfEarlierIncarnation(9), InquiryAnswer::kCommit, now_);
  Drain();
  EXPECT_TRUE(TakeCommands().empty());
  EXPECT_EQ(table_->Stats(now_).active, 1u);
}

TEST_F(BranchTableTest,
       Scenario75_BranchPreparedByTheApplication_IsLeftAloneUntilItsTime) {
  Recover();
  const BranchId id = OfEarlierIncarnation(1);
  table_->Adopt({id, Duration::Seconds(60)}, now_);
  Drain();
  Advance(Duration::Seconds(59));
  EXPECT_TRUE(inquiries_.empty());
  Advance(Duration::Seconds(2));
  EXPECT_EQ(inquiries_, std::vector<BranchId>{id});
}

TEST_F(BranchTableTest, Watermark_IsHandedToTheResourceManagerOnce) {
  Recover();
  table_->OnWatermark(MakeGtid(10));
  table_->OnWatermark(MakeGtid(10));
  table_->OnWatermark(MakeGtid(9));
  table_->OnWatermark(Gtid{GroupId(2), Term(1), 1});
  Drain();
  ASSERT_EQ(commands_.size(), 2u);
  EXPECT_EQ(commands_[0].branch.gtid, MakeGtid(10));
  EXPECT_EQ(commands_[1].branch.gtid.group, GroupId(2));
}

TEST_F(BranchTableTest, RollBackActive_LeavesPreparedBranches) {
  Recover();
  StartPrepared(1);
  Start(2);
  Start(3);
  table_->RollBackActive(now_);
  Drain();
  EXPECT_EQ(TakeCommands(), (Kinds{CommandKind::kRollback, CommandKind::kRollback}));
  EXPECT_EQ(table_->Stats(now_).in_doubt, 1u);
}

TEST_F(BranchTableTest, Held_ListsWhatIsNotOver) {
  Recover();
  const BranchId prepared = StartPrepared(1);
  const BranchId active = Start(2);
  Advance(Duration::Seconds(1));
  const std::vector<HeldBranch> held = table_->Held(now_);
  ASSERT_EQ(held.size(), 2u);
  EXPECT_EQ(held[0].branch, prepared);
  EXPECT_EQ(held[0].state, BranchState::kPrepared);
  EXPECT_EQ(held[0].age, Duration::Seconds(1));
  EXPECT_EQ(held[1].branch, active);
}

}  // namespace
}  // namespace concordat::participant
