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
// that embeds the coordinator, and in the simulator; they differ in how they implement
// ReplicaEnvironment and LogSink. Not thread-safe: used on the node's loop only.
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

// What a replica needs of its surroundings. The calls come from inside of Process(),
// OnDurable() and OnSnapshotRestored(), and must not call the replica back. Their results
// come later, as inputs.
class ReplicaEnvironment {
 public:
  virtual ~ReplicaEnvironment() = default;

  // The message may be lost, repeated, delayed or reordered.
  virtual void SendToPeer(raft::Message message) = 0;
  // The machine's proposals were passed to Raft. What else it wants is to be carried out
  // now: it does not have to wait for a flush, and everything that had to be
  // log-committed before it was.
  virtual void OnMachineOutput() = 0;
  virtual void OnRaftState(const raft::SoftState& state) = 0;
  // Other members are in force: by an entry of the log that may not be committed yet.
  virtual void OnMembers(const raft::Configuration& members) = 0;
  virtual void OnRaftNotice(const raft::Notice& notice) = 0;

  // The next four do their work away from the loop, in the order in which they are
  // called.

  // Makes a snapshot durable. Replica::OnSnapshotSaved is called later.
  virtual void SaveSnapshot(const raft::SnapshotMeta& meta,
                            std::unique_ptr<SnapshotSource> source) = 0;
  // Keeps a part of a snapshot that the leader sends.
  virtual void ReceiveSnapshot(raft::SnapshotWrite part) = 0;
  // Removes the parts that were received: the transfer was given up. The next part is the
  // first one of another transfer.
  virtual void DropReceivedSnapshot() = 0;
  // All parts have come: makes the snapshot durable and reads it into `restore`, unless a
  // part could not be kept. Replica::OnSnapshotRestored is called later.
  virtual void RestoreSnapshot(const raft::SnapshotMeta& meta,
                               std::unique_ptr<SnapshotRestore> restore) = 0;
  // Returns a part of a saved snapshot's state, at once. NOT_FOUND: the snapshot was
  // removed.
  [[nodiscard]] virtual absl::StatusOr<std::string> ReadSnapshot(
      const raft::SnapshotMeta& meta, uint64_t offset, size_t max_bytes, bool* last) = 0;
};

struct ReplicaConfig {
  raft::Config raft;  // identity, voters, times and limits of the Raft core
  // A snapshot is taken when so many entries, or so many bytes of them, were applied
  // since the last one.
  uint64_t snapshot_entries = 200'000;
  uint64_t snapshot_bytes = uint64_t{64} << 20;
  // When a leader's disk has had no room for new work for so long, the leader hands
  // leadership over to a follower that has room. It tries again after the same time.
  Duration hand_over_after = Duration::Millis(500);
};

class Replica {
 public:
  // `recovered` and the machine's state are from Recover. The pointers outlive this.
  Replica(ReplicaConfig config, raft::RecoveredState recovered, StateMachine* machine,
          storage::RaftStore* store, ReplicaEnvironment* environment);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // --- Inputs. They only change state: Process() has to be called after one or several
  // --- of them. The node passes the machine's own inputs to the machine, after Tick.

  // `now` never goes back. The machine is told whether the disk has room.
  void Tick(Timestamp now);
  // INVALID_ARGUMENT: the message is malformed, or not for this replica. UNIMPLEMENTED:
  // it has a command of a newer version; nothing was acknowledged.
  absl::Status OnPeerMessage(raft::Message message);
  // The log is durable up to and including `lsn`.
  void OnDurable(wal::Lsn lsn);
  // After an error the old snapshot stays, with the log that follows it, and a snapshot
  // is tried again later.
  void OnSnapshotSaved(const raft::SnapshotMeta& meta, const absl::Status& saved);
  // If `restored` is OK, `restore` is installed, unless this node has committed as much
  // meanwhile. The caller keeps `restore`, and destroys it away from the loop.
  void OnSnapshotRestored(const raft::SnapshotMeta& meta, const absl::Status& restored,
                          SnapshotRestore* restore);

  // Hands leadership over, as raft::Raft::TransferLeadership does, with its errors.
  absl::Status HandOver(NodeId to = {}) { return raft_.TransferLeadership(to); }
  // As raft::Raft::ChangeMembers.
  absl::StatusOr<LogIndex> ChangeMembers(const raft::MemberChange& change, bool force) {
    return raft_.ChangeMembers(change, force);
  }

  // Carries out what the inputs have led to, up to a limit. True: there is more to do;
  // let others have their turn, and then call Tick and Process again.
  [[nodiscard]] bool Process();

  // When Tick must be called at the latest.
  [[nodiscard]] Timestamp NextDeadline() const;

  // --- Views.

  [[nodiscard]] const raft::Raft& raft() const { return raft_; }
  // The time that the machine was told last.
  [[nodiscard]] Timestamp now() const { return now_; }

 private:
  // Messages that may be sent only when a write is durable.
  struct HeldMessages {
    raft::PersistId after;  // that write
    std::vector<raft::Message> messages;
  };
  // A write that is not durable yet.
  struct PendingPersist {
    wal::Lsn lsn;        // of its last record
    raft::PersistId id;  // Raft's number for it
  };

  // `applied` is increased by the number of applied entries. Both return whether they
  // have done anything.
  bool ProcessRaft(size_t* applied);
  bool ProcessMachine();
  // Confirms the reads whose index is applied.
  void ConfirmReads();
  void FollowSpace();
  void FollowLeadership(const raft::SoftState& state);
  void WriteAndSend(raft::Output* output);
  // Writes unwritten_, as far as the log has room.
  void WritePersists();
  void ApplyCommitted(const std::vector<raft::Entry>& entries);
  void ReceiveSnapshot(raft::Output* output);
  void MaybeDropReceived();
  void ServeSnapshotReads(const std::vector<raft::SnapshotReadRequest>& reads);
  void MaybeTakeSnapshot();
  void ProposePending();

  const ReplicaConfig config_;
  StateMachine* const machine_;  // these three outlive this
  storage::RaftStore* const store_;
  ReplicaEnvironment* const environment_;
  raft::Raft raft_;
  Timestamp now_;  // of the last Tick

  // Writes that found no room in the log's queue or on the disk. The Raft core limits
  // their size (Config::max_unflushed_bytes).
  std::deque<raft::Persist> unwritten_;
  std::deque<PendingPersist> persists_;  // in the order in which they were written
  raft::PersistId persisted_;            // the last write that is durable
  std::deque<HeldMessages> held_;        // in the order of the writes
  // Commands that wait for Raft's flow control. Empty while not leading.
  std::deque<std::string> pending_proposals_;
  // Reads that other nodes have confirmed, in the order of their indexes. They wait until
  // their index is applied. Empty while not leading.
  std::deque<raft::ReadState> reads_;
  // Since when a leader's disk has no room. Infinite: it has room, or this does not lead.
  Timestamp no_space_since_ = Timestamp::Infinite();
  bool leading_ = false;
  Term leading_term_;  // of the present leadership

  bool received_parts_ = false;  // the environment keeps parts of a snapshot
  std::optional<raft::SnapshotMeta> installing_;  // until OnSnapshotRestored
  std::optional<raft::SnapshotMeta> saving_;      // until OnSnapshotSaved
  // Applied since the last snapshot was begun.
  uint64_t entries_since_snapshot_ = 0;
  uint64_t bytes_since_snapshot_ = 0;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_REPLICA_H_
