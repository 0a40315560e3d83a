// What a client may conclude from the answers to a request that it repeats.
#include "coordinator/client/request_fate.h"

#include <gtest/gtest.h>

#include <vector>

namespace concordat::client {
namespace {

constexpr Answer kBegunByNobody[] = {Answer::kForgotten, Answer::kNotFound,
                                     Answer::kNotLeader, Answer::kNotReady,
                                     Answer::kRefused,   Answer::kRefusedByOther};
constexpr Answer kPerhapsBegun[] = {Answer::kUndecided, Answer::kNoAnswer};

RequestFate After(const std::vector<Answer>& answers) {
  RequestFate fate;
  for (const Answer answer : answers) (void)fate.Hear(answer);
  return fate;
}

TEST(RequestFate, FinalAnswer_StopsWhateverCameBefore) {
  for (const Answer before : kPerhapsBegun) {
    RequestFate fate = After({before});
    EXPECT_EQ(fate.Hear(Answer::kFinal), NextStep::kStop);
    EXPECT_EQ(fate.verdict(), Verdict::kAnswered);
  }
}

TEST(RequestFate, OnlyNotBegun_NothingIsBegun) {
  EXPECT_EQ(RequestFate().verdict(), Verdict::kNothingBegun);
  for (const Answer one : kBegunByNobody) {
    for (const Answer other : kBegunByNobody) {
      EXPECT_EQ(After({one, other}).verdict(), Verdict::kNothingBegun);
    }
  }
}

TEST(RequestFate, Scenario76_OnceItMayHaveBegun_NoLaterRefusalTakesThatBack) {
  for (const Answer begun : kPerhapsBegun) {
    for (const Answer later : kBegunByNobody) {
      EXPECT_EQ(After({begun, later}).verdict(), Verdict::kUnknown);
      EXPECT_EQ(After({later, begun, later}).verdict(), Verdict::kUnknown);
    }
  }
}

TEST(RequestFate, Scenario76_RefusalAfterItMayHaveBegun_IsNotTheEnd) {
  for (const Answer begun : kPerhapsBegun) {
    RequestFate fate = After({begun});
    EXPECT_EQ(fate.Hear(Answer::kRefused), NextStep::kAskOther);
    EXPECT_EQ(fate.Hear(Answer::kNotLeader), NextStep::kAskOther);
    EXPECT_EQ(fate.Hear(Answer::kRefused), NextStep::kAskOther);
    EXPECT_EQ(fate.Hear(Answer::kFinal), NextStep::kStop);
  }
}

TEST(RequestFate, RefusalOfTheLeader_IsTheEndOfWhatNobodyHasBegun) {
  RequestFate fate = After({Answer::kNotLeader, Answer::kNotReady});
  EXPECT_EQ(fate.Hear(Answer::kRefused), NextStep::kStop);
  EXPECT_EQ(fate.verdict(), Verdict::kNothingBegun);
}

TEST(RequestFate, Scenario77_RefusalOfANodeThatDoesNotLead_SendsTheCallerOn) {
  RequestFate fate;
  EXPECT_EQ(fate.Hear(Answer::kRefusedByOther), NextStep::kAskOther);
  EXPECT_EQ(fate.verdict(), Verdict::kNothingBegun);
}

TEST(RequestFate, Forgotten_IsTheEnd_AndSaysNothingOfAnEarlierAttempt) {
  for (const Answer end : {Answer::kForgotten, Answer::kNotFound}) {
    RequestFate first, second = After({Answer::kNoAnswer});
    EXPECT_EQ(first.Hear(end), NextStep::kStop);
    EXPECT_EQ(second.Hear(end), NextStep::kStop);
    EXPECT_EQ(first.verdict(), Verdict::kNothingBegun);
    EXPECT_EQ(second.verdict(), Verdict::kUnknown);
  }
}

TEST(RequestFate, NodeThatWillKnow_IsAskedAgain) {
  RequestFate fate;
  EXPECT_EQ(fate.Hear(Answer::kNotReady), NextStep::kAskSame);
  EXPECT_EQ(fate.Hear(Answer::kUndecided), NextStep::kAskSame);
  EXPECT_EQ(fate.Hear(Answer::kNoAnswer), NextStep::kAskOther);
}

TEST(RequestFate, HeardBefore_CountsAsBegun) {
  RequestFate fate(/*heard_before=*/true);
  EXPECT_EQ(fate.Hear(Answer::kRefused), NextStep::kAskOther);
  EXPECT_EQ(fate.verdict(), Verdict::kUnknown);
}

}  // namespace
}  // namespace concordat::client
