// Nobody is told two things, nothing commits in part, and in the end all is settled.
#include "tests/unit/txn/random_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

namespace concordat::txn {
namespace {

using ::testing::IsEmpty;

constexpr uint64_t kSeeds = 400;

TEST(RandomRun, AnySchedule_KeepsEveryPromise_AndReachesTheRarePaths) {
  std::map<std::string, int> counts;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    RandomRun run(seed);
    run.Storm(1200);
    run.Heal();
    ASSERT_THAT(run.problems(), IsEmpty()) << "seed " << seed;
    for (const auto& [what, count] : run.counts()) counts[what] += count;
  }
  for (const char* path :
       {"COMMITTED", "ABORTED", "FORGOTTEN", "UNDECIDED", "NOT_LEADER", "NOT_READY",
        "NOT_FOUND", "BRANCH", "ENLISTED", "REFUSED", "answered-early", "attached",
        "timeout-suppressed", "heuristic", "inherited", "refused-request", "watermark",
        "leader changes"}) {
    EXPECT_GT(counts[path], 20) << path;
  }
}

TEST(RandomRun, SameSeed_IsTheSameRun) {
  RandomRun one(7), two(7);
  one.Storm(800);
  two.Storm(800);
  EXPECT_EQ(one.counts(), two.counts());
}

}  // namespace
}  // namespace concordat::txn
