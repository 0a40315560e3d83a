// Replica: one Raft group on one coordinator node. Connects the consensus core
// (coordinator/raft), the group's state machine (state_machine.h), the durable log and
// the outside world, and is the one place that fixes the order of disk, network, apply
// and answers:
//
//   inputs (messages, time, "durable up to", those of the machine)  ->  Process():
//     1. Raft's messages that promise nothing      -> SendToPeer
//     2. term, vote and entries                    -> the log, flushed by its writer
//     3. messages that promise what was written    -> SendToPeer, once it is durable
//     4. log-committed entries                     -> applied to the machine
//     5. what the machine then wants               -> proposals to Raft, reads that Raft
//                                                     is to confirm; then OnMachineOutput
//                                                     for the rest: answers, messages
//   until nothing is left to do.
//
// It knows no command of any machine. The same class runs in the daemon, in a process
// that embeds the coordinator, and in the simulator; they differ in what stands behind
// ReplicaEnvironment and LogSink. Not thread-safe: everything happens on the node's loop.
#ifndef COORDINATOR_GROUP_REPLICA_H_
#define COORDINATOR_GROUP_REPLICA_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/raft/raft.h"
#include "coordinator/storage/raft_store.h"
#include "wal/log.h"

namespace concordat::group {

// What a replica asks of the world. Calls come from inside Process(), OnDurable() and
// OnSnapshotRestored(), and must not call the replica back; what has to come back comes
// later, as an input.
class ReplicaEnvironment {
 public:
  virtual ~ReplicaEnvironment() = default;

  // May be lost, repeated, delayed, reordered.
  virtual void SendToPeer(raft::Message message) = 0;
  // The machine's proposals were handed to Raft. What else it wants is to be carried out
  // now: it waits for no flush, and all that had to be log-committed before it was.
  virtual void OnMachineOutput() = 0;
  virtual void OnRaftState(const raft::SoftState& state) = 0;
  virtual void OnRaftNotice(const raft::Notice& notice) = 0;

  // The four below work in the order in which they are called, away from the loop.

  // Makes a snapshot durable; then Replica::OnSnapshotSaved is called, later.
  virtual void SaveSnapshot(const raft::SnapshotMeta& meta,
                            std::unique_ptr<SnapshotSource> source) = 0;
  // Keeps a part of a snapshot that comes from the leader.
  virtual void ReceiveSnapshot(raft::SnapshotWrite part) = 0;
  // The snapshot is whole: makes it durable and reads it into `restore`, unless a part
  // could not be kept; then Replica::OnSnapshotRestored is called, later.
  virtual void RestoreSnapshot(const raft::SnapshotMeta& meta,
                               std::unique_ptr<SnapshotRestore> restore) = 0;
  // Part of a saved snapshot's state; NOT_FOUND when it is gone. At once.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadSnapshot(
      const raft::SnapshotMeta& meta, uint64_t offset, size_t max_bytes, bool* last) = 0;
};

struct ReplicaConfig {
  raft::Config raft;
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
  // `recovered` and the machine's state from Recover. The others outlive it.
  Replica(ReplicaConfig config, raft::RecoveredState recovered, StateMachine* machine,
          storage::RaftStore* store, ReplicaEnvironment* environment);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // --- Inputs. They only change state: call Process() after one or after many. The
  // --- machine's own are handed to it by the node, after Tick.

  // `now` never goes back. The machine then knows whether the disk has room.
  void Tick(Timestamp now);
  // INVALID_ARGUMENT: not for this replica, or malformed. UNIMPLEMENTED: it carries a
  // command of a newer version; nothing was acknowledged.
  absl::Status OnPeerMessage(raft::Message message);
  // The log is durable up to here.
  void OnDurable(wal::Lsn lsn);
  // An error keeps the old snapshot and the log behind it; it is tried again later.
  void OnSnapshotSaved(const raft::SnapshotMeta& meta, const absl::Status& saved);
  // With OK, `restore` is installed, if what was committed meanwhile allows it. It is
  // left to the caller, who destroys it away from the loop.
  void OnSnapshotRestored(const raft::SnapshotMeta& meta, const absl::Status& restored,
                          SnapshotRestore* restore);

  // Hands leadership over, as raft::Raft::TransferLeadership does, with its errors.
  absl::Status HandOver() { return raft_.TransferLeadership(); }

  // Carries out what the inputs led to, a bounded step of it. True: there is more to
  // do; let others have their turn, then Tick and Process again.
  [[nodiscard]] bool Process();

  // When Tick must be called at the latest.
  [[nodiscard]] Timestamp NextDeadline() const;

  // --- Views.

  [[nodiscard]] const raft::Raft& raft() const { return raft_; }
  // The machine's time: what it was told last.
  [[nodiscard]] Timestamp now() const { return now_; }

 private:
  struct HeldMessages {
    raft::PersistId after;
    std::vector<raft::Message> messages;
  };
  struct PendingPersist {
    wal::Lsn lsn;
    raft::PersistId id;
  };

  // `applied` counts the entries.
  bool ProcessRaft(size_t* applied);
  bool ProcessMachine();
  // Those whose index is applied.
  void ConfirmReads();
  void FollowSpace();
  void FollowLeadership(const raft::SoftState& state);
  void WriteAndSend(raft::Output* output);
  // As far as the log has room.
  void WritePersists();
  void ApplyCommitted(const std::vector<raft::Entry>& entries);
  void ReceiveSnapshot(raft::Output* output);
  void ServeSnapshotReads(const std::vector<raft::SnapshotReadRequest>& reads);
  void MaybeTakeSnapshot();
  void ProposePending();

  const ReplicaConfig config_;
  StateMachine* const machine_;
  storage::RaftStore* const store_;
  ReplicaEnvironment* const environment_;
  raft::Raft raft_;
  Timestamp now_;

  // What found no room in the log's queue or on the disk. The core bounds it
  // (Config::max_unflushed_bytes).
  std::deque<raft::Persist> unwritten_;
  std::deque<PendingPersist> persists_;  // written and not flushed
  raft::PersistId persisted_;
  std::deque<HeldMessages> held_;
  // Commands that wait for Raft's flow control; only while leading.
  std::deque<std::string> pending_proposals_;
  // Confirmed by others, in the order of their indexes; only while leading.
  std::deque<raft::ReadState> reads_;
  Timestamp no_space_since_ = Timestamp::Infinite();  // while leading
  bool leading_ = false;
  Term leading_term_;

  std::optional<raft::SnapshotMeta> installing_;  // until OnSnapshotRestored
  std::optional<raft::SnapshotMeta> saving_;      // until OnSnapshotSaved
  uint64_t entries_since_snapshot_ = 0;
  uint64_t bytes_since_snapshot_ = 0;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_REPLICA_H_
