// Compaction, snapshots on their way, interrupted and resumed, and what a crash in
// the middle of it leaves (scenario 45).
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

SnapshotChunk Chunk(const SnapshotMeta& meta, uint64_t offset, std::string data,
                    bool last = false) {
  return SnapshotChunk{meta, offset, Payload(std::move(data)), last};
}

SnapshotChunkResponse Answer(uint64_t index, uint64_t offset, uint64_t next) {
  return SnapshotChunkResponse{LogIndex(index), offset, next};
}

// Node 1, leader of term 2 with a snapshot at index 5 and its own entry at 6; node 3
// has everything, node 2 lacks what the snapshot covers.
class SnapshotSender : public testing::Test {
 protected:
  SnapshotSender() : node(RecoveredState{{Term(1), NodeId()}, Snapshot(5, 1), {}}) {
    node.BecomeLeader();
    node.Receive(3, 2, Accepted(6));
    node.Receive(2, 2, Rejected(5, 0, 0));
  }
  void Read(uint64_t offset, std::string data, bool last = false) {
    node.raft.OnSnapshotChunkRead(NodeId(2), Snapshot(5, 1), offset, std::move(data),
                                  last);
    node.Pump();
  }
  TestNode node;
};

TEST_F(SnapshotSender, FollowerBehindTheLog_GetsTheSnapshotChunkByChunkThenTheLog) {
  ASSERT_EQ(node.snapshot_reads.size(), 1u);
  EXPECT_EQ(node.snapshot_reads[0].to, NodeId(2));
  EXPECT_EQ(node.snapshot_reads[0].meta, Snapshot(5, 1));
  EXPECT_EQ(node.snapshot_reads[0].offset, 0u);
  Read(0, "abc");
  EXPECT_EQ(node.Last<SnapshotChunk>(2).data.view(), "abc");
  EXPECT_FALSE(node.Last<SnapshotChunk>(2).last);
  node.Receive(2, 2, Answer(5, 0, 3));
  ASSERT_EQ(node.snapshot_reads.size(), 2u);
  EXPECT_EQ(node.snapshot_reads[1].offset, 3u);
  Read(3, "de", true);
  EXPECT_TRUE(node.Last<SnapshotChunk>(2).last);
  node.Forget();
  node.Receive(2, 2, Accepted(5));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kReplicate);
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(5));
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 1u);
}

TEST_F(SnapshotSender, LostChunkOrAnswer_IsSentAgain) {
  Read(0, "abc");
  for (int i = 0; i < 12; ++i) {
    node.Pass(Duration::Millis(40));
    node.Receive(3, 2, Accepted(6));
  }
  ASSERT_EQ(node.snapshot_reads.size(), 2u);
  EXPECT_EQ(node.snapshot_reads[1].offset, 0u);
  EXPECT_EQ(node.raft.counters().snapshot_chunks_repeated, 1u);
}

TEST_F(SnapshotSender, AnswersRepeatedOrOfAnotherSnapshot_ChangeNothing) {
  Read(0, "abc");
  node.Receive(2, 2, Answer(4, 0, 3));
  EXPECT_EQ(node.snapshot_reads.size(), 1u);
  node.Receive(2, 2, Answer(5, 0, 3));
  node.Receive(2, 2, Answer(5, 0, 3));
  EXPECT_EQ(node.snapshot_reads.size(), 2u);
  Read(0, "abc");  // nobody waits for it any more
  EXPECT_EQ(node.Sent<SnapshotChunk>(2).size(), 1u);
}

TEST_F(SnapshotSender, FollowerThatLostItsPart_IsServedFromTheStart) {
  Read(0, "abc");
  node.Receive(2, 2, Answer(5, 0, 3));
  Read(3, "de");
  node.Receive(2, 2, Answer(5, 3, 0));
  EXPECT_EQ(node.snapshot_reads.back().offset, 0u);
  EXPECT_EQ(node.raft.counters().snapshots_restarted, 1u);
}

TEST_F(SnapshotSender, SnapshotReplacedMeanwhile_TheNewOneIsSent) {
  Read(0, "abc");
  node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(LogIndex(6)));
  node.Receive(2, 2, Answer(5, 0, 3));
  EXPECT_EQ(node.snapshot_reads.back().meta.index, LogIndex(5)) << "while it is there";
  node.raft.OnSnapshotChunkGone(NodeId(2), Snapshot(5, 1));
  node.Pump();
  EXPECT_EQ(node.snapshot_reads.back().meta.index, LogIndex(6));
  EXPECT_EQ(node.snapshot_reads.back().offset, 0u);
}

TEST_F(SnapshotSender, HeartbeatsAndReads_GoOnMeanwhile) {
  node.Forget();
  node.Pass(Duration::Millis(40));
  const AppendRequest heartbeat = node.Last<AppendRequest>(2);
  EXPECT_TRUE(heartbeat.entries.empty());
  EXPECT_EQ(heartbeat.leader_commit, LogIndex(0));
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  node.Receive(2, 2, Accepted(0, node.Last<AppendRequest>(2).read_round));
  EXPECT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kSnapshot);
}

TEST(SnapshotReceiver, ChunkOutOfPlace_IsAnsweredWithWhatIsWanted) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 7, "xyz"));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).offset, 7u);
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 3u);
  EXPECT_EQ(node.snapshot_writes.size(), 1u);
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 3, "de", true));
  EXPECT_EQ(node.installs.size(), 1u);
}

TEST(SnapshotReceiver, RestartedInTheMiddle_AsksFromTheStart) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 300, "abc"));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).offset, 300u);
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 0u);
  EXPECT_TRUE(node.snapshot_writes.empty());
}

// Two leaders may write the same state in different bytes.
TEST(SnapshotReceiver, LeaderChangesInTheMiddle_BeginsAnew) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc"));
  node.Receive(3, 5, Chunk(Snapshot(9, 3), 3, "de", true));
  EXPECT_TRUE(node.installs.empty());
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(3).next_offset, 0u);
  node.Receive(3, 5, Chunk(Snapshot(9, 3), 0, "whole", true));
  ASSERT_EQ(node.installs.size(), 1u);
  EXPECT_EQ(node.snapshot_writes.back().offset, 0u);
}

TEST(SnapshotReceiver, AppendsOvertakeTheSnapshot_ItIsNotInstalled) {
  TestNode node(Recovered(3, {1, 3}));
  node.Receive(2, 4, Chunk(Snapshot(2, 3), 0, "abc"));
  node.Receive(2, 4, Append(2, 3, Commands(3, {4}), 3));
  node.Receive(2, 4, Chunk(Snapshot(2, 3), 3, "de", true));
  EXPECT_TRUE(node.installs.empty());
  EXPECT_EQ(node.raft.commit_index(), LogIndex(3));
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(3));
}

TEST(SnapshotReceiver, AppendsDuringTheInstallation_AreKeptButNotAppliedBeforeIt) {
  TestNode node(Recovered(3, {1, 3}));
  node.Receive(2, 4, Chunk(Snapshot(2, 3), 0, "abc", true));
  ASSERT_EQ(node.installs.size(), 1u);
  node.Receive(2, 4, Append(2, 3, Commands(3, {4}), 3));
  node.Receive(2, 4, Chunk(Snapshot(2, 3), 0, "abc", true));  // repeated
  EXPECT_EQ(node.installs.size(), 1u);
  EXPECT_TRUE(node.applied.empty());
  node.raft.OnSnapshotInstalled(Snapshot(2, 3));
  node.Pump();
  EXPECT_EQ(node.applied, Commands(3, {4}));
}

TEST(SnapshotReceiver, Acknowledgement_WaitsForTheDisk) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  node.hold_disk = true;
  node.raft.OnSnapshotInstalled(Snapshot(9, 3));
  node.Pump();
  EXPECT_TRUE(node.Sent<AppendResponse>(2).empty());
  node.Flush();
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(9));
}

TEST(SnapshotReceiver, WriteOfDiscardedEntriesUnderWay_DoesNotCount) {
  TestNode node(Recovered(2, {1}));
  node.hold_disk = true;
  node.Receive(2, 2, Append(1, 1, Commands(2, {2, 2, 2, 2})));
  node.Receive(3, 3, Chunk(Snapshot(3, 3), 0, "abc", true));
  node.raft.OnSnapshotInstalled(Snapshot(3, 3));
  node.Pump();
  node.Flush();  // of the entries 2 to 5 of term 2
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(0));
  while (!node.disk.empty()) node.Flush();
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(3));
}

TEST(SnapshotReceiver, InstallationFailed_IsAskedForAgain) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  node.raft.OnSnapshotInstallFailed(Snapshot(9, 3));
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 3, "de", true));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 0u);
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  EXPECT_EQ(node.installs.size(), 2u);
}

TEST(SnapshotReceiver, DuringTheInstallation_AsksForNoElection) {
  TestNode node;
  node.Receive(2, 4, Chunk(Snapshot(9, 3), 0, "abc", true));
  for (int i = 0; i < 5; ++i) node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  node.raft.OnSnapshotInstalled(Snapshot(9, 3));
  node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);
}

TEST(Compaction, OwnSnapshot_DropsTheLogBehindItAndIsRecorded) {
  TestNode node(Recovered(2, {1, 1, 2, 2}));
  node.Receive(2, 2, Append(4, 2, {}, 3));
  const SnapshotMeta meta = node.raft.SnapshotMetaAt(LogIndex(3));
  EXPECT_EQ(meta, Snapshot(3, 2));
  node.raft.OnSnapshotTaken(meta);
  node.Pump();
  EXPECT_EQ(node.written.back().snapshot, meta);
  EXPECT_FALSE(node.written.back().discard_log);
  EXPECT_EQ(node.raft.log().first_index(), LogIndex(4));
  // Messages that begin before it still fit.
  node.Receive(2, 2, Append(1, 1, Commands(2, {1, 2, 2, 2}), 5));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(5));
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(5));
}

TEST(Compaction, SomeEntriesAreKeptForFollowersALittleBehind) {
  Config config = TestConfig();
  config.entries_kept_behind_snapshot = 2;
  TestNode node({}, config);
  node.BecomeSettledLeader();
  node.Propose({"a", "b", "c", "d"});
  node.Receive(3, 1, Accepted(5));
  node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(LogIndex(5)));
  node.Pump();
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(3));
  node.Receive(2, 1, Rejected(5, 3, 1));
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(3));
  node.Receive(2, 1, Rejected(3, 2, 1));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kSnapshot);
}

TEST(Recovery, SnapshotAndTheEntriesBehindIt_AreTakenAsTheyAre) {
  TestNode node(
      RecoveredState{{Term(4), NodeId(2)}, Snapshot(5, 3), Commands(6, {3, 4})});
  EXPECT_EQ(node.raft.commit_index(), LogIndex(5));
  EXPECT_EQ(node.raft.log().last_index(), LogIndex(7));
  EXPECT_EQ(node.raft.persisted_index(), LogIndex(7));
  EXPECT_TRUE(node.written.empty());
}

TEST(RecoveryDeathTest, StateThatNoCrashCanLeave_EndsTheProcess) {
  const Config config = TestConfig();
  EXPECT_DEATH(
      Raft(config, RecoveredState{{Term(4), {}}, Snapshot(3, 2), Commands(5, {3})}),
      "entry 5 after 3");
  EXPECT_DEATH(Raft(config, Recovered(1, {1, 2})), "stored before the term");
}

}  // namespace
}  // namespace concordat::raft
