// The replica between Raft, the log and the machine: above all, when the log has no room.
#include "coordinator/group/replica.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/txn/core.h"

namespace concordat::group {
namespace {

constexpr GroupId kGroup{1};

// A log whose queue is limited in bytes, as that of wal::LogWriter is, and whose disk
// writes when the test calls Flush.
class StalledLog final : public storage::LogSink {
 public:
  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                  wal::Reserve) override {
    size_t bytes = 0;
    for (const wal::Record& record : records) {
      bytes += record.payload.size() + wal::kRecordOverhead;
    }
    if (bytes > queue_bytes) return absl::InvalidArgumentError("more than the queue");
    if (queued_ + bytes > queue_bytes) return absl::UnavailableError("the queue is full");
    if (!space_for_finish) return absl::ResourceExhaustedError("the disk is full");
    queued_ += bytes;
    largest_queue = std::max(largest_queue, queued_);
    last_ = wal::Lsn(last_.value() + records.size());
    return last_;
  }
  void ReleaseBefore(wal::Lsn) override {}
  wal::Lsn durable_lsn() const override { return durable_; }
  bool HasSpace(wal::Reserve use) const override {
    return use == wal::Reserve::kNormal ? space : space_for_finish;
  }
  [[nodiscard]] wal::Lsn last() const { return last_; }
  wal::Lsn Flush() {
    queued_ = 0;
    durable_ = last_;
    return durable_;
  }

  size_t queue_bytes = 20u << 20;
  size_t largest_queue = 0;
  bool space = true;
  bool space_for_finish = true;

 private:
  size_t queued_ = 0;
  wal::Lsn last_;
  wal::Lsn durable_;
};

class World final : public ReplicaEnvironment {
 public:
  void SendToPeer(raft::Message message) override { sent.push_back(std::move(message)); }
  void OnMachineOutput() override {
    txn::Output output = core->TakeOutput();
    for (txn::Answer& answer : output.answers) answers.push_back(std::move(answer));
  }
  void OnRaftState(const raft::SoftState&) override {}
  void OnMembers(const raft::Configuration&) override {}
  void OnRaftNotice(const raft::Notice&) override {}
  void SaveSnapshot(const raft::SnapshotMeta& meta,
                    std::unique_ptr<SnapshotSource>) override {
    saved.push_back(meta);
  }
  void ReceiveSnapshot(raft::SnapshotWrite) override { ++received_parts; }
  void DropReceivedSnapshot() override { ++dropped; }
  void RestoreSnapshot(const raft::SnapshotMeta&,
                       std::unique_ptr<SnapshotRestore> begun) override {
    restore = std::move(begun);
  }
  absl::StatusOr<std::string> ReadSnapshot(const raft::SnapshotMeta&, uint64_t, size_t,
                                           bool*) override {
    return absl::NotFoundError("no snapshot");
  }

  txn::Core* core = nullptr;
  std::vector<raft::Message> sent;
  std::vector<txn::Answer> answers;
  std::vector<raft::SnapshotMeta> saved;
  std::unique_ptr<SnapshotRestore> restore;
  int received_parts = 0;
  int dropped = 0;  // transfers of a snapshot
};

class ReplicaTest : public ::testing::Test {
 protected:
  void Create(std::vector<NodeId> voters) {
    ReplicaConfig config;
    config.raft.self = NodeId(1);
    config.raft.group = kGroup;
    config.raft.members = raft::Configuration(voters);
    config.snapshot_entries = snapshot_entries_;
    config.snapshot_bytes = UINT64_MAX;
    store_.Attach(&log_);
    world_.core = &core_;
    replica_ = std::make_unique<Replica>(config, store_.TakeRecovered(kGroup), &core_,
                                         &store_, &world_);
    Pass(Duration());
  }
  void Process() {
    while (replica_->Process()) replica_->Tick(now_);
  }
  void Pass(Duration time) {
    now_ = now_ + time;
    replica_->Tick(now_);
    Process();
  }
  // As the node does it: the machine first learns the time and whether there is room.
  void Submit(txn::Request request) {
    replica_->Tick(now_);
    core_.Handle(txn::SubmittedRequest{txn::RequestToken(++token_), std::move(request)},
                 now_);
  }
  void Flush() {
    replica_->OnDurable(log_.Flush());
    Process();
  }
  void LeadAlone() {
    Create({NodeId(1)});
    for (int i = 0; i < 4; ++i) Flush();
    ASSERT_TRUE(replica_->raft().is_ready_leader());
  }
  void Receive(NodeId from, Term term, raft::Message::Body body) {
    EXPECT_TRUE(
        replica_
            ->OnPeerMessage(raft::Message{kGroup, from, NodeId(1), term, std::move(body),
                                          replica_->raft().cluster()})
            .ok());
    Process();
  }
  // Answers every append that was sent to that node.
  void AcknowledgeAll(NodeId from) {
    for (const raft::Message& message : std::exchange(world_.sent, {})) {
      const auto* append = std::get_if<raft::AppendRequest>(&message.body);
      if (append == nullptr || message.to != from) continue;
      raft::AppendResponse response;
      response.success = true;
      response.match_index =
          LogIndex(append->prev_log_index.value() + append->entries.size());
      response.read_round = append->read_round;
      Receive(from, message.term, response);
    }
  }
  // It is elected, and the first entry of its term is not log-committed yet.
  void BeElectedOfThree() {
    Create({NodeId(1), NodeId(2), NodeId(3)});
    Pass(Duration::Millis(500));
    Receive(NodeId(2), Term(), raft::PreVoteResponse{Term(1), true});
    Flush();
    Receive(NodeId(2), Term(1), raft::VoteResponse{true});
    ASSERT_TRUE(replica_->raft().is_leader());
  }
  void LeadOfThree() {
    BeElectedOfThree();
    for (int i = 0; i < 4; ++i) {
      Flush();
      AcknowledgeAll(NodeId(2));
    }
    ASSERT_TRUE(replica_->raft().is_ready_leader());
    world_.sent.clear();
  }
  // Time passes in which only heartbeats and their answers are exchanged.
  void PassQuietly(int heartbeats) {
    for (int i = 0; i < heartbeats; ++i) {
      Pass(Duration::Millis(40));
      Flush();
      AcknowledgeAll(NodeId(2));
    }
  }
  template <class Body>
  std::vector<Body> SentTo(NodeId to) const {
    std::vector<Body> found;
    for (const raft::Message& message : world_.sent) {
      const Body* body = std::get_if<Body>(&message.body);
      if (message.to == to && body != nullptr) found.push_back(*body);
    }
    return found;
  }
  Gtid Allocate(uint32_t count) {
    Submit(txn::AllocateGtidsRequest{count});
    Process();
    const auto* block = std::get_if<txn::GtidBlockReply>(&world_.answers.back().reply);
    EXPECT_NE(block, nullptr);
    return block->first;
  }

  StalledLog log_;
  World world_;
  storage::RaftStore store_;
  txn::Core core_{kGroup, txn::CoreOptions()};
  std::unique_ptr<Replica> replica_;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  uint64_t token_ = 0;
  uint64_t snapshot_entries_ = UINT64_MAX;
};

// There are 100,000 rollbacks of more than half a KiB each while the disk does not write.
// Raft may have more bytes uncommitted than the log's queue can take.
TEST_F(ReplicaTest, Scenario80_HundredThousandProposalsAtOnce_WaitForTheLogsQueue) {
  constexpr int kCount = 100'000;
  LeadAlone();
  std::vector<Gtid> gtids;
  while (gtids.size() < kCount) {
    Gtid gtid = Allocate(10'000);
    for (int i = 0; i < 10'000; ++i, ++gtid.sequence) gtids.push_back(gtid);
  }
  world_.answers.clear();
  for (const Gtid& gtid : gtids) {
    Submit(txn::RollbackRequest{.gtid = gtid, .reason = std::string(600, 'x')});
  }
  Process();
  EXPECT_GT(replica_->raft().uncommitted_bytes(), log_.queue_bytes);
  EXPECT_TRUE(world_.answers.empty());
  for (int i = 0; i < 200 && world_.answers.size() < kCount; ++i) Flush();
  ASSERT_EQ(world_.answers.size(), size_t{kCount});
  for (const txn::Answer& answer : world_.answers) {
    ASSERT_TRUE(std::holds_alternative<txn::AbortedReply>(answer.reply));
  }
  EXPECT_LE(log_.largest_queue, log_.queue_bytes);
}

TEST_F(ReplicaTest, QueueSmallerThanWhatRaftHasUnflushed_IsWaitedFor) {
  log_.queue_bytes = 6u << 20;
  LeadAlone();
  Gtid gtid = Allocate(10'000);
  world_.answers.clear();
  for (int i = 0; i < 10'000; ++i, ++gtid.sequence) {
    Submit(txn::RollbackRequest{.gtid = gtid, .reason = std::string(1000, 'x')});
  }
  Process();
  for (int i = 0; i < 50 && world_.answers.size() < 10'000; ++i) Flush();
  EXPECT_EQ(world_.answers.size(), 10'000u);
}

// Scenario 88: what has no room even in the reserve waits, and the process goes on.
TEST_F(ReplicaTest, Scenario88_ReserveIsExhausted_WritesWaitForSpace) {
  LeadAlone();
  const Gtid gtid = Allocate(1);
  world_.answers.clear();
  log_.space_for_finish = false;
  Submit(txn::RollbackRequest{.gtid = gtid});
  Process();
  for (int i = 0; i < 10; ++i) Flush();
  EXPECT_TRUE(world_.answers.empty());
  log_.space_for_finish = true;
  Pass(Duration::Millis(10));
  Flush();
  EXPECT_EQ(world_.answers.size(), 1u);
}

// Scenario 10: a leader may say that it does not know a transaction only after another
// node has confirmed that it leads.
TEST_F(ReplicaTest, Scenario10_UnknownOutcome_IsAnsweredWhenAPeerHasConfirmedTheLeader) {
  LeadOfThree();
  world_.answers.clear();
  const Gtid gtid = Allocate(1);
  world_.answers.clear();
  Submit(txn::OutcomeRequest{gtid});
  Process();
  EXPECT_TRUE(world_.answers.empty());
  AcknowledgeAll(NodeId(2));
  ASSERT_EQ(world_.answers.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<txn::NotStagedReply>(world_.answers[0].reply));
}

TEST_F(ReplicaTest, Scenario10_UnknownOutcomeAtADeposedLeader_SendsTheCallerOn) {
  LeadOfThree();
  const Gtid gtid = Allocate(1);
  world_.answers.clear();
  Submit(txn::OutcomeRequest{gtid});
  Process();
  Receive(NodeId(3), replica_->raft().term().Next(), raft::VoteResponse{});
  ASSERT_EQ(world_.answers.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<txn::NotLeaderReply>(world_.answers[0].reply));
  AcknowledgeAll(NodeId(2));
  EXPECT_EQ(world_.answers.size(), 1u);
}

txn::Refusal RefusalOf(const txn::Answer& answer) {
  const auto* refused = std::get_if<txn::RefusedReply>(&answer.reply);
  return refused == nullptr ? txn::Refusal::kBadRequest : refused->why;
}

raft::AppendRequest FirstEntry(raft::EntryType type, std::string data) {
  raft::AppendRequest append;
  append.entries.push_back(
      raft::Entry{Term(1), LogIndex(1), type, raft::Payload(std::move(data))});
  return append;
}

TEST_F(ReplicaTest, Scenario77_FollowerWithoutSpace_TellsTheLeaderAndStoresNothing) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  log_.space = false;
  Pass(Duration::Millis(10));
  Receive(NodeId(2), Term(1), FirstEntry(raft::EntryType::kTermStart, ""));
  Flush();
  ASSERT_FALSE(SentTo<raft::AppendResponse>(NodeId(2)).empty());
  EXPECT_TRUE(SentTo<raft::AppendResponse>(NodeId(2)).back().no_space);
  EXPECT_EQ(replica_->raft().log().last_index(), LogIndex());
}

// Scenario 50: it is refused before it is acknowledged, because what is acknowledged may
// be committed.
TEST_F(ReplicaTest, Scenario50_RecordThatThisVersionDoesNotKnow_IsNotAcknowledged) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  EXPECT_FALSE(replica_
                   ->OnPeerMessage(
                       raft::Message{kGroup, NodeId(2), NodeId(1), Term(1),
                                     FirstEntry(raft::EntryType::kCommand, "\xff\xff")})
                   .ok());
  Process();
  Flush();
  EXPECT_TRUE(SentTo<raft::AppendResponse>(NodeId(2)).empty());
  EXPECT_EQ(replica_->raft().log().last_index(), LogIndex());
}

// Two writes are under way, and the first is flushed.
TEST_F(ReplicaTest, Acknowledgement_WaitsForTheWriteThatItSpeaksOf) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  Receive(NodeId(2), Term(1), FirstEntry(raft::EntryType::kTermStart, ""));
  const wal::Lsn first = log_.last();
  raft::AppendRequest second = FirstEntry(raft::EntryType::kTermStart, "");
  second.prev_log_index = second.entries[0].index;
  second.prev_log_term = Term(1);
  second.entries[0].index = LogIndex(2);
  Receive(NodeId(2), Term(1), second);
  ASSERT_GT(log_.last(), first);
  EXPECT_TRUE(SentTo<raft::AppendResponse>(NodeId(2)).empty());
  replica_->OnDurable(first);
  Process();
  for (const auto& response : SentTo<raft::AppendResponse>(NodeId(2))) {
    EXPECT_EQ(response.match_index, LogIndex(1));
  }
  Flush();
  EXPECT_EQ(SentTo<raft::AppendResponse>(NodeId(2)).back().match_index, LogIndex(2));
}

// A leader hands over when its disk is full for a while, and not while it has room.
TEST_F(ReplicaTest, Scenario88_LeaderWithoutSpace_HandsOverWhenThatLasts) {
  LeadOfThree();
  const uint64_t& begun = replica_->raft().counters().transfers_begun;
  PassQuietly(20);
  EXPECT_EQ(begun, 0u);
  log_.space = false;
  PassQuietly(10);
  EXPECT_EQ(begun, 0u) << "it may be over in a moment";
  log_.space = true;
  PassQuietly(1);
  log_.space = false;
  PassQuietly(10);
  EXPECT_EQ(begun, 0u) << "the time before there was space does not count";
  PassQuietly(5);
  EXPECT_EQ(begun, 1u);
}

TEST_F(ReplicaTest, Scenario88_SpaceIsGoneSinceTheLastTick_NewWorkIsRefused) {
  LeadOfThree();
  log_.space = false;
  Submit(txn::AllocateGtidsRequest{1});
  Process();
  ASSERT_EQ(world_.answers.size(), 1u);
  EXPECT_EQ(RefusalOf(world_.answers[0]), txn::Refusal::kOverloaded);
}

TEST_F(ReplicaTest, Scenario88_SpaceIsGoneWhenTheLeaderIsReady_WhatHasWaitedIsRefused) {
  BeElectedOfThree();
  Submit(txn::AllocateGtidsRequest{1});
  Process();
  Flush();
  ASSERT_TRUE(world_.answers.empty());
  log_.space = false;
  for (int i = 0; i < 4; ++i) AcknowledgeAll(NodeId(2));
  ASSERT_EQ(world_.answers.size(), 1u);
  EXPECT_EQ(RefusalOf(world_.answers[0]), txn::Refusal::kOverloaded);
}

// No node takes over, so the requests that came meanwhile are handled afterwards.
TEST_F(ReplicaTest, ProposalsWhileLeadershipIsHandedOver_WaitForTheEndOfThat) {
  LeadOfThree();
  const Gtid gtid = Allocate(1);
  world_.answers.clear();
  ASSERT_TRUE(replica_->HandOver().ok());
  Submit(txn::RollbackRequest{.gtid = gtid});
  Process();
  EXPECT_TRUE(world_.answers.empty());
  PassQuietly(10);
  ASSERT_FALSE(replica_->raft().is_transferring());
  ASSERT_TRUE(replica_->raft().is_leader());
  ASSERT_EQ(world_.answers.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<txn::AbortedReply>(world_.answers[0].reply));
}

// Scenario 80: heartbeats are sent and received between two portions.
TEST_F(ReplicaTest, Scenario80_ManyEntriesCommittedAtOnce_AreAppliedInPortions) {
  LeadAlone();
  Gtid gtid = Allocate(10'000);
  for (int i = 0; i < 10'000; ++i, ++gtid.sequence) {
    Submit(txn::RollbackRequest{.gtid = gtid});
  }
  Process();
  const LogIndex before = replica_->raft().applied_index();
  replica_->OnDurable(log_.Flush());
  EXPECT_TRUE(replica_->Process());
  EXPECT_LE(replica_->raft().applied_index().value() - before.value(), 4096u);
}

// --- snapshots ---

TEST_F(ReplicaTest, Snapshot_IsTakenAfterSoManyEntries_OneAtATime) {
  snapshot_entries_ = 10;
  LeadAlone();
  Gtid gtid = Allocate(100);
  const auto apply = [&](int entries) {
    for (int i = 0; i < entries; ++i, ++gtid.sequence) {
      Submit(txn::RollbackRequest{.gtid = gtid});
    }
    Process();
    for (int i = 0; i < 4; ++i) Flush();
  };
  apply(10);
  ASSERT_EQ(world_.saved.size(), 1u);
  apply(10);
  ASSERT_EQ(world_.saved.size(), 1u) << "it is not saved yet";
  replica_->OnSnapshotSaved(world_.saved[0], absl::ResourceExhaustedError("disk full"));
  EXPECT_TRUE(replica_->raft().snapshot().index.is_none());
  Process();
  ASSERT_EQ(world_.saved.size(), 2u) << "as many entries have come meanwhile";
  replica_->OnSnapshotSaved(world_.saved[1], absl::OkStatus());
  EXPECT_EQ(replica_->raft().snapshot(), world_.saved[1]);
  apply(1);
  EXPECT_EQ(world_.saved.size(), 2u);
}

raft::SnapshotChunk ChunkOfSnapshotAt(uint64_t index, uint64_t offset, bool last) {
  const raft::Configuration voters({NodeId(1), NodeId(2), NodeId(3)});
  return {{LogIndex(index), Term(1), voters}, offset, raft::Payload("12345678"), last};
}

TEST_F(ReplicaTest, SnapshotThatCannotBeRestored_IsNotInstalled) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  const auto chunk = ChunkOfSnapshotAt(20, 0, /*last=*/true);
  Receive(NodeId(2), Term(1), chunk);
  ASSERT_NE(world_.restore, nullptr);
  replica_->OnSnapshotRestored(chunk.meta, absl::DataLossError("damaged"),
                               world_.restore.get());
  Process();
  EXPECT_TRUE(replica_->raft().snapshot().index.is_none());
  EXPECT_EQ(world_.dropped, 0) << "it is not being received any more";
}

TEST_F(ReplicaTest, TransferThatGoesOn_IsNotDropped) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 0, false));
  Pass(Duration::Millis(10));
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 8, true));
  EXPECT_EQ(world_.received_parts, 2);
  EXPECT_EQ(world_.dropped, 0);
}

TEST_F(ReplicaTest, Scenario77_NoSpaceDuringATransfer_WhatWasReceivedIsDropped) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 0, false));
  log_.space = false;
  Pass(Duration::Millis(10));
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 8, false));
  EXPECT_EQ(world_.dropped, 1);
  log_.space = true;
  Pass(Duration::Millis(10));
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 0, false));
  EXPECT_EQ(world_.received_parts, 2) << "from its beginning";
  EXPECT_EQ(world_.dropped, 1);
}

// The next leader may have all entries that this node needs.
TEST_F(ReplicaTest, TransferWhoseLeaderIsGone_IsDropped) {
  Create({NodeId(1), NodeId(2), NodeId(3)});
  Receive(NodeId(2), Term(1), ChunkOfSnapshotAt(20, 0, false));
  Receive(NodeId(3), Term(2), FirstEntry(raft::EntryType::kTermStart, ""));
  EXPECT_EQ(world_.dropped, 1);
}

// --- what waits ---

TEST_F(ReplicaTest, Read_IsConfirmedWhenEverythingBeforeItIsApplied) {
  LeadAlone();
  Gtid gtid = Allocate(10'000);
  const Gtid unknown = Allocate(1);
  for (int i = 0; i < 10'000; ++i, ++gtid.sequence) {
    Submit(txn::RollbackRequest{.gtid = gtid});
  }
  Process();
  replica_->OnDurable(log_.Flush());
  ASSERT_TRUE(replica_->Process());
  const LogIndex commit = replica_->raft().commit_index();
  Submit(txn::OutcomeRequest{unknown});
  const auto answered = [&] {
    return std::any_of(
        world_.answers.begin(), world_.answers.end(),
        [&](const txn::Answer& answer) { return answer.token.value() == token_; });
  };
  while (replica_->raft().applied_index() < commit) {
    EXPECT_FALSE(answered()) << replica_->raft().applied_index();
    (void)replica_->Process();
  }
  Process();
  EXPECT_TRUE(answered());
}

}  // namespace
}  // namespace concordat::group
