// Tests with real nodes: a log has lost its end (scenario 82), and a leader stops or its
// disk is full (scenario 88).
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

using client::CommitResult;

class NodeDisks : public ::testing::Test {
 protected:
  static void CommitSome(Cluster* cluster, client::Client* client, int count) {
    for (int i = 0; i < count; ++i) {
      auto transaction = client->Begin();
      ASSERT_TRUE(transaction.ok()) << transaction.status().message();
      const absl::Status worked = Cluster::Transfer(&*transaction, "alice", "bob", 1);
      ASSERT_TRUE(worked.ok()) << worked.message();
      const CommitResult result = transaction->Commit();
      ASSERT_EQ(result.outcome, Outcome::kCommitted) << result;
    }
    ASSERT_TRUE(cluster->WaitUntilSettled());
  }
  static int Follower(Cluster* cluster) { return cluster->Leader() == 1 ? 2 : 1; }
};

// The log of a follower is put back to an earlier state, so that entries are gone that it
// has acknowledged. The leader lives on.
TEST_F(NodeDisks, Scenario82_FollowerWhoseLogLostItsEnd_IsRefilledWithoutAnElection) {
  Cluster cluster;
  const auto client = cluster.NewClient();
  ASSERT_NO_FATAL_FAILURE(CommitSome(&cluster, client.get(), 5));
  const int follower = Follower(&cluster);
  const std::string log = cluster.NodeDir(follower) + "/log";
  const std::string copy = cluster.dir() + "/log-copy";
  cluster.node(follower).Kill();
  std::filesystem::copy(log, copy, std::filesystem::copy_options::recursive);
  cluster.StartNode(follower);
  ASSERT_NO_FATAL_FAILURE(CommitSome(&cluster, client.get(), 20));
  const int leader = cluster.Leader();
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    return cluster.Status(follower).applied_index == cluster.Status(leader).applied_index;
  }));
  const auto before = cluster.Status(leader);

  cluster.node(follower).Kill();
  std::filesystem::remove_all(log);
  std::filesystem::rename(copy, log);
  cluster.StartNode(follower);
  ASSERT_TRUE(cluster.node(follower).WaitForLine("lost acknowledged entries", kPatience));
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    const auto status = cluster.Status(follower);
    return status.last_index >= before.last_index && !status.lost_tail;
  }));
  EXPECT_TRUE(cluster.node(leader).WaitForLine("peer has lost", kPatience));
  EXPECT_EQ(cluster.Leader(), leader);
  EXPECT_EQ(cluster.Status(leader).term, before.term) << "without an election";
  ASSERT_NO_FATAL_FAILURE(CommitSome(&cluster, client.get(), 5));
}

TEST_F(NodeDisks, LeaderThatIsStopped_HandsItsLeadershipOver) {
  Cluster cluster;
  const auto client = cluster.NewClient();
  ASSERT_NO_FATAL_FAILURE(CommitSome(&cluster, client.get(), 3));
  const int leader = cluster.Leader();
  EXPECT_EQ(cluster.node(leader).Stop(), 0);
  EXPECT_TRUE(cluster.node(leader).WaitForLine("handing leadership over", 0.1));
  ASSERT_NO_FATAL_FAILURE(CommitSome(&cluster, client.get(), 3));
}

}  // namespace
}  // namespace concordat::testing
