// One test, or more, for each of the ten rules of docs/protocol.md. Without any one of
// them a model of the protocol shows a client that is told two things, or a branch
// that commits while another rolls back.
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

std::string Aborted(const Gtid& gtid, AbortCause cause = AbortCause::kRefused) {
  return EncodeRecord(DecidedRecord{gtid, Outcome::kAborted, cause, "elsewhere", ""});
}

class RulesTest : public ::testing::Test {
 protected:
  RulesTest() { node.Lead(1); }

  // What another leader had put into the log before.
  void Overtaken(const std::string& record) {
    log.committed.push_back(record);
    node.CatchUp();
  }

  Log log;
  Node node{&log};
};

TEST_F(RulesTest, Rule01_TheLogDecides_FirstDecisionWinsOverTheOneAppendedHere) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  node.CommitLog(1);  // STAGED
  ASSERT_THAT(node.Appended(), ElementsAre("DECIDED 1.1.1 committed"));
  Overtaken(Aborted(g));
  node.CommitLog();
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED refused"));
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
}

TEST_F(RulesTest, Rule01_TheLogDecides_FirstStagedFixesTheSet) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  Overtaken(EncodeRecord(StagedRecord{g, {C(g)}, 9000, CommitMode::kDecided}));
  node.CommitLog();  // its own STAGED changes nothing
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 1);
  node.Prepared({C(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, C(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
}

TEST_F(RulesTest, Rule01_TheLogDecides_NothingIsAnsweredForWhatIsOnlyAppended) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  EXPECT_THAT(node.Appended(), ElementsAre(StartsWith("STAGED")));  // and no decision
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 1);
}

TEST_F(RulesTest, Rule02_AbortAppended_IsNeverAnsweredCommitted) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)}, CommitMode::kParallel, 1000);
  node.Prepared({A(g)});
  node.Pass(Duration::Millis(1001));
  ASSERT_THAT(node.Appended(),
              ElementsAre(StartsWith("STAGED"), HasSubstr("cause=timed-out")));
  node.Prepared({B(g)});  // all votes are in
  node.CommitLog(1);      // and STAGED is log-committed
  EXPECT_EQ(node.Said(commit), "");
  const auto again = node.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  EXPECT_EQ(node.Said(again), "");
  EXPECT_THAT(node.Appended(), ElementsAre(HasSubstr("cause=timed-out")));
  node.CommitLog();
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED timed-out"));
  EXPECT_THAT(node.Said(again), StartsWith("ABORTED timed-out"));
}

TEST_F(RulesTest, Rule02_OneLeaderAppendsOneDecision) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Vote(A(g), Vote::kRefused);
  node.Vote(B(g), Vote::kRefused);
  const auto rollback = node.Rollback(g);
  const auto inquiry = node.Inquire(A(g));
  node.Pass(Duration::Seconds(20));
  EXPECT_EQ(node.Appended().size(), 2u);  // STAGED and one DECIDED
  EXPECT_EQ(node.Happened(EventKind::kDeciding), 1);
  node.CommitLog();
  EXPECT_THAT(node.Said(rollback), StartsWith("ABORTED refused"));
  EXPECT_EQ(node.Said(inquiry), "BRANCH wait");  // it had waited long enough
}

TEST_F(RulesTest, Rule03_Refused_ProvesNothing_TheAnswerWaitsForTheLog) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  node.Vote(A(g), Vote::kRefused, "not there");
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 0);
  // The branch was not there because it had been committed and forgotten.
  Overtaken(
      EncodeRecord(DecidedRecord{g, Outcome::kCommitted, AbortCause::kNone, "", ""}));
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  node.CommitLog();
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 0);
}

TEST_F(RulesTest, Rule03_Refused_IsToldAfterTheDecisionIsLogCommitted) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.Vote(A(g), Vote::kRefused, "overdrawn");
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 0);
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit),
            "ABORTED refused: 1.1.1/bank-a/5f3c.1 at resource bank-a refused: overdrawn");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
}

TEST_F(RulesTest, Rule04_OneBranchSet_OthersAreRolledBack) {
  const Gtid g = node.NewGtid();
  const auto first = node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  const auto second = node.Commit(g, {B(g), C(g)});
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 0);  // not before the decision
  const auto stranger = node.Inquire(C(g));
  const auto member = node.Inquire(A(g));
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "COMMITTED");
  EXPECT_EQ(node.Said(second), "COMMITTED");
  EXPECT_EQ(node.Said(member), "BRANCH commit");
  EXPECT_EQ(node.Said(stranger), "BRANCH rollback");
  EXPECT_EQ(node.Sent(Verb::kCommit, C(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 1);
  EXPECT_EQ(node.Said(node.Inquire(C(g))), "BRANCH rollback");
  EXPECT_EQ(node.Said(node.Inquire(B(g))), "BRANCH commit");
}

TEST_F(RulesTest, Rule04_OneBranchSet_HoldsAfterTheEnd) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g), B(g)});
  EXPECT_EQ(node.Said(node.Inquire(C(g))), "BRANCH rollback");
  EXPECT_EQ(node.Said(node.Inquire(A(g))), "BRANCH commit");
  EXPECT_EQ(node.Said(node.Commit(g, {C(g)})), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 0);
  node.Ack(C(g));
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(RulesTest, Rule05_ModeIsThatOfStaged_RetryInParallelIsNotAnsweredEarly) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)}, CommitMode::kDecided);
  node.CommitLog();
  const auto retry = node.Commit(g, {A(g)}, CommitMode::kParallel);
  node.Prepared({A(g)});
  EXPECT_EQ(node.Said(retry), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(retry), "COMMITTED");
}

TEST_F(RulesTest, Rule05_ModeIsThatOfStaged_RetryInDecidedDoesNotExposeToTimeout) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)}, CommitMode::kParallel, 1000);
  node.CommitLog();
  Node next(&log);
  next.CatchUp();
  next.Lead(2);
  const auto retry = next.Commit(g, {A(g)}, CommitMode::kDecided, 1000);
  next.Pass(Duration::Seconds(5));
  EXPECT_THAT(next.Appended(), IsEmpty());
  EXPECT_EQ(next.Happened(EventKind::kTimeoutSuppressed), 1);
  next.Prepared({A(g)});
  EXPECT_EQ(next.Said(retry), "COMMITTED");  // early, as STAGED allows
}

CoreOptions ShortRetention() {
  CoreOptions options;
  options.retention = Duration::Seconds(10);
  options.min_retention = Duration::Seconds(10);
  options.watermark_interval = Duration::Seconds(1);
  return options;
}

class RetentionRuleTest : public ::testing::Test {
 protected:
  RetentionRuleTest() { node.Lead(1); }
  void PassAndCommit(Duration time) {
    node.Pass(time);
    node.CommitLog();
  }
  Log log;
  Node node{&log, ShortRetention()};
};

TEST_F(RetentionRuleTest, Rule06_OutcomesStayAnswerable_UntilTheWatermark) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  PassAndCommit(Duration::Seconds(5));
  EXPECT_EQ(node.Said(node.Outcome(g)), "COMMITTED");
  EXPECT_EQ(node.Said(node.Commit(g, {A(g)})), "COMMITTED");
  PassAndCommit(Duration::Seconds(10));
  EXPECT_EQ(node.table().watermark(), g);
  EXPECT_EQ(node.Said(node.Outcome(g)), "FORGOTTEN");
  EXPECT_EQ(node.Said(node.Rollback(g)), "FORGOTTEN");
  EXPECT_EQ(node.Said(node.Inquire(A(g))), "BRANCH rollback");
}

TEST_F(RetentionRuleTest, Rule06_Watermark_WaitsForEveryAcknowledgement) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  node.Ack(A(g));
  PassAndCommit(Duration::Seconds(60));
  EXPECT_LT(node.table().watermark(), g);
  EXPECT_EQ(node.Said(node.Inquire(B(g))), "BRANCH commit");
  node.Ack(B(g));
  PassAndCommit(Duration::Millis(200));
  PassAndCommit(Duration::Seconds(2));
  EXPECT_EQ(node.table().watermark(), g);
}

TEST_F(RetentionRuleTest, Rule06_BelowTheWatermark_NothingIsStaged) {
  const Gtid late = node.NewGtid();  // its client takes its time
  PassAndCommit(Duration::Seconds(12));
  ASSERT_EQ(node.table().watermark(), late);
  EXPECT_EQ(node.Said(node.Commit(late, {A(late)})), "FORGOTTEN");
  EXPECT_THAT(node.Appended(), IsEmpty());
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(late)), 0);
}

// The commit request crosses the watermark on its way through the log.
TEST_F(RetentionRuleTest, Rule06_StagedBehindTheWatermark_IsForgottenAndRolledBack) {
  const Gtid g = node.NewGtid();
  node.Pass(Duration::Seconds(12));
  ASSERT_THAT(node.Appended(), ElementsAre("WATERMARK 1.1.1"));
  const auto commit = node.Commit(g, {A(g)}, CommitMode::kParallel);
  const auto inquiry = node.Inquire(A(g));
  node.Prepared({A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "FORGOTTEN");
  EXPECT_EQ(node.Said(inquiry), "BRANCH rollback");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(RulesTest, Rule07_RollbackOfAnUnknownGtid_IsADecisionInTheLog) {
  const Gtid g = node.NewGtid();
  const auto rollback = node.Rollback(g, {A(g)});
  ASSERT_THAT(node.Appended(),
              ElementsAre("DECIDED 1.1.1 aborted cause=rolled-back by='the test' "
                          "detail='changed its mind'"));
  EXPECT_EQ(node.Said(rollback), "");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 0);
  node.CommitLog();
  EXPECT_EQ(node.Said(rollback), "ABORTED rolled-back: changed its mind");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  const auto commit = node.Commit(g, {A(g)});
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED rolled-back"));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST_F(RulesTest, Rule08_ReadOnlyInParallel_AnswerWaitsForTheDecision) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  node.Prepared({A(g)});
  node.Vote(B(g), Vote::kReadOnly);
  node.CommitLog(1);  // STAGED
  EXPECT_EQ(node.Said(commit), "");
  node.CommitLog(1);  // DECIDED
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kCommit, B(g)), 0);  // it is over
}

TEST_F(RulesTest, Rule08_AllPreparedInParallel_IsAnsweredWithStaged) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)}, CommitMode::kParallel);
  node.Prepared({A(g), B(g)});
  EXPECT_EQ(node.Said(commit), "");
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_THAT(node.Appended(), ElementsAre("DECIDED 1.1.1 committed"));
}

TEST_F(RulesTest, Rule09_RetryIsNeverCompared_ItAttaches) {
  const Gtid g = node.NewGtid();
  const auto first = node.Commit(g, {A(g), B(g)});
  const auto none = node.Commit(g, {});
  const auto fewer = node.Commit(g, {A(g)});
  node.CommitLog();
  const auto other = node.Commit(g, {C(g)});
  EXPECT_THAT(node.Appended(), IsEmpty());
  EXPECT_EQ(node.table().FindLive(g)->branches, (std::vector<BranchId>{A(g), B(g)}));
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  const auto after = node.Commit(g, {});
  for (const auto token : {first, none, fewer, other, after}) {
    EXPECT_EQ(node.Said(token), "COMMITTED");
  }
}

TEST_F(RulesTest, Rule10_CommitIsToldAfterItsRecordIsLogCommitted_AlsoInParallel) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g)}, CommitMode::kParallel);
  const auto inquiry = node.Inquire(A(g));
  node.Prepared({A(g)});
  node.CommitLog(1);
  ASSERT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(node.Said(inquiry), "");
  EXPECT_EQ(node.Said(node.Commit(g, {A(g)})), "COMMITTED");
  node.CommitLog(1);
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(node.Said(inquiry), "BRANCH commit");
}

}  // namespace
}  // namespace concordat::txn
