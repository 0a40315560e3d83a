// Figure 13 of the Raft paper (extended version), "InstallSnapshot RPC": one test, or
// a few, for each numbered rule of the receiver.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

SnapshotChunk Chunk(const SnapshotMeta& meta, uint64_t offset, std::string data,
                    bool last = false) {
  return SnapshotChunk{meta, offset, Payload(std::move(data)), last};
}

TEST(Figure13, InstallSnapshotReceiver1_LowerTerm_IsAnsweredAtOnceAndChangesNothing) {
  TestNode node(Recovered(5, {1}));
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  EXPECT_FALSE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LastTerm(), Term(5));
  EXPECT_TRUE(node.snapshot_writes.empty());
  EXPECT_TRUE(node.installs.empty());
}

TEST(Figure13, InstallSnapshotReceiver2_FirstChunk_BeginsANewSnapshot) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  ASSERT_EQ(node.snapshot_writes.size(), 1u);
  EXPECT_EQ(node.snapshot_writes[0].offset, 0u);
  EXPECT_EQ(node.snapshot_writes[0].meta, Snapshot(9, 3));
}

TEST(Figure13, InstallSnapshotReceiver3_Data_IsWrittenAtItsOffset) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 3, "de"));
  ASSERT_EQ(node.snapshot_writes.size(), 2u);
  EXPECT_EQ(node.snapshot_writes[1].offset, 3u);
  EXPECT_EQ(node.snapshot_writes[1].data.view(), "de");
}

TEST(Figure13, InstallSnapshotReceiver4_NotDone_RepliesAndWaitsForMore) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).snapshot_index, LogIndex(9));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 3u);
  EXPECT_TRUE(node.installs.empty());
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
}

TEST(Figure13, InstallSnapshotReceiver5_Done_SavesTheSnapshot) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  ASSERT_EQ(node.installs.size(), 1u);
  node.Forget();
  node.raft.OnSnapshotInstalled(Snapshot(9, 3));
  node.Pump();
  ASSERT_EQ(node.written.size(), 1u);
  EXPECT_EQ(node.written[0].snapshot, Snapshot(9, 3));
  EXPECT_EQ(node.raft.snapshot(), Snapshot(9, 3));
}

TEST(Figure13, InstallSnapshotReceiver5_PartOfASmallerIndex_IsDiscarded) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  node.Receive(2, 4, Chunk(Snapshot(12, 4), 0, "xy"));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 2u);
  // A late chunk of the smaller snapshot changes nothing.
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 3, "de", true));
  EXPECT_TRUE(node.installs.empty());
  node.Receive(2, 4, Chunk(Snapshot(12, 4), 2, "z", true));
  ASSERT_EQ(node.installs.size(), 1u);
  EXPECT_EQ(node.installs[0].index, LogIndex(12));
}

TEST(Figure13, InstallSnapshotReceiver6_SameEntryInTheLog_RetainsWhatFollowsAndReplies) {
  TestNode node(Recovered(4, {1, 2, 3, 3, 4}));
  node.Receive(2, 4, Chunk(Snapshot(3, 3), 0, "abc", true));
  node.raft.OnSnapshotInstalled(Snapshot(3, 3));
  node.Pump();
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{3, 4}));
  EXPECT_EQ(node.raft.log().first_index(), LogIndex(4));
  EXPECT_FALSE(node.written.back().discard_log);
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(3));
}

TEST(Figure13, InstallSnapshotReceiver7_NoSuchEntryInTheLog_DiscardsTheWholeLog) {
  // The log is longer than the snapshot, but from another leader.
  TestNode node(Recovered(4, {1, 2, 2, 2, 2}));
  node.Receive(2, 4, Chunk(Snapshot(3, 3), 0, "abc", true));
  node.raft.OnSnapshotInstalled(Snapshot(3, 3));
  node.Pump();
  EXPECT_TRUE(node.LogTerms().empty());
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(3));
  EXPECT_EQ(node.raft.log().last_term(), Term(3));
  EXPECT_TRUE(node.written.back().discard_log);
}

TEST(Figure13, InstallSnapshotReceiver8_StateMachineIsResetAndConfigurationLoaded) {
  TestNode node(Recovered(4, {1, 2}));
  // Members cannot change yet; only the cluster's id is new in the configuration.
  const ClusterKey cluster{7, 8};
  SnapshotMeta meta = Snapshot(9, 3);
  meta.configuration = Configuration({NodeId(1), NodeId(2), NodeId(3)}, cluster);
  EXPECT_TRUE(node.raft
                  .Step(Message{node.raft.group(), NodeId(2), node.raft.self(), Term(4),
                                Chunk(meta, 0, "abc", true), cluster})
                  .ok());
  node.Pump();
  EXPECT_EQ(node.installs, (std::vector<SnapshotMeta>{meta}));
  node.raft.OnSnapshotInstalled(meta);
  node.Pump();
  EXPECT_EQ(node.raft.applied_index(), LogIndex(9));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(9));
  EXPECT_EQ(node.raft.configuration(), meta.configuration);
  // Entries after the snapshot are accepted.
  EXPECT_TRUE(node.raft
                  .Step(Message{node.raft.group(), NodeId(2), node.raft.self(), Term(4),
                                Append(9, 3, Commands(10, {4}), 10), cluster})
                  .ok());
  node.Pump();
  EXPECT_EQ(node.applied, Commands(10, {4}));
}

}  // namespace
}  // namespace concordat::raft
