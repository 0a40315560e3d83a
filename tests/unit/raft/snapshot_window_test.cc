// Snapshots on their way over a slow network, while newer ones are taken (scenario 83).
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

SnapshotChunk Part(uint64_t index, uint64_t offset, std::string data, bool last = false) {
  return SnapshotChunk{Snapshot(index, 3), offset, Payload(std::move(data)), last};
}

SnapshotChunkResponse Wants(uint64_t index, uint64_t offset, uint64_t next) {
  return SnapshotChunkResponse{LogIndex(index), offset, next};
}

Config WindowConfig() {
  Config config = TestConfig(1, {1, 2, 3, 4, 5});
  config.snapshot_chunk_bytes = 10;
  config.max_inflight_chunks = 4;
  return config;
}

// Node 1 of five, leader of term 2 with a snapshot at index 5 and its own entry at 6;
// nodes 4 and 5 have everything, nodes 2 and 3 lack what the snapshot covers.
class SnapshotWindow : public testing::Test {
 protected:
  explicit SnapshotWindow(Config config = WindowConfig())
      : node(RecoveredState{{Term(1), NodeId()}, Snapshot(5, 1, kVoters), {}}, config) {
    node.BecomeLeader();
    Agree();
  }
  void Agree() {
    const uint64_t last = node.raft.log().last_index().value();
    node.Receive(4, 2, Accepted(last));
    node.Receive(5, 2, Accepted(last));
  }
  void Lacks(uint64_t peer) { node.Receive(peer, 2, Rejected(5, 0, 0)); }
  // Answers the last read request with a chunk of ten bytes.
  void Read(bool last = false) {
    ASSERT_FALSE(node.snapshot_reads.empty());
    const SnapshotReadRequest read = node.snapshot_reads.back();
    node.raft.OnSnapshotChunkRead(read.to, read.meta, read.offset, std::string(10, 'x'),
                                  last);
    node.Pump();
  }
  // Until no more are asked for; how many chunks have left.
  size_t ReadAll() {
    const size_t before = node.Sent<SnapshotChunk>().size();
    for (size_t reads = 0; node.snapshot_reads.size() > reads;) {
      reads = node.snapshot_reads.size();
      Read();
    }
    return node.Sent<SnapshotChunk>().size() - before;
  }
  void TakeSnapshot() {
    node.Propose({"a", "b"});
    Agree();
    node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(node.raft.applied_index()));
    node.Pump();
  }
  const Progress& Of(uint64_t peer) { return node.raft.progress().at(NodeId(peer)); }
  // All others are heard of, this one perhaps.
  void PassHearing(Duration time, std::vector<uint64_t> peers) {
    for (Duration passed; passed < time; passed = passed + Duration::Millis(40)) {
      node.Pass(Duration::Millis(40));
      Agree();
      for (uint64_t peer : peers) node.Receive(peer, 2, Accepted(0));
    }
  }

  inline static const std::vector<NodeId> kVoters{NodeId(1), NodeId(2), NodeId(3),
                                                  NodeId(4), NodeId(5)};
  TestNode node;
};

TEST_F(SnapshotWindow, Scenario83_ChunksAreSentAheadOfTheirAnswers_MoreWithEach) {
  Lacks(2);
  EXPECT_EQ(ReadAll(), 1u);
  node.Receive(2, 2, Wants(5, 0, 10));
  EXPECT_EQ(ReadAll(), 2u);
  node.Receive(2, 2, Wants(5, 10, 20));
  node.Receive(2, 2, Wants(5, 20, 30));
  EXPECT_EQ(ReadAll(), 4u);
  for (uint64_t at = 30; at < 70; at += 10) node.Receive(2, 2, Wants(5, at, at + 10));
  EXPECT_EQ(ReadAll(), 4u) << "and no more than the limit";
  EXPECT_EQ(node.Last<SnapshotChunk>(2).offset, 100u);
}

TEST_F(SnapshotWindow, Scenario83_ChunkLost_IsSentAgainAndWhatOvertookItIsNot) {
  Lacks(2);
  ReadAll();
  node.Receive(2, 2, Wants(5, 0, 10));
  ReadAll();  // 10 is lost, 20 arrives
  node.Receive(2, 2, Wants(5, 20, 10));
  EXPECT_EQ(Of(2).snapshot.received, 10u);
  PassHearing(Duration::Millis(440), {2});
  EXPECT_EQ(node.snapshot_reads.back().offset, 10u);
  EXPECT_EQ(ReadAll(), 1u) << "one at a time until it is answered";
  EXPECT_EQ(node.raft.counters().snapshot_chunks_repeated, 1u);
  node.Receive(2, 2, Wants(5, 10, 30));
  EXPECT_EQ(node.snapshot_reads.back().offset, 30u);
}

TEST_F(SnapshotWindow, Scenario83_AnswersReorderedAndRepeated_NeverTakeItBack) {
  Lacks(2);
  ReadAll();
  node.Receive(2, 2, Wants(5, 0, 10));
  ReadAll();
  node.Receive(2, 2, Wants(5, 20, 30));
  EXPECT_EQ(Of(2).snapshot.received, 30u);
  node.Receive(2, 2, Wants(5, 10, 20));
  node.Receive(2, 2, Wants(5, 0, 10));
  node.Receive(2, 2, Wants(5, 20, 30));
  EXPECT_EQ(Of(2).snapshot.received, 30u);
  EXPECT_EQ(node.snapshot_reads.back().offset, 30u);
  EXPECT_EQ(node.raft.counters().snapshots_restarted, 0u);
}

TEST_F(SnapshotWindow, LastChunk_IsNotReadBeyond) {
  Lacks(2);
  Read(/*last=*/true);
  const size_t reads = node.snapshot_reads.size();
  node.Receive(2, 2, Wants(5, 0, 0));  // it was a late copy of the first chunk's answer
  EXPECT_EQ(node.snapshot_reads.size(), reads);
  node.Receive(2, 2, Accepted(5));
  EXPECT_EQ(Of(2).state, ProgressState::kReplicate);
}

TEST_F(SnapshotWindow, Scenario83_NewerSnapshotIsTaken_TheTransferAndTheLogBehindItStay) {
  Lacks(2);
  ReadAll();
  node.Receive(2, 2, Wants(5, 0, 10));
  TakeSnapshot();  // at 8
  TakeSnapshot();  // at 10
  EXPECT_EQ(node.raft.snapshot().index, LogIndex(10));
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex(5));
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(5));
  EXPECT_EQ(node.snapshot_reads.back().meta.index, LogIndex(5));
  node.Receive(2, 2, Accepted(5));  // installed
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex());
  EXPECT_EQ(Of(2).state, ProgressState::kReplicate);
  TakeSnapshot();  // at 12, while the follower goes on from the log
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(5));
  EXPECT_EQ(node.Sent<AppendRequest>(2).back().entries.back().index, LogIndex(12));
  node.Receive(2, 2, Accepted(12));
  PassHearing(Duration::Millis(80), {2});
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(12)) << "nobody needs more any longer";
  EXPECT_EQ(Of(2).state, ProgressState::kReplicate);
}

TEST_F(SnapshotWindow, Scenario83_SecondFollowerMeanwhile_IsSentTheSameSnapshot) {
  Lacks(2);
  ReadAll();
  TakeSnapshot();
  Lacks(3);
  EXPECT_EQ(Of(3).state, ProgressState::kSnapshot);
  EXPECT_EQ(Of(3).snapshot.meta.index, LogIndex(5)) << "one older one is kept, no more";
  TakeSnapshot();
  node.Receive(2, 2, Accepted(5));
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex(5));
  node.Receive(3, 2, Accepted(5));
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex());
}

TEST_F(SnapshotWindow, Scenario83_FollowerThatTakesNothingIn_LosesItsClaim) {
  Lacks(2);
  ReadAll();
  TakeSnapshot();
  PassHearing(Duration::Seconds(61), {2});  // it answers heartbeats
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex());
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(8));
  EXPECT_EQ(Of(2).snapshot.meta.index, LogIndex(8));
}

TEST_F(SnapshotWindow, Scenario83_FollowerThatIsGone_LosesItsClaim) {
  Lacks(2);
  ReadAll();
  TakeSnapshot();
  PassHearing(Duration::Seconds(61), {3});
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex());
  EXPECT_EQ(node.raft.log().base_index(), LogIndex(8));
}

TEST_F(SnapshotWindow, SnapshotGoneForOneOfTwo_IsNotBegunWithAgain) {
  Lacks(2);
  ReadAll();
  Lacks(3);
  TakeSnapshot();
  node.raft.OnSnapshotChunkGone(NodeId(2), Snapshot(5, 1, kVoters));
  node.Pump();
  EXPECT_EQ(Of(2).snapshot.meta.index, LogIndex(8));
  node.raft.OnSnapshotChunkGone(NodeId(3), Snapshot(5, 1, kVoters));
  node.Pump();
  EXPECT_EQ(Of(3).snapshot.meta.index, LogIndex(8));
}

Config SmallLogConfig() {
  Config config = WindowConfig();
  config.max_log_kept_bytes = 1000;
  return config;
}

class SnapshotAndSmallLog : public SnapshotWindow {
 protected:
  SnapshotAndSmallLog() : SnapshotWindow(SmallLogConfig()) {}
};

TEST_F(SnapshotAndSmallLog, Scenario83_LogGrowsBeyondItsLimit_TheTransferBeginsAnew) {
  Lacks(2);
  ReadAll();
  node.Receive(2, 2, Wants(5, 0, 10));
  while (node.raft.log().bytes() < 800) TakeSnapshot();
  EXPECT_EQ(node.raft.OlderSnapshotInUse(), LogIndex(5));
  for (int i = 0; i < 5 && Of(2).snapshot.meta.index == LogIndex(5); ++i) TakeSnapshot();
  EXPECT_EQ(node.raft.log().bytes(), 0u);
  EXPECT_EQ(Of(2).snapshot.meta.index, node.raft.log().base_index());
  EXPECT_EQ(Of(2).snapshot.received, 0u);
  EXPECT_EQ(node.raft.counters().logs_not_kept_any_more, 1u);
}

TEST(SnapshotReceiverWindow, Scenario83_ChunksInAnyOrderAndTwice_MakeTheSameSnapshot) {
  std::vector<size_t> order{0, 1, 2, 3};
  do {
    TestNode node(RecoveredState{}, [] {
      Config config = TestConfig();
      config.max_inflight_chunks = 4;
      return config;
    }());
    const std::vector<SnapshotChunk> parts{Part(9, 0, "ab"), Part(9, 2, "cd"),
                                           Part(9, 4, "ef"), Part(9, 6, "g", true)};
    for (size_t i : order) {
      node.Receive(2, 4, parts[i]);
      if (node.installs.empty()) node.Receive(2, 4, parts[i]);
    }
    ASSERT_EQ(node.installs.size(), 1u);
    std::string state;
    for (const SnapshotWrite& write : node.snapshot_writes) {
      ASSERT_EQ(write.offset, state.size());
      state += write.data.view();
    }
    EXPECT_EQ(state, "abcdefg");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(SnapshotReceiverWindow, EarlyChunks_AreBounded) {
  Config config = TestConfig();
  config.max_inflight_chunks = 2;
  TestNode node({}, config);
  for (uint64_t at = 2; at < 20; at += 2) node.Receive(2, 4, Part(9, at, "xx"));
  EXPECT_EQ(node.raft.counters().snapshot_chunks_early, 2u);
  node.Receive(2, 4, Part(9, 0, "xx"));
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 6u);
}

TEST(SnapshotReceiverWindow, EarlyChunksOfAnotherSnapshot_AreForgotten) {
  TestNode node;
  node.Receive(2, 4, Part(9, 2, "old", true));
  node.Receive(2, 4, Part(11, 0, "ab"));
  EXPECT_TRUE(node.installs.empty());
  EXPECT_EQ(node.Last<SnapshotChunkResponse>(2).next_offset, 2u);
}

// A leader and a follower that lacks everything, 50 ms of a round trip apart. The third
// node follows at once, and the leader takes a snapshot every second.
class SlowTransfer {
 public:
  static constexpr Duration kOneWay = Duration::Millis(25);
  static constexpr size_t kSnapshotBytes = 400 * 10;

  SlowTransfer()
      : leader(RecoveredState{{Term(1), NodeId()}, Snapshot(5, 1), {}}, MakeConfig(1)),
        follower({}, MakeConfig(2)) {
    files_[LogIndex(5)] = std::string(kSnapshotBytes, '5');
    leader.BecomeLeader();
  }

  // One millisecond.
  void Step() {
    ++millis_;
    if (millis_ % 10 == 0) leader.Propose({"one", "two", "three"});
    if (millis_ % 1000 == 0) TakeSnapshot();
    for (TestNode* node : {&leader, &follower}) {
      node->Pass(Duration::Millis(1));
      Serve(node);
    }
    while (!wire_.empty() && wire_.front().first <= millis_) {
      TestNode& to = wire_.front().second.to == NodeId(1) ? leader : follower;
      EXPECT_TRUE(to.raft.Step(std::move(wire_.front().second)).ok());
      wire_.pop_front();
      to.Pump();
    }
    Install();
  }
  int64_t millis() const { return millis_; }
  bool CaughtUp() const {
    return follower.raft.applied_index().value() + 100 >=
           leader.raft.applied_index().value();
  }

  TestNode leader;
  TestNode follower;

 private:
  static Config MakeConfig(uint64_t self) {
    Config config = TestConfig(self);
    config.snapshot_chunk_bytes = 10;
    config.max_inflight_chunks = 8;
    config.seed = self;
    return config;
  }
  void TakeSnapshot() {
    const SnapshotMeta meta = leader.raft.SnapshotMetaAt(leader.raft.applied_index());
    files_[meta.index] = std::string(kSnapshotBytes, 'n');
    leader.raft.OnSnapshotTaken(meta);
    leader.Pump();
    std::erase_if(files_, [&](const auto& file) {
      return file.first < meta.index && file.first != leader.raft.OlderSnapshotInUse();
    });
    EXPECT_LE(files_.size(), 2u);
  }
  void Serve(TestNode* node) {
    for (size_t i = 0; i < node->snapshot_reads.size(); ++i) {  // it grows
      const SnapshotReadRequest read = node->snapshot_reads[i];
      const auto file = files_.find(read.meta.index);
      if (file == files_.end()) {
        node->raft.OnSnapshotChunkGone(read.to, read.meta);
      } else {
        std::string data = file->second.substr(read.offset, read.max_bytes);
        const bool last = read.offset + data.size() == file->second.size();
        node->raft.OnSnapshotChunkRead(read.to, read.meta, read.offset, std::move(data),
                                       last);
      }
      node->Pump();
    }
    node->snapshot_reads.clear();
    for (Message& message : std::exchange(node->sent, {})) {
      if (message.to != NodeId(3)) {
        wire_.emplace_back(millis_ + kOneWay.millis(), std::move(message));
      } else if (const auto* append = std::get_if<AppendRequest>(&message.body)) {
        node->Receive(3, message.term.value(),
                      Accepted(append->prev_log_index.value() + append->entries.size(),
                               append->read_round));
      }
    }
  }
  void Install() {
    for (const SnapshotMeta& meta : std::exchange(follower.installs, {})) {
      follower.raft.OnSnapshotInstalled(meta);
      follower.Pump();
    }
  }

  int64_t millis_ = 0;
  std::map<LogIndex, std::string> files_;
  std::deque<std::pair<int64_t, Message>> wire_;
};

// 400 chunks, a round trip for each, were twenty seconds and twenty snapshots.
TEST(SnapshotTransfer50ms, Scenario83_ASnapshotEverySecond_TheTransferEnds) {
  SlowTransfer transfer;
  while (transfer.millis() < 10'000 &&
         transfer.follower.raft.counters().snapshots_installed == 0) {
    transfer.Step();
  }
  EXPECT_EQ(transfer.follower.raft.counters().snapshots_installed, 1u);
  EXPECT_LT(transfer.millis(), 5'000);
  EXPECT_GT(transfer.leader.raft.snapshot().index,
            transfer.follower.raft.snapshot().index)
      << "newer ones were taken meanwhile";
  while (transfer.millis() < 10'000 && !transfer.CaughtUp()) transfer.Step();
  EXPECT_TRUE(transfer.CaughtUp());
  for (int i = 0; i < 3'000; ++i) transfer.Step();
  EXPECT_TRUE(transfer.CaughtUp());
  EXPECT_EQ(transfer.leader.raft.counters().snapshots_begun, 1u);
  EXPECT_EQ(transfer.leader.raft.counters().snapshots_restarted, 0u);
  EXPECT_EQ(transfer.leader.raft.term(), Term(2));
}

}  // namespace
}  // namespace concordat::raft
