#include "examples/transfer/input/money.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "coordinator/base/random.h"

namespace concordat::transfer {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

int64_t Units(const Scale& scale, const std::string& text) {
  const auto money = scale.Parse(text);
  EXPECT_TRUE(money.ok()) << money.status();
  return money.ok() ? money->units() : kMin;
}

void ExpectRefused(const Scale& scale, const std::string& text, const std::string& why) {
  const auto money = scale.Parse(text);
  ASSERT_FALSE(money.ok()) << text << " was read as " << *money;
  EXPECT_TRUE(absl::IsInvalidArgument(money.status()));
  EXPECT_THAT(std::string(money.status().message()), HasSubstr(why)) << text;
  EXPECT_THAT(std::string(money.status().message()), HasSubstr("\"" + text + "\""));
}

TEST(MoneyParse, Amount_IsKeptExactlyInMinorUnits) {
  EXPECT_EQ(Units(Scale(2), "245.20"), 24520);
  EXPECT_EQ(Units(Scale(2), "245.2"), 24520);
  EXPECT_EQ(Units(Scale(2), "245"), 24500);
  EXPECT_EQ(Units(Scale(2), ".80"), 80);
  EXPECT_EQ(Units(Scale(2), "0.01"), 1);
  EXPECT_EQ(Units(Scale(2), "0"), 0);
  EXPECT_EQ(Units(Scale(2), "007.5"), 750);
  EXPECT_EQ(Units(Scale(3), "1.005"), 1005);
  EXPECT_EQ(Units(Scale(4), "1.0051"), 10051);
  EXPECT_EQ(Units(Scale(4), "1.5"), 15000);
  // A tenth and a hundredth, which binary fractions cannot represent.
  EXPECT_EQ(Units(Scale(2), "0.10") * 3, Units(Scale(2), "0.30"));
}

TEST(MoneyParse, LargestAmount_FitsAndOneMoreDoesNot) {
  EXPECT_EQ(Units(Scale(2), "92233720368547758.07"), kMax);
  ExpectRefused(Scale(2), "92233720368547758.08", "too large");
  ExpectRefused(Scale(2), "92233720368547759", "too large");
  ExpectRefused(Scale(4), "922337203685477.5808", "too large");
  ExpectRefused(Scale(2), "99999999999999999999999999", "too large");
  EXPECT_EQ(Units(Scale(2), "000000000000000000000000000001"), 100);
}

TEST(MoneyParse, MoreDecimalsThanTheScale_IsRefusedAndNotRounded) {
  ExpectRefused(Scale(2), "1.005", "more than 2 decimals");
  ExpectRefused(Scale(2), "1.500", "more than 2 decimals");
  ExpectRefused(Scale(3), "1.0050", "more than 3 decimals");
  ExpectRefused(Scale(4), "0.00001", "more than 4 decimals");
}

TEST(MoneyParse, Sign_IsRefused) {
  for (const char* text : {"-1", "+1", "-0.50", "-"}) {
    ExpectRefused(Scale(2), text, "has a sign");
  }
}

TEST(MoneyParse, Junk_IsRefused) {
  ExpectRefused(Scale(2), "", "is empty");
  for (const char* text : {"1.", "."}) ExpectRefused(Scale(2), text, "no decimals");
  for (const char* text : {"1e5", "1,50", "1 000", " 1", "1 ", "0x10", "1.2.3", "1.-5",
                           "twelve", "NaN", "inf", "\xd9\xa1", "1\n"}) {
    ExpectRefused(Scale(2), text, "not a number");
  }
  ExpectRefused(Scale(2), std::string("1\0", 2), "not a number");
}

TEST(MoneyFormat, Amount_HasAllDecimalsAndItsSign) {
  EXPECT_EQ(Scale(2).Format(Money::FromUnits(80)), "0.80");
  EXPECT_EQ(Scale(2).Format(Money::FromUnits(0)), "0.00");
  EXPECT_EQ(Scale(2).Format(Money::FromUnits(-5)), "-0.05");
  EXPECT_EQ(Scale(4).Format(Money::FromUnits(10051)), "1.0051");
  EXPECT_EQ(Scale(2).Format(Money::FromUnits(kMax)), "92233720368547758.07");
  EXPECT_EQ(Scale(2).Format(Money::FromUnits(kMin)), "-92233720368547758.08");
}

TEST(MoneyFormat, WhatWasParsed_ComesBackTheSame) {
  Random random(7);
  for (int decimals = Scale::kMinDecimals; decimals <= Scale::kMaxDecimals; ++decimals) {
    const Scale scale(decimals);
    for (int i = 0; i < 10000; ++i) {
      const auto units = static_cast<int64_t>(random.Next() >> (1 + random.Below(63)));
      const std::string text = scale.Format(Money::FromUnits(units));
      ASSERT_EQ(Units(scale, text), units) << text;
      ASSERT_EQ(scale.Format(Money::FromUnits(Units(scale, text))), text);
    }
  }
}

TEST(MoneySum, ThatOverflows_IsNoNumber) {
  const Money max = Money::FromUnits(kMax);
  const Money min = Money::FromUnits(kMin);
  const Money one = Money::FromUnits(1);
  EXPECT_EQ(Add(one, one), Money::FromUnits(2));
  EXPECT_EQ(Add(max, one), std::nullopt);
  EXPECT_EQ(Subtract(min, one), std::nullopt);
  EXPECT_EQ(Subtract(one, max), Money::FromUnits(1 - kMax));
  EXPECT_EQ(Negate(min), std::nullopt);
  EXPECT_EQ(Negate(max), Money::FromUnits(-kMax));
}

TEST(Scale, OutsideTwoToFourDecimals_IsRefused) {
  EXPECT_TRUE(Scale::Make(2).ok());
  EXPECT_TRUE(Scale::Make(4).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Scale::Make(1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Scale::Make(5).status()));
  EXPECT_DEATH(Scale(5), "5 decimals");
}

}  // namespace
}  // namespace concordat::transfer
