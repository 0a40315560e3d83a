#include "examples/transfer/input/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace concordat::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::set<std::string> Names(const std::string& prefix, int count) {
  std::set<std::string> names;
  for (int i = 0; i < count; ++i) names.insert(prefix + std::to_string(i));
  return names;
}

TEST(Placement, Banks_GoRoundTheResourcesInSortedOrder) {
  const auto placement = Placement::Make({"d", "a", "c", "b"}, {"sql", "kv", "rm"});
  ASSERT_TRUE(placement.ok());
  EXPECT_EQ(placement->ResourceOf("a"), "kv");
  EXPECT_EQ(placement->ResourceOf("b"), "rm");
  EXPECT_EQ(placement->ResourceOf("c"), "sql");
  EXPECT_EQ(placement->ResourceOf("d"), "kv");
  EXPECT_THAT(placement->BanksOn("kv"), ElementsAre("a", "d"));
  EXPECT_THAT(placement->BanksOn("nowhere"), IsEmpty());
}

TEST(Placement, AnyNumbers_EveryBankHasAPlaceAndNoneIsCrowded) {
  for (int resources = 1; resources <= 7; ++resources) {
    for (int banks = 0; banks <= 40; ++banks) {
      const auto placement = Placement::Make(Names("b", banks), Names("r", resources));
      ASSERT_TRUE(placement.ok());
      size_t least = 1000, most = 0, all = 0;
      for (const std::string& resource : Names("r", resources)) {
        const size_t held = placement->BanksOn(resource).size();
        least = std::min(least, held);
        most = std::max(most, held);
        all += held;
      }
      EXPECT_EQ(all, static_cast<size_t>(banks));
      EXPECT_LE(most - least, 1u);
    }
  }
}

TEST(Placement, BanksWithoutAResource_IsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(Placement::Make({"a"}, {}).status()));
  EXPECT_TRUE(Placement::Make({}, {}).ok());
}

TEST(Placement, BankThatWasNotPlaced_IsAProgrammersError) {
  const auto placement = Placement::Make({"a"}, {"r"});
  ASSERT_TRUE(placement.ok());
  EXPECT_DEATH((void)placement->ResourceOf("b"), "bank b was not placed");
}

TEST(BanksOf, Accounts_GivesEachBankOnce) {
  EXPECT_THAT(BanksOf({{"b", "1"}, {"a", "1"}, {"b", "2"}}), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace concordat::transfer
