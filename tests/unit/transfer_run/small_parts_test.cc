#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "examples/transfer/options.h"
#include "examples/transfer/statistics.h"
#include "examples/transfer/work.h"

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;

Timestamp At(int64_t millis) { return Timestamp::FromMicros(millis * 1000); }

TEST(Statistics, LongestWait_IsOfTransfersAroundTheFaultOnly) {
  Statistics statistics;
  statistics.RecordEnd(At(0), At(900), Told::kCommitted);  // over before the fault
  const size_t fault = statistics.BeginFault(At(1000));
  statistics.RecordEnd(At(950), At(1400), Told::kCommitted);  // under way
  statistics.EndFault(fault, At(2000));
  statistics.RecordEnd(At(1900), At(2300), Told::kRefused);    // begun before its end
  statistics.RecordEnd(At(2001), At(9000), Told::kCommitted);  // after it
  EXPECT_EQ(statistics.LongestWait(fault), Duration::Millis(450));
  EXPECT_EQ(statistics.counts().committed, 3u);
  EXPECT_EQ(statistics.counts().finished(), 4u);
}

TEST(Statistics, Recent_ForgetsWhatItHasShown) {
  Statistics statistics;
  statistics.RecordEnd(At(0), At(50), Told::kCommitted);
  EXPECT_EQ(statistics.Recent().max, Duration::Millis(50));
  statistics.RecordEnd(At(0), At(20), Told::kCommitted);
  EXPECT_EQ(statistics.Recent().max, Duration::Millis(20));
  EXPECT_EQ(statistics.Recent().max, Duration());
  EXPECT_EQ(statistics.Overall().max, Duration::Millis(50));
}

TEST(Changes, OfASet_AreTheDifferenceToWhatWasRead) {
  using Kind = AccountOperation::Kind;
  const AccountId one{"a", "1"};
  const AccountId two{"b", "1"};
  const auto changes = ChangesOf(
      {{Kind::kSet, one, Money::FromUnits(0)}, {Kind::kAdd, two, Money::FromUnits(70)}},
      {one}, {Money::FromUnits(70)});
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].delta, Money::FromUnits(-70));
  EXPECT_EQ(changes[1].delta, Money::FromUnits(70));
}

TEST(Changes, OfATransfer_AreADebitThatMayNotOverdrawAndACredit) {
  const Transfer transfer{1, {"a", "1"}, {"b", "1"}, Money::FromUnits(5)};
  const auto plan = PlanOf(transfer, {});
  ASSERT_TRUE(plan.ok());
  using Kind = AccountOperation::Kind;
  EXPECT_THAT(
      *plan,
      ElementsAre(AccountOperation{Kind::kAddIfAtLeast, {"a", "1"}, Money::FromUnits(-5)},
                  AccountOperation{Kind::kAdd, {"b", "1"}, Money::FromUnits(5)}));
}

TEST(Source, Limited_EndsThere) {
  WorkSource source = Limit(FromTransfers(std::vector<Transfer>(3)), 2);
  EXPECT_TRUE(source());
  EXPECT_TRUE(source());
  EXPECT_FALSE(source());
}

Parsed Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "transfer");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Flags, Defaults_KillTheLeaderThreeTimes) {
  const Parsed parsed = Parse({});
  ASSERT_FALSE(parsed.exit);
  EXPECT_EQ(parsed.options.kills, 3u);
  EXPECT_EQ(parsed.options.clients, 64u);
  EXPECT_EQ(parsed.options.opening, Money::FromUnits(500'000));
}

TEST(Flags, ThatAreWrong_EndWithUsage) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--no-such-flag"},
           {"--kills", "many"},
           {"--kills", "-1"},
           {"--clients", "0"},
           {"--mode", "fast"},
           {"--transactions", "5"},
           {"--smallbank", "--csv", "x"},
           {"--smallbank", "--seconds", "2", "--transactions", "5"},
           {"--decimals", "5"},
           {"--opening", "1.234"},
           {"--embedded", "--kills", "2"}}) {
    const Parsed parsed = Parse(words);
    EXPECT_TRUE(parsed.exit) << words[0];
    EXPECT_EQ(parsed.exit_code, example::kExitUsage) << words[0];
  }
}

TEST(Flags, OpeningBalance_IsReadInTheScaleOfTheRun) {
  const Parsed parsed = Parse({"--decimals", "3", "--opening", "1.234", "--embedded"});
  ASSERT_FALSE(parsed.exit);
  EXPECT_EQ(parsed.options.opening, Money::FromUnits(1234));
  EXPECT_EQ(parsed.options.kills, 0u);
}

}  // namespace
}  // namespace concordat::transfer
