#include "coordinator/base/leader_finder.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace concordat {
namespace {

class LeaderFinderTest : public ::testing::Test {
 protected:
  // The nodes that are asked when none answers, from the current one on.
  std::vector<std::string> Round() {
    std::vector<std::string> asked;
    for (size_t i = 0; i < nodes_.size(); ++i) {
      asked.push_back(nodes_.current());
      nodes_.MoveOn(asked.back());
    }
    return asked;
  }

  LeaderFinder nodes_{{"a", "b", "c"}};
};

using Names = std::vector<std::string>;

TEST_F(LeaderFinderTest, NodeThatLeads_IsAskedAgain) {
  EXPECT_EQ(nodes_.current(), "a");
  EXPECT_FALSE(nodes_.Follow("a", ""));
  EXPECT_FALSE(nodes_.Follow("a", "a"));
  EXPECT_EQ(nodes_.current(), "a");
}

TEST_F(LeaderFinderTest, HintOfAKnownNode_IsFollowed) {
  EXPECT_TRUE(nodes_.MoveOn("a", "c"));
  EXPECT_EQ(nodes_.current(), "c");
  EXPECT_EQ(nodes_.size(), 3u);
}

TEST_F(LeaderFinderTest, HintOfAnUnknownNode_IsFollowedAndKept) {
  EXPECT_TRUE(nodes_.Follow("a", "d"));
  EXPECT_EQ(Round(), (Names{"d", "a", "b", "c"}));
}

TEST_F(LeaderFinderTest, Failures_MoveOnThroughTheListAndAround) {
  EXPECT_EQ(Round(), (Names{"a", "b", "c"}));
  EXPECT_EQ(nodes_.current(), "a");
}

TEST_F(LeaderFinderTest, NodeThatNamesItselfAndFails_IsLeft) {
  EXPECT_FALSE(nodes_.MoveOn("a", "a"));
  EXPECT_EQ(nodes_.current(), "b");
}

TEST_F(LeaderFinderTest, LateAnswerOfAnEarlierNode_ChangesNothing) {
  nodes_.MoveOn("a", "c");
  EXPECT_TRUE(nodes_.MoveOn("a"));
  EXPECT_TRUE(nodes_.MoveOn("a", "b"));
  EXPECT_TRUE(nodes_.Follow("a", "d"));
  EXPECT_EQ(nodes_.current(), "c");
  EXPECT_EQ(nodes_.size(), 3u);
}

TEST_F(LeaderFinderTest, FullList_TakesNoMoreHints) {
  for (size_t i = nodes_.size(); i < LeaderFinder::kMaxNodes; ++i) {
    ASSERT_TRUE(nodes_.Add("n" + std::to_string(i)));
  }
  EXPECT_TRUE(nodes_.Add("b"));
  EXPECT_FALSE(nodes_.Add("x"));
  EXPECT_FALSE(nodes_.MoveOn("a", "x"));
  EXPECT_EQ(nodes_.current(), "b");
  nodes_.Choose("x");
  EXPECT_EQ(nodes_.current(), "b");
}

TEST_F(LeaderFinderTest, SingleNode_IsAskedAgain) {
  LeaderFinder one({"a"});
  EXPECT_FALSE(one.MoveOn("a"));
  EXPECT_EQ(one.current(), "a");
}

TEST(LeaderSearchPausesTest, NoLeaderFound_PausesDoubleUpToTheLongest) {
  LeaderSearchPauses pauses;
  std::vector<int64_t> millis;
  for (int i = 0; i < 6; ++i) millis.push_back(pauses.Next(false).millis());
  EXPECT_EQ(millis, (std::vector<int64_t>{10, 20, 40, 80, 100, 100}));
}

TEST(LeaderSearchPausesTest, TwoNodesThatNameEachOther_PauseBetweenTwoHints) {
  LeaderSearchPauses pauses;
  EXPECT_EQ(pauses.Next(true), Duration());
  EXPECT_EQ(pauses.Next(true), LeaderSearchPauses::kFirst);
  EXPECT_EQ(pauses.Next(true), Duration());
  EXPECT_EQ(pauses.Next(true), LeaderSearchPauses::kFirst * 2);
}

}  // namespace
}  // namespace concordat
