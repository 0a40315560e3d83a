// The core under random faults: several hundred seeds, the invariants checked after
// every step; when the faults stop, a leader is elected and everything is applied
// everywhere. A failed seed is repeated by --gtest_filter with CLUSTER_SEED=n.
#include "tests/unit/raft/cluster.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_join.h"

namespace concordat::raft {
namespace {

std::string Report(const Cluster& cluster) {
  return absl::StrJoin(cluster.checker().violations(), "\n");
}

// Runs with faults, then without. At the end the group must work.
void RunSeed(const ClusterOptions& options, Cluster* cluster) {
  SCOPED_TRACE("seed " + std::to_string(options.seed) + ", " +
               std::to_string(options.nodes) + " nodes");
  for (int step = 0; step < 3000; ++step) {
    cluster->RandomStep();
    ASSERT_TRUE(cluster->checker().ok()) << "step " << step << "\n" << Report(*cluster);
  }
  cluster->StopFaults();
  cluster->RunFor(Duration::Seconds(5));
  ASSERT_NE(cluster->Leader(), nullptr);
  const auto index = cluster->ProposeAtLeader("the end");
  ASSERT_TRUE(index.has_value());
  cluster->RunFor(Duration::Seconds(2));
  ASSERT_TRUE(cluster->checker().ok()) << Report(*cluster);
  EXPECT_GE(cluster->checker().committed(), *index);
  for (const std::string& state : cluster->AppliedStates()) {
    EXPECT_TRUE(state.ends_with("the end"));
    EXPECT_EQ(state, cluster->AppliedStates().front());
  }
  EXPECT_EQ(cluster->stale_reads(), 0u);
  // Scenario 79: each node chose an id at each start, and all agree on one.
  const std::vector<ClusterKey> keys = cluster->ClusterKeys();
  EXPECT_FALSE(keys.front().is_none());
  for (const ClusterKey& key : keys) EXPECT_EQ(key, keys.front());
}

uint64_t SeedCount(uint64_t normal) {
  const char* text = std::getenv("CLUSTER_SEEDS");
  return text == nullptr ? normal : std::strtoull(text, nullptr, 10);
}

ClusterOptions Options(uint64_t seed) {
  ClusterOptions options;
  options.seed = seed;
  options.nodes = seed % 4 == 3 ? 5 : 3;
  if (seed % 3 == 1) options.loss_percent = 0;
  if (seed % 5 == 2) options.flush_max = Duration::Millis(150);
  return options;
}

TEST(Cluster, RandomFaults_KeepTheInvariantsAndEndInAWorkingGroup) {
  if (const char* text = std::getenv("CLUSTER_SEED")) {
    const ClusterOptions options = Options(std::strtoull(text, nullptr, 10));
    Cluster cluster(options);
    RunSeed(options, &cluster);
    return;
  }
  const uint64_t count = SeedCount(400);
  Counters sum;
  uint64_t reads = 0;
  uint64_t crashes = 0;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    const ClusterOptions options = Options(seed);
    Cluster cluster(options);
    RunSeed(options, &cluster);
    if (HasFatalFailure() || HasNonfatalFailure()) {
      FAIL() << "repeat with CLUSTER_SEED=" << seed;
    }
    const Counters c = cluster.TotalCounters();
    sum.elections_won += c.elections_won;
    sum.votes_refused_for_live_leader += c.votes_refused_for_live_leader;
    sum.votes_refused_for_log += c.votes_refused_for_log;
    sum.votes_refused_already_voted += c.votes_refused_already_voted;
    sum.stepped_down_without_quorum += c.stepped_down_without_quorum;
    sum.stepped_down_for_term += c.stepped_down_for_term;
    sum.truncations += c.truncations;
    sum.truncations_of_pending_persist += c.truncations_of_pending_persist;
    sum.elections_held_for_own_vote += c.elections_held_for_own_vote;
    sum.tails_lost += c.tails_lost;
    sum.peer_tails_lost += c.peer_tails_lost;
    sum.votes_refused_for_lost_tail += c.votes_refused_for_lost_tail;
    sum.answers_from_before_a_loss += c.answers_from_before_a_loss;
    sum.appends_refused_for_space += c.appends_refused_for_space;
    sum.peers_without_space += c.peers_without_space;
    sum.transfers_begun += c.transfers_begun;
    sum.transfers_failed += c.transfers_failed;
    sum.elections_by_transfer += c.elections_by_transfer;
    sum.persists_held_for_disk += c.persists_held_for_disk;
    sum.snapshot_chunks_early += c.snapshot_chunks_early;
    sum.snapshots_kept_for_a_transfer += c.snapshots_kept_for_a_transfer;
    sum.appends_rejected += c.appends_rejected;
    sum.commit_held_for_own_term += c.commit_held_for_own_term;
    sum.inflight_limit_reached += c.inflight_limit_reached;
    sum.proposals_refused_for_space += c.proposals_refused_for_space;
    sum.snapshot_chunks_repeated += c.snapshot_chunks_repeated;
    sum.snapshots_restarted += c.snapshots_restarted;
    sum.snapshots_installed += c.snapshots_installed;
    sum.logs_discarded_for_snapshot += c.logs_discarded_for_snapshot;
    reads += cluster.reads_answered();
    crashes += cluster.crashes();
  }
  // The test is only of use if the faults have reached the rare paths.
  const std::pair<const char*, uint64_t> reached[] = {
      {"elections won", sum.elections_won},
      {"votes refused for a live leader", sum.votes_refused_for_live_leader},
      {"votes refused for the log", sum.votes_refused_for_log},
      {"votes refused, already voted", sum.votes_refused_already_voted},
      {"stepped down without quorum", sum.stepped_down_without_quorum},
      {"stepped down for a term", sum.stepped_down_for_term},
      {"truncations", sum.truncations},
      {"truncations of a persist in flight", sum.truncations_of_pending_persist},
      {"elections held for the own vote", sum.elections_held_for_own_vote},
      {"tails lost", sum.tails_lost},
      {"peers' tails found lost", sum.peer_tails_lost},
      {"votes refused for a lost tail", sum.votes_refused_for_lost_tail},
      {"answers from before a loss", sum.answers_from_before_a_loss},
      {"appends refused for space", sum.appends_refused_for_space},
      {"peers without space", sum.peers_without_space},
      {"transfers begun", sum.transfers_begun},
      {"transfers failed", sum.transfers_failed},
      {"elections by transfer", sum.elections_by_transfer},
      {"persists held for the disk", sum.persists_held_for_disk},
      {"appends rejected", sum.appends_rejected},
      {"commit held for the own term", sum.commit_held_for_own_term},
      {"in-flight limit reached", sum.inflight_limit_reached},
      {"proposals refused for space", sum.proposals_refused_for_space},
      {"snapshot chunks repeated", sum.snapshot_chunks_repeated},
      {"snapshots restarted", sum.snapshots_restarted},
      {"snapshot chunks that came early", sum.snapshot_chunks_early},
      {"snapshots kept for a transfer", sum.snapshots_kept_for_a_transfer},
      {"snapshots installed", sum.snapshots_installed},
      {"logs discarded for a snapshot", sum.logs_discarded_for_snapshot},
      {"reads answered", reads},
      {"crashes", crashes}};
  for (const auto& [what, times] : reached) {
    std::printf("%-36s %10llu\n", what, static_cast<unsigned long long>(times));
    EXPECT_GT(times, 0u) << what;
  }
}

// A flush takes almost as long as the shorter election timeout. So the votes of a quorum,
// which must be written, take longer than the timeout of one node.
TEST(Cluster, SlowFlushes_ElectionsSettle) {
  ClusterOptions options;
  options.loss_percent = options.duplicate_percent = 0;
  options.delay_max = Duration::Millis(2);
  options.flush_min = Duration::Millis(170);
  options.flush_max = Duration::Millis(190);
  uint64_t elections = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    options.seed = seed;
    Cluster cluster(options);
    cluster.RunFor(Duration::Seconds(10));
    ASSERT_TRUE(cluster.checker().ok()) << Report(cluster);
    ASSERT_NE(cluster.Leader(), nullptr) << "seed " << seed;
    elections += cluster.TotalCounters().elections_started;
    EXPECT_GT(cluster.checker().committed(), LogIndex()) << "seed " << seed;
  }
  EXPECT_LE(elections, 100u);
}

}  // namespace
}  // namespace concordat::raft
