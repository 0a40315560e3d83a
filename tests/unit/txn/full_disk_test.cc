// A leader without room for new work (scenario 88): the log's reserve is for what is
// staged, and nobody else comes near it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

constexpr const char* kFull = "REFUSED overloaded: the coordinator's disk is full";

class FullDiskTest : public ::testing::Test {
 protected:
  FullDiskTest() { node.Lead(1); }
  void SetFull(bool full) { node.core().AdmitNewWork(!full); }

  Log log;
  Node node{&log};
};

TEST_F(FullDiskTest, Scenario88_RollbacksAndInquiriesOfWhatNobodyStaged_AreRefused) {
  const Gtid unknown = node.NewGtid(), enlisted = node.NewGtid();
  node.Enlist(A(enlisted));
  node.CommitLog();
  SetFull(true);
  for (const Gtid& gtid : {unknown, enlisted}) {
    EXPECT_THAT(node.Said(node.Rollback(gtid, {A(gtid)})), StartsWith(kFull));
    EXPECT_THAT(node.Said(node.Inquire(A(gtid))), StartsWith(kFull));
  }
  EXPECT_THAT(node.Appended(), IsEmpty());
  SetFull(false);
  const auto inquiry = node.Inquire(A(unknown));
  const auto rollback = node.Rollback(enlisted);
  node.CommitLog();
  EXPECT_EQ(node.Said(inquiry), "BRANCH rollback");
  EXPECT_THAT(node.Said(rollback), StartsWith("ABORTED"));
}

// Only an enlistment is on its way: nothing of it is staged.
TEST_F(FullDiskTest, Scenario88_EnlistedAMomentAgo_IsNewWorkToo) {
  const Gtid g = node.NewGtid();
  node.Enlist(A(g));
  SetFull(true);
  EXPECT_THAT(node.Said(node.Commit(g, {A(g)})), StartsWith(kFull));
  EXPECT_THAT(node.Said(node.Rollback(g)), StartsWith(kFull));
  EXPECT_THAT(node.Said(node.Inquire(A(g))), StartsWith(kFull));
  EXPECT_THAT(node.Said(node.Enlist(B(g))), StartsWith(kFull));
  EXPECT_THAT(node.Appended(), ElementsAre(StartsWith("ENLISTED")));
}

TEST_F(FullDiskTest, Scenario88_WhatOperatorsChange_IsRefused) {
  const Gtid g = node.NewGtid();
  node.RunToHeuristic(g, A(g));
  node.Pass(Duration::Seconds(60));
  node.CommitLog();
  SetFull(true);
  EXPECT_THAT(node.Said(node.Submit(ForgetHeuristicRequest{A(g), "an operator"})),
              StartsWith(kFull));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

// A day of it: branches that ask, clients that roll back.
TEST_F(FullDiskTest, Scenario88_ADayOnAFullDisk_AppendsNothing) {
  const Gtid g = node.NewGtid(), unknown = node.NewGtid();
  node.Commit(g, {A(g)});
  node.CommitLog();
  SetFull(true);
  node.Prepared({A(g)});
  EXPECT_THAT(node.Appended(), ElementsAre(StartsWith("DECIDED")));
  node.CommitLog();
  node.Ack(A(g));
  node.Pass(Duration::Seconds(1));
  EXPECT_THAT(node.Appended(), ElementsAre(StartsWith("ENDED")));
  node.CommitLog();
  for (int minute = 2; minute < 24 * 60; ++minute) {
    node.Pass(Duration::Seconds(60));
    node.Inquire(A(unknown));
    node.Rollback(unknown);
  }
  EXPECT_THAT(node.Appended(), IsEmpty());
  EXPECT_EQ(node.Said(node.Outcome(g)), "COMMITTED") << "nothing is forgotten meanwhile";
}

}  // namespace
}  // namespace concordat::txn
