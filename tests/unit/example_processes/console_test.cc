// Numbers as they are shown.
#include "examples/processes/console.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "examples/processes/percentiles.h"

namespace concordat::example {
namespace {

TEST(Percentiles, OfAHundredTimes_AreNearestRanks) {
  std::vector<int64_t> micros(100);
  std::iota(micros.rbegin(), micros.rend(), 1);
  const Percentiles result = PercentilesOf(&micros);
  EXPECT_EQ(result.p50, Duration::Micros(50));
  EXPECT_EQ(result.p99, Duration::Micros(99));
  EXPECT_EQ(result.max, Duration::Micros(100));
}

TEST(Percentiles, OfNothing_AreZero) {
  std::vector<int64_t> none;
  EXPECT_EQ(PercentilesOf(&none).max, Duration());
}

TEST(Numbers, AreGroupedByThousands) {
  EXPECT_EQ(Grouped(uint64_t{0}), "0");
  EXPECT_EQ(Grouped(uint64_t{999}), "999");
  EXPECT_EQ(Grouped(uint64_t{1000}), "1,000");
  EXPECT_EQ(Grouped(std::string("-1234567.05")), "-1,234,567.05");
  EXPECT_EQ(Grouped(std::string("-123.00")), "-123.00");
}

TEST(Durations, AreShownInTheUnitThatFits) {
  EXPECT_EQ(ForPeople(Duration::Micros(1234)), "1.23 ms");
  EXPECT_EQ(ForPeople(Duration::Millis(345)), "345 ms");
  EXPECT_EQ(ForPeople(Duration::Millis(12'340)), "12.3 s");
}

TEST(LiveLine, IsTruncatedToTheTerminalsWidth) {
  EXPECT_EQ(FitTo(40, "short"), "short");
  EXPECT_EQ(FitTo(5, "exact"), "exact");
  EXPECT_EQ(FitTo(5, "longer"), "long…");
  EXPECT_EQ(FitTo(3, "€€€€"), "€€…");
  EXPECT_EQ(FitTo(0, "a terminal that does not say"), "a terminal that does not say");
}

}  // namespace
}  // namespace concordat::example
