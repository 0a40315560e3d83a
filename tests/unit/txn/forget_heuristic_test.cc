// An operator has dealt with a heuristic outcome.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ForgetHeuristicTest : public ::testing::Test {
 protected:
  ForgetHeuristicTest() { node.Lead(1); }
  Log log;
  Node node{&log};
};

TEST_F(ForgetHeuristicTest, ForgettingAHeuristic_IsAReplicatedRecord) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  node.CommitLog();
  node.Ack(A(g), FinishState::kHeuristicMixed);
  node.CommitLog();
  const auto forget = node.Submit(ForgetHeuristicRequest{A(g), "ann"});
  EXPECT_THAT(node.Appended(),
              ElementsAre("HEURISTIC 1.1.1/bank-a/5f3c.1 forgotten detail='by ann'"));
  EXPECT_EQ(node.Said(forget), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(forget), "HEURISTIC_FORGOTTEN");
  EXPECT_THAT(node.core().Heuristics(), IsEmpty());
  EXPECT_EQ(node.Said(node.Submit(ForgetHeuristicRequest{A(g), "ann"})), "NO_HEURISTIC");
}

// Its record may reach the log under the next leader. When this node leads again and the
// same is asked for anew, who has been answered is not answered once more.
TEST_F(ForgetHeuristicTest, LeadershipLost_WhatWasAskedForIsNotKnown) {
  const Gtid g = node.NewGtid();
  node.RunToHeuristic(g, A(g));
  const auto asked = node.Submit(ForgetHeuristicRequest{A(g), "ann"});
  EXPECT_EQ(node.Said(asked), "");
  node.Lose();
  EXPECT_EQ(node.Said(asked), "UNDECIDED");
  node.Lead(2);
  const auto anew = node.Submit(ForgetHeuristicRequest{A(g), "ann"});
  node.CommitLog();
  EXPECT_EQ(node.Said(anew), "HEURISTIC_FORGOTTEN");
  EXPECT_FALSE(node.table().heuristics().contains(A(g)));
  EXPECT_EQ(node.Said(asked), "UNDECIDED");
}

}  // namespace
}  // namespace concordat::txn
