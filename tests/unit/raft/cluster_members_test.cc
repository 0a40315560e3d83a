// Members that change at random, and disks that are lost, while everything else fails
// too (cluster.h). The invariants are checked after every step; at the end whoever was
// lost is taken in again, all learners become voters, and all members hold the same.
// A failed seed is repeated by --gtest_filter with CLUSTER_SEED=n.
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_join.h"
#include "tests/unit/raft/cluster.h"

namespace concordat::raft {
namespace {

ClusterOptions MemberOptions(uint64_t seed) {
  ClusterOptions options;
  options.seed = seed;
  options.nodes = seed % 5 == 4 ? 1 : 3;
  options.spare_nodes = 4;
  options.loss_percent = seed % 3 == 1 ? 0 : 5;
  return options;
}

void RunMembersSeed(uint64_t seed, Cluster* cluster) {
  SCOPED_TRACE("repeat with CLUSTER_SEED=" + std::to_string(seed));
  const auto report = [cluster] {
    return absl::StrJoin(cluster->checker().violations(), "\n");
  };
  for (int step = 0; step < 4000; ++step) {
    cluster->RandomStep();
    ASSERT_TRUE(cluster->checker().ok()) << "step " << step << "\n" << report();
  }
  cluster->StopFaults();
  cluster->RunFor(Duration::Seconds(5));
  cluster->RepairMembers();
  ASSERT_TRUE(cluster->checker().ok()) << report();
  const Raft* leader = cluster->Leader();
  ASSERT_NE(leader, nullptr);
  EXPECT_EQ(leader->configuration().voters().size(),
            leader->configuration().members().size());
  const auto index = cluster->ProposeAtLeader("the end");
  ASSERT_TRUE(index.has_value());
  cluster->RunFor(Duration::Seconds(2));
  ASSERT_TRUE(cluster->checker().ok()) << report();
  for (const std::string& state : cluster->AppliedStates()) {
    EXPECT_TRUE(state.ends_with("the end"));
    EXPECT_EQ(state, cluster->AppliedStates().front());
  }
  EXPECT_EQ(cluster->stale_reads(), 0u);
}

TEST(ClusterMembers, Scenario46_ChangesUnderFaults_KeepTheInvariants) {
  if (const char* text = std::getenv("CLUSTER_SEED")) {
    const uint64_t seed = std::strtoull(text, nullptr, 10);
    Cluster cluster(MemberOptions(seed));
    return RunMembersSeed(seed, &cluster);
  }
  const char* text = std::getenv("CLUSTER_SEEDS");
  const uint64_t count = text == nullptr ? 200 : std::strtoull(text, nullptr, 10);
  Counters sum;
  uint64_t disks_lost = 0;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    Cluster cluster(MemberOptions(seed));
    RunMembersSeed(seed, &cluster);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    const Counters c = cluster.TotalCounters();
    sum.members_changed += c.members_changed;
    sum.configurations_reverted += c.configurations_reverted;
    sum.messages_of_other_logs += c.messages_of_other_logs;
    sum.messages_of_unknown_nodes += c.messages_of_unknown_nodes;
    sum.pre_votes_of_removed_nodes += c.pre_votes_of_removed_nodes;
    disks_lost += cluster.disks_lost();
  }
  // The test is only of use if the faults have reached the rare paths.
  const std::pair<const char*, uint64_t> reached[] = {
      {"members changed", sum.members_changed},
      {"configurations reverted", sum.configurations_reverted},
      {"messages of other logs", sum.messages_of_other_logs},
      {"messages of unknown nodes", sum.messages_of_unknown_nodes},
      {"pre-votes of removed nodes", sum.pre_votes_of_removed_nodes},
      {"disks lost", disks_lost}};
  for (const auto& [what, times] : reached) {
    std::printf("%-36s %10llu\n", what, static_cast<unsigned long long>(times));
    EXPECT_GT(times, 0u) << what;
  }
}

}  // namespace
}  // namespace concordat::raft
