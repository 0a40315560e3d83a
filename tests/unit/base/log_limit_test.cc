#include "coordinator/base/log_limit.h"

#include <gtest/gtest.h>

#include "coordinator/base/option_errors.h"

namespace concordat {
namespace {

Timestamp At(int64_t seconds) { return Timestamp::FromMicros(seconds * 1'000'000); }

TEST(LogLimit, OneReason_IsSaidAtOnceAndAgainAfterThePause) {
  LogLimit limit(Duration::Seconds(30));
  EXPECT_TRUE(limit.Admit(At(0), "no leader"));
  EXPECT_FALSE(limit.Admit(At(1), "no leader"));
  EXPECT_FALSE(limit.Admit(At(29), "no leader"));
  EXPECT_EQ(limit.TakeHeldBack(), 2u);
  EXPECT_TRUE(limit.Admit(At(30), "no leader"));
  EXPECT_EQ(limit.TakeHeldBack(), 0u);
}

TEST(LogLimit, EmptyReason_IsAReasonToo) {
  LogLimit limit;
  EXPECT_TRUE(limit.Admit(At(0), ""));
  EXPECT_FALSE(limit.Admit(At(1), ""));
}

TEST(LogLimit, TwoReasonsInTurn_AreOneLineEach) {
  LogLimit limit(Duration::Seconds(30));
  int lines = 0;
  for (int64_t second = 0; second < 30; ++second) {
    if (limit.Admit(At(second), second % 2 == 0 ? "refused" : "lost")) ++lines;
  }
  EXPECT_EQ(lines, 2);
}

TEST(LogLimit, AnotherReason_IsSaidAtOnce) {
  LogLimit limit;
  EXPECT_TRUE(limit.Admit(At(0), "a"));
  EXPECT_TRUE(limit.Admit(At(0), "b"));
  EXPECT_TRUE(limit.Admit(At(0), "c"));
}

TEST(OptionErrors, UnknownNameInAConfigFile_IsSaidToBeOne) {
  EXPECT_NE(ExplainOptionError("INI was not able to parse foo").find("not known"),
            std::string::npos);
}

TEST(OptionErrors, CommasWithoutQuotes_AreNamedAsTheCause) {
  EXPECT_NE(ExplainOptionError("--members: At Most 1 required but received 3")
                .find("in quotes"),
            std::string::npos);
}

TEST(OptionErrors, OtherMessages_StayAsTheyAre) {
  EXPECT_EQ(ExplainOptionError("--id is required"), "--id is required");
}

}  // namespace
}  // namespace concordat
