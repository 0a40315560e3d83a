// Scenario 79: the first leader chooses the cluster's id, all nodes get it with the log's
// first entry, and nodes of two clusters refuse each other's messages.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coordinator/raft/raft.h"
#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

constexpr ClusterKey kOurs{0xaaaa, 1};
constexpr ClusterKey kTheirs{0xbbbb, 2};

Config NewGroup() {
  Config config = TestConfig();
  config.new_cluster = kOurs;
  return config;
}

Configuration Members(const ClusterKey& cluster) {
  return Configuration({NodeId(1), NodeId(2), NodeId(3)}, cluster);
}

Entry First(const ClusterKey& cluster, uint64_t term) {
  return Entry{Term(term), LogIndex(1), EntryType::kConfiguration,
               Payload(EncodeConfiguration(Members(cluster)))};
}

absl::Status Tell(TestNode* node, uint64_t from, uint64_t term, Message::Body body,
                  const ClusterKey& cluster) {
  const absl::Status status =
      node->raft.Step(Message{node->raft.group(), NodeId(from), node->raft.self(),
                              Term(term), std::move(body), cluster});
  node->Pump();
  return status;
}

// A follower that has the first entry, committed as far as `commit` says.
std::unique_ptr<TestNode> Follower(const ClusterKey& cluster, uint64_t commit) {
  auto node = std::make_unique<TestNode>(RecoveredState{}, NewGroup());
  std::vector<Entry> entries{First(cluster, 1)};
  entries.push_back(Entry{Term(1), LogIndex(2), EntryType::kTermStart, {}});
  EXPECT_TRUE(Tell(node.get(), 2, 1, Append(0, 0, entries, commit), cluster).ok());
  return node;
}

TEST(ClusterId, Scenario79_FirstLeader_BeginsTheLogWithIt) {
  TestNode node({}, NewGroup());
  node.BecomeLeader();
  ASSERT_EQ(node.raft.log().last_index(), LogIndex(2));
  EXPECT_EQ(node.raft.log().At(LogIndex(1)), First(kOurs, 1));
  EXPECT_EQ(node.raft.log().At(LogIndex(2)).type, EntryType::kTermStart);
  EXPECT_TRUE(node.raft.cluster().is_none()) << "another leader may still come first";
  ASSERT_FALSE(node.sent.empty());
  EXPECT_EQ(node.sent.back().cluster, kOurs) << "its log has it";
  node.Receive(2, 1, Accepted(2));
  EXPECT_EQ(node.raft.cluster(), kOurs);
  EXPECT_EQ(node.written.back().hard_state->cluster, kOurs) << "durable";
}

TEST(ClusterId, Scenario79_LaterLeader_KeepsTheOneInItsLog) {
  auto node = Follower(kTheirs, 0);
  node->BecomeLeader();
  EXPECT_EQ(node->raft.log().last_index(), LogIndex(3));
  EXPECT_EQ(node->raft.configuration().cluster(), kTheirs);
}

TEST(ClusterId, Scenario79_Follower_AdoptsItWhenItIsCommitted) {
  auto node = Follower(kTheirs, 0);
  EXPECT_TRUE(node->raft.cluster().is_none());
  EXPECT_TRUE(node->sent.back().cluster.is_none()) << "an answer names what is for good";
  ASSERT_TRUE(Tell(node.get(), 2, 1, Append(2, 1, {}, 2), kTheirs).ok());
  EXPECT_EQ(node->raft.cluster(), kTheirs);
  EXPECT_EQ(node->sent.back().cluster, kTheirs);
  // A restart before the next commit. The log alone does not say that it is committed.
  TestNode again(RecoveredState{node->raft.hard_state(), {}, {First(kTheirs, 1)}},
                 NewGroup());
  EXPECT_EQ(again.raft.cluster(), kTheirs);
}

TEST(ClusterId, Scenario79_Adopted_IsSaidWhenItIsOnTheDisk) {
  Config config = NewGroup();
  config.max_unflushed_bytes = 1;  // one write at a time
  TestNode node({}, config);
  node.hold_disk = true;
  const std::vector<Entry> entries{First(kTheirs, 1)};
  ASSERT_TRUE(Tell(&node, 2, 1, Append(0, 0, entries), kTheirs).ok());
  ASSERT_TRUE(Tell(&node, 2, 1, Append(1, 1, {}, 1), kTheirs).ok());
  ASSERT_EQ(node.raft.cluster(), kTheirs);
  node.Flush();  // of the entry
  ASSERT_FALSE(node.Sent<AppendResponse>(2).empty());
  for (const Message& message : node.sent) EXPECT_TRUE(message.cluster.is_none());
  node.Flush();
  EXPECT_EQ(node.sent.back().cluster, kTheirs);
}

// Two first leaders, of which one has died before any node had its entry.
TEST(ClusterId, Scenario79_UncommittedOne_GivesWayToAnotherLeaders) {
  TestNode node({}, NewGroup());
  node.BecomeLeader();
  ASSERT_EQ(node.raft.configuration().cluster(), kOurs);
  std::vector<Entry> entries{First(kTheirs, 2)};
  ASSERT_TRUE(Tell(&node, 3, 2, Append(0, 0, entries, 1), kTheirs).ok());
  EXPECT_EQ(node.raft.cluster(), kTheirs);
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(1));
}

TEST(ClusterId, Scenario79_Snapshot_BringsIt) {
  TestNode node({}, NewGroup());
  const SnapshotMeta meta{LogIndex(9), Term(3), Members(kTheirs)};
  ASSERT_TRUE(
      Tell(&node, 2, 4, SnapshotChunk{meta, 0, Payload("s"), true}, kTheirs).ok());
  EXPECT_TRUE(node.raft.cluster().is_none());
  node.raft.OnSnapshotInstalled(meta);
  node.Pump();
  EXPECT_EQ(node.raft.cluster(), kTheirs);
  // A crash after the first of the two records was written.
  TestNode again(RecoveredState{{Term(4), NodeId()}, meta, {}}, NewGroup());
  EXPECT_EQ(again.raft.cluster(), kTheirs);
  ASSERT_FALSE(again.written.empty());
  EXPECT_EQ(again.written.back().hard_state->cluster, kTheirs);
}

// No message of another cluster's node with the same id changes anything.
TEST(ClusterId, Scenario79_MessagesOfAnotherCluster_AreNotTaken) {
  const SnapshotMeta meta{LogIndex(9), Term(3), Members(kTheirs)};
  const std::vector<Message::Body> bodies = {
      PreVoteRequest{Term(10), LogIndex(9), Term(9)},
      PreVoteResponse{Term(9), true},
      VoteRequest{LogIndex(9), Term(9)},
      VoteResponse{true},
      Append(0, 0, {First(kTheirs, 9)}, 1),
      Append(2, 1, {}, 2),
      Accepted(2),
      SnapshotChunk{meta, 0, Payload("s"), true},
      SnapshotChunkResponse{LogIndex(9), 0, 1}};
  for (const Message::Body& body : bodies) {
    auto node = Follower(kOurs, 2);
    const HardState before = node->raft.hard_state();
    node->Forget();
    const absl::Status refused = Tell(node.get(), 3, 9, body, kTheirs);
    EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << body.index() << refused;
    EXPECT_EQ(node->raft.hard_state(), before);
    EXPECT_EQ(node->raft.log().last_index(), LogIndex(2));
    EXPECT_TRUE(node->sent.empty());
  }
}

// A new node requests and answers without an id, but no node leads without one.
TEST(ClusterId, Scenario79_NodeWithoutAnId_IsHeardButDoesNotLead) {
  auto node = Follower(kOurs, 2);
  EXPECT_TRUE(Tell(node.get(), 3, 1, PreVoteRequest{Term(2), {}, {}}, {}).ok());
  EXPECT_FALSE(node->Last<PreVoteResponse>(3).granted);
  EXPECT_TRUE(Tell(node.get(), 3, 1, Accepted(1), {}).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Tell(node.get(), 3, 1, PreVoteRequest{Term(9), LogIndex(5), Term(5)}, {})));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      Tell(node.get(), 3, 9, Append(2, 1, {}, 2), ClusterKey())));
}

TEST(ClusterId, Configuration_EveryTruncationIsRefused) {
  const std::string bytes = EncodeConfiguration(Members(kOurs));
  EXPECT_EQ(*DecodeConfiguration(bytes), Members(kOurs));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeConfiguration(bytes.substr(0, size)).has_value()) << size;
  }
  EXPECT_FALSE(DecodeConfiguration(bytes + "x").has_value());
}

// Carried by a message that says it is of the same cluster, and does not decode, names
// other members, or is of another cluster after all.
TEST(ClusterId, Scenario79_WrongConfigurations_AreRefused) {
  Entry garbage = First(kOurs, 1);
  garbage.data = Payload("garbage");
  Entry others = First(kOurs, 1);
  others.data = Payload(EncodeConfiguration(Configuration({NodeId(1)}, kOurs)));
  Entry later = First(kTheirs, 1);
  later.index = LogIndex(2);
  for (const Entry& entry : {garbage, others, First(kTheirs, 1)}) {
    TestNode node({}, NewGroup());
    EXPECT_FALSE(Tell(&node, 2, 1, Append(0, 0, {entry}), kOurs).ok());
    EXPECT_EQ(node.raft.log().last_index(), LogIndex());
  }
  auto node = Follower(kOurs, 0);
  EXPECT_TRUE(
      absl::IsInvalidArgument(Tell(node.get(), 2, 1, Append(1, 1, {later}), kOurs)));
}

}  // namespace
}  // namespace concordat::raft
