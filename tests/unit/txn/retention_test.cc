// When outcomes may be forgotten.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::IsEmpty;

CoreOptions Quick() {
  CoreOptions options;
  options.retention = Duration::Seconds(100);
  options.min_retention = Duration::Seconds(20);
  options.watermark_interval = Duration::Seconds(1);
  options.max_retained = 512;
  return options;
}

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() { node.Lead(1); }
  void PassAndCommit(Duration time) {
    node.Pass(time);
    node.CommitLog();
  }
  Log log;
  Node node{&log, Quick()};
};

TEST_F(RetentionTest, Outcome_IsKeptForTheRetentionAndThenDropped) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  for (int second = 0; second < 99; ++second) {
    PassAndCommit(Duration::Seconds(1));
    ASSERT_EQ(node.Said(node.Outcome(g)), "COMMITTED") << second;
  }
  PassAndCommit(Duration::Seconds(2));
  EXPECT_EQ(node.Said(node.Outcome(g)), "FORGOTTEN");
}

TEST_F(RetentionTest, YoungGtids_AreNeverForgotten_HoweverOldTheirTermIs) {
  for (int round = 0; round < 300; ++round) {
    const Gtid young = node.NewGtid();
    PassAndCommit(Duration::Seconds(1));
    ASSERT_NE(node.table().StateOf(young), TxnState::kForgotten);
  }
  EXPECT_GT(node.table().watermark().sequence, 150u);
}

TEST_F(RetentionTest, NewLeader_CountsEarlierTermsFromItsOwnBeginning) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  node.Pass(Duration::Seconds(90));
  Node next(&log, Quick());
  next.CatchUp();
  next.Lead(2);
  next.Pass(Duration::Seconds(99));
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
  next.Pass(Duration::Seconds(1));
  next.CommitLog();
  EXPECT_EQ(next.table().watermark(), G(2, 0));
  EXPECT_EQ(next.Said(next.Outcome(g)), "FORGOTTEN");
}

TEST_F(RetentionTest, TooMany_AreDroppedEarlierButNotBeforeTheMinimum) {
  std::vector<Gtid> gtids;
  for (int i = 0; i < 1500; ++i) {
    const Gtid g = gtids.emplace_back(node.NewGtid());
    node.Rollback(g);
  }
  node.CommitLog();
  PassAndCommit(Duration::Seconds(19));
  EXPECT_EQ(node.table().ended().size(), 1500u);
  PassAndCommit(Duration::Seconds(2));
  EXPECT_LE(node.table().ended().size(), 512u);
  EXPECT_GE(node.table().ended().size(), 256u);
  EXPECT_EQ(node.table().StateOf(gtids.back()), TxnState::kEnded);
}

TEST_F(RetentionTest, IdleCluster_ProposesNoMoreWatermarks) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  for (int i = 0; i < 200; ++i) PassAndCommit(Duration::Seconds(1));
  const size_t written = log.committed.size();
  for (int i = 0; i < 1000; ++i) PassAndCommit(Duration::Seconds(1));
  EXPECT_EQ(log.committed.size(), written);
}

TEST_F(RetentionTest, WatermarkOnItsWay_IsNotProposedAgain) {
  node.NewGtid();
  node.Pass(Duration::Seconds(150));
  EXPECT_EQ(node.Appended().size(), 1u);
  node.Pass(Duration::Seconds(1));
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.Appended().size(), 1u);
}

// An abort that one branch never acknowledges does not hold the watermark, and is in
// flight no longer when the watermark has passed it.
TEST_F(RetentionTest, UnacknowledgedAbort_IsPassedAndNoLongerInFlight) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Vote(A(g), Vote::kRefused);
  node.CommitLog();
  node.Ack(A(g));
  for (int i = 0; i < 120; ++i) PassAndCommit(Duration::Seconds(1));
  EXPECT_EQ(node.table().StateOf(g), TxnState::kForgotten);
  EXPECT_EQ(node.core().Status().in_progress, 0u);
  EXPECT_EQ(node.core().Status().live, 0u);
}

TEST_F(RetentionTest, AbortForgottenWhileItsEndIsOnTheWay_IsNotDrivenForEver) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Vote(A(g), Vote::kRefused);
  node.CommitLog();
  node.Pass(Duration::Millis(99'900));
  node.Pass(Duration::Millis(1100));  // WATERMARK appended
  ASSERT_EQ(node.Appended().size(), 1u);
  node.Ack(A(g));
  node.Pass(Duration::Millis(100));  // ENDED appended behind it
  ASSERT_EQ(node.Appended().size(), 2u);
  node.CommitLog();
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

}  // namespace
}  // namespace concordat::txn
