// A follower whose disk is full (scenario 77) says so, and is sent only heartbeats until
// it has space again.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

AppendResponse NoSpace() {
  AppendResponse response;
  response.no_space = true;
  return response;
}
AppendResponse AcceptedWithoutSpace(uint64_t match) {
  AppendResponse response = Accepted(match);
  response.no_space = true;
  return response;
}

size_t AppendsWithEntries(const TestNode& node, uint64_t to) {
  size_t count = 0;
  for (const auto& append : node.Sent<AppendRequest>(to)) {
    if (!append.entries.empty()) ++count;
  }
  return count;
}

TEST(NoSpace, Scenario77_FollowerWithoutSpace_SaysSoAndStoresNothing) {
  TestNode node;
  node.raft.SetHasSpace(false);
  node.Receive(2, 1, Append(0, 0, Commands(1, {1})));
  EXPECT_FALSE(node.Last<AppendResponse>(2).success);
  EXPECT_TRUE(node.Last<AppendResponse>(2).no_space);
  EXPECT_EQ(node.raft.log().last_index(), LogIndex());
  node.Receive(2, 1, Append(0, 0, {}));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
  EXPECT_TRUE(node.Last<AppendResponse>(2).no_space);
  node.raft.SetHasSpace(true);
  node.Receive(2, 1, Append(0, 0, Commands(1, {1})));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
  EXPECT_FALSE(node.Last<AppendResponse>(2).no_space);
}

TEST(NoSpace, Leader_SendsOnlyHeartbeatsUntilThereIsSpace) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  node.Receive(2, 1, NoSpace());
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kNoSpace);
  node.Forget();
  for (int i = 0; i < 50; ++i) {
    node.Propose({"y"});
    node.Pass(Duration::Millis(40));
    node.Receive(2, 1, AcceptedWithoutSpace(1));
    node.Receive(3, 1, Accepted(node.raft.log().last_index().value()));
  }
  EXPECT_EQ(AppendsWithEntries(node, 2), 0u);
  EXPECT_FALSE(node.Sent<AppendRequest>(2).empty()) << "heartbeats go on";
  node.Receive(2, 1, Accepted(1));
  EXPECT_EQ(AppendsWithEntries(node, 2), 1u);
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(1));
}

// When space comes and goes, the pause grows each time, up to a second.
TEST(NoSpace, PausesGrow) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  std::vector<int64_t> pauses;
  for (int i = 0; i < 8; ++i) {
    node.Receive(2, 1, NoSpace());
    const Timestamp since = node.now;
    for (int j = 0;
         j < 200 && node.raft.progress().at(NodeId(2)).state == ProgressState::kNoSpace;
         ++j) {
      node.Pass(Duration::Millis(10));
      node.Receive(2, 1, Accepted(1));
      node.Receive(3, 1, Accepted(2));
    }
    pauses.push_back((node.now - since).millis());
  }
  EXPECT_LE(pauses.front(), 50);
  for (size_t i = 1; i < pauses.size(); ++i) EXPECT_GE(pauses[i], pauses[i - 1]);
  EXPECT_GE(pauses.back(), 900);
  EXPECT_LE(pauses.back(), 1100);
}

// How long the leader waits for a follower that runs out of space and has some again
// soon.
int64_t PauseAfterNoSpace(TestNode* node) {
  node->Receive(2, 1, NoSpace());
  const Timestamp since = node->now;
  while (node->raft.progress().at(NodeId(2)).state == ProgressState::kNoSpace) {
    if (node->now - since > Duration::Seconds(60)) break;
    node->Pass(Duration::Millis(10));
    node->Receive(2, 1, Accepted(1));
    node->Receive(3, 1, Accepted(2));
  }
  return (node->now - since).millis();
}

TEST(NoSpace, FollowerThatHasStoredSomething_IsAskedSoonTheNextTime) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  for (int i = 0; i < 8; ++i) PauseAfterNoSpace(&node);
  node.Receive(2, 1, Accepted(2));
  node.Propose({"y"});
  EXPECT_LE(PauseAfterNoSpace(&node), 50);
}

// A snapshot costs much to send in vain.
TEST(NoSpace, FollowerThatCannotKeepASnapshot_IsLeftAloneForLonger) {
  Config config = TestConfig();
  config.no_space_pause_max = Duration::Millis(100);
  config.snapshot_pause_max = Duration::Millis(400);
  TestNode node({}, config);
  node.BecomeLeader();
  node.Receive(3, 1, Accepted(1));
  node.Propose({"x"});
  node.Receive(3, 1, Accepted(2));
  node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(LogIndex(2)));
  node.Pump();
  node.Receive(2, 1, Rejected(0, 0, 0));
  int64_t longest = 0;
  for (int i = 0; i < 6; ++i) {
    node.Pass(Duration::Millis(40));
    ASSERT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kSnapshot);
    node.Receive(2, 1, NoSpace());
    const Timestamp since = node.now;
    while (node.raft.progress().at(NodeId(2)).state == ProgressState::kNoSpace) {
      ASSERT_LT(node.now - since, Duration::Seconds(10));
      node.Pass(Duration::Millis(10));
      node.Receive(3, 1, Accepted(2));
      node.Receive(2, 1, Rejected(0, 0, 0));
    }
    longest = std::max(longest, (node.now - since).millis());
  }
  EXPECT_GE(longest, 400);
  EXPECT_LE(longest, 450);
}

// The entries that it needs are no longer in the log. No snapshot is begun for it before
// it has space.
TEST(NoSpace, LogCompactedMeanwhile_NoSnapshotIsSentBeforeThereIsSpace) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  node.Receive(2, 1, NoSpace());
  node.Receive(3, 1, Accepted(2));
  node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(LogIndex(2)));
  node.Pump();
  for (int i = 0; i < 10; ++i) {
    node.Pass(Duration::Millis(40));
    node.Receive(2, 1, AcceptedWithoutSpace(1));
    node.Receive(3, 1, Accepted(2));
  }
  EXPECT_TRUE(node.snapshot_reads.empty());
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kNoSpace);
  node.Receive(2, 1, Accepted(1));
  EXPECT_EQ(node.snapshot_reads.size(), 1u);
}

TEST(NoSpace, SnapshotForAFollowerWithoutSpace_Waits) {
  TestNode node;
  node.raft.SetHasSpace(false);
  node.Receive(2, 1, SnapshotChunk{Snapshot(5, 1), 0, Payload("abc"), false});
  EXPECT_TRUE(node.Last<AppendResponse>(2).no_space);
  EXPECT_TRUE(node.snapshot_writes.empty());
}

TEST(NoSpace, SnapshotThatCouldNotBeKept_IsSaidToTheLeader) {
  TestNode node;
  node.Receive(2, 1, SnapshotChunk{Snapshot(5, 1), 0, Payload("abc"), true});
  ASSERT_EQ(node.installs.size(), 1u);
  node.raft.OnSnapshotInstallFailed(node.installs[0]);
  node.Pump();
  EXPECT_TRUE(node.Last<AppendResponse>(2).no_space);
}

}  // namespace
}  // namespace concordat::raft
