// Replica: one Raft group on one coordinator node. Connects the two pure cores
// (coordinator/raft and coordinator/txn), the durable log and the outside world, and
// is the one place that fixes the order of disk, network, apply and answers:
//
//   inputs (messages, requests, votes, time, "durable up to")  ->  Process():
//     1. Raft's messages that promise nothing      -> SendToPeer
//     2. term, vote and entries                    -> the log, flushed by its writer
//     3. messages that promise what was written    -> SendToPeer, once it is durable
//     4. log-committed entries                     -> applied to the table
//     5. what the transaction core then wants      -> proposals to Raft, messages to
//                                                     resources, answers to clients,
//                                                     reads that Raft is to confirm
//   until nothing is left to do.
//
// The same class runs in the daemon, in a process that embeds the coordinator, and in
// the simulator; they differ in what stands behind ReplicaEnvironment and LogSink.
// Not thread-safe: everything happens on the node's loop.
#ifndef COORDINATOR_NODE_REPLICA_H_
#define COORDINATOR_NODE_REPLICA_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/raft.h"
#include "coordinator/storage/raft_store.h"
#include "coordinator/txn/core.h"
#include "wal/log.h"

namespace concordat::node {

// What a replica asks of the world. Calls come from inside Process() and must not call
// the replica back; what has to come back comes later, as an input.
class ReplicaEnvironment {
 public:
  virtual ~ReplicaEnvironment() = default;

  // May be lost, repeated, delayed, reordered.
  virtual void SendToPeer(raft::Message message) = 0;
  // PREPARE, COMMIT or ROLLBACK to the participant that serves branch.resource. When
  // it cannot be delivered, Replica::OnVote or OnAcknowledged is called later with
  // kUnavailable; a lost one is repeated by the core.
  virtual void SendToResource(const txn::Message& message) = 0;
  // Each token that was submitted gets one answer.
  virtual void Answer(txn::Answer answer) = 0;
  // For logs, metrics and traces.
  virtual void OnEvents(const std::vector<txn::Event>& events) = 0;
  virtual void OnRaftState(const raft::SoftState& state) = 0;
  virtual void OnRaftNotice(const raft::Notice& notice) = 0;

  // Makes a snapshot durable, then Replica::OnSnapshotSaved is called, later.
  virtual void SaveSnapshot(const raft::SnapshotMeta& meta, std::string state) = 0;
  // Part of a saved snapshot's state; NOT_FOUND when it is gone.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadSnapshot(
      const raft::SnapshotMeta& meta, uint64_t offset, size_t max_bytes, bool* last) = 0;
};

struct ReplicaConfig {
  raft::Config raft;
  txn::CoreOptions txn;
  // A snapshot is taken when so many entries, or bytes of them, were applied since
  // the last one.
  uint64_t snapshot_entries = 200'000;
  uint64_t snapshot_bytes = uint64_t{64} << 20;
  // A leader whose disk has had no room for new work for so long hands leadership over
  // to a follower that has some; tried again after as long.
  Duration hand_over_after = Duration::Millis(500);
};

class Replica {
 public:
  // `recovered` from store->TakeRecovered; `snapshot_state` belongs to its snapshot,
  // and is empty when there is none. DATA_LOSS when that state cannot be read.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Replica>> Create(
      ReplicaConfig config, raft::RecoveredState recovered,
      std::string_view snapshot_state, storage::RaftStore* store,
      ReplicaEnvironment* environment);

  // --- Inputs. They only change state: call Process() after one or after many.

  // `now` never goes back.
  void Tick(Timestamp now);
  // INVALID_ARGUMENT: not for this replica, or malformed. UNIMPLEMENTED: it carries a
  // record of a newer version; nothing was acknowledged.
  absl::Status OnPeerMessage(raft::Message message);
  void Submit(txn::RequestToken token, txn::Request request);
  void OnVote(const BranchId& branch, Vote vote, std::string_view detail);
  void OnAcknowledged(const BranchId& branch, FinishState result,
                      std::string_view detail);
  // The log is durable up to here.
  void OnDurable(wal::Lsn lsn);
  // An error keeps the old snapshot and the log behind it; it is tried again later.
  void OnSnapshotSaved(const raft::SnapshotMeta& meta, const absl::Status& saved);

  // Hands leadership over, as raft::Raft::TransferLeadership does, with its errors.
  absl::Status HandOver() { return raft_.TransferLeadership(); }

  // Carries out what the inputs led to, a bounded step of it. True: there is more to
  // do; let others have their turn, then Tick and Process again.
  [[nodiscard]] bool Process();

  // When Tick must be called at the latest.
  [[nodiscard]] Timestamp NextDeadline() const;

  // --- Views.

  [[nodiscard]] const raft::Raft& raft() const { return raft_; }
  [[nodiscard]] const txn::Core& core() const { return core_; }
  [[nodiscard]] Timestamp now() const { return now_; }

 private:
  struct HeldMessages {
    raft::PersistId after;
    std::vector<raft::Message> messages;
  };
  struct PersistUnderWay {
    wal::Lsn lsn;
    raft::PersistId id;
  };

  Replica(ReplicaConfig config, raft::RecoveredState recovered, storage::RaftStore* store,
          ReplicaEnvironment* environment);

  // `applied` counts the entries.
  bool ProcessRaft(size_t* applied);
  bool ProcessTransactions();
  // Those whose index is applied.
  void ConfirmReads();
  void FollowSpace();
  void FollowLeadership(const raft::SoftState& state);
  void WriteAndSend(raft::Output* output);
  // As far as the log has room.
  void WritePersists();
  void ApplyCommitted(const std::vector<raft::Entry>& entries);
  absl::Status RestoreReceived(const raft::SnapshotMeta& meta, std::string_view state);
  void ReceiveSnapshot(raft::Output* output);
  void ServeSnapshotReads(const std::vector<raft::SnapshotReadRequest>& reads);
  void MaybeTakeSnapshot();
  void ProposePending();

  const ReplicaConfig config_;
  storage::RaftStore* const store_;
  ReplicaEnvironment* const environment_;
  raft::Raft raft_;
  txn::Core core_;
  Timestamp now_;

  // What found no room in the log's queue or on the disk. The core bounds it
  // (Config::max_unflushed_bytes).
  std::deque<raft::Persist> unwritten_;
  std::deque<PersistUnderWay> persists_;
  raft::PersistId persisted_;
  std::deque<HeldMessages> held_;
  // Records that wait for Raft's flow control; only while leading.
  std::deque<std::string> pending_proposals_;
  // Confirmed by others, in the order of their indexes; only while leading.
  std::deque<raft::ReadState> reads_;
  Timestamp no_space_since_ = Timestamp::Infinite();  // while leading
  bool leading_ = false;
  Term leading_term_;

  struct Incoming {
    raft::SnapshotMeta meta;
    std::string state;
  };
  std::optional<Incoming> incoming_;
  bool installing_ = false;
  std::optional<raft::SnapshotMeta> saving_;
  uint64_t entries_since_snapshot_ = 0;
  uint64_t bytes_since_snapshot_ = 0;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_REPLICA_H_
