// What the Raft core asks of its environment, and in which order this must be done.
//
//   1. `messages` may be sent at once, also before the disk write: a leader's appends
//      are on the network while its own disk works (thesis, section 10.2.1).
//   2. `persist` is written and flushed, and then Raft::OnPersisted(id) is called.
//      Several may be in flight; they complete in the order of their ids.
//   3. `messages_after_persist` promise what is on disk. They are sent once the persist
//      `after_persist`, and with it every earlier one, is flushed. When no persist is in
//      flight, the core puts such messages into `messages` itself.
//   4. `committed` entries are applied in order, each exactly once in the life of the
//      process; then Raft::OnApplied is called. They are durable on this node already.
//   5. `snapshot_writes` are appended to the snapshot that is being received.
//      `install_snapshot` then puts it in force, after the entries of point 4.
//   6. `read_states` are answered when the state machine has applied their index.
#ifndef COORDINATOR_RAFT_OUTPUT_H_
#define COORDINATOR_RAFT_OUTPUT_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/base/strong_id.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

// Counts up from 1 since the start of the process. 0 is none.
using PersistId = StrongId<struct PersistIdTag, uint64_t>;
// The number that the caller of Raft::ReadIndex has given to a read.
using ReadToken = StrongId<struct ReadTokenTag, uint64_t>;

// One write to the group's durable state. After a crash the disk has all of it, nothing
// of it, or a prefix in this order: snapshot, hard state, entries one by one.
struct Persist {
  PersistId id;
  // This snapshot is in force and durable; entries up to its index may be dropped.
  std::optional<SnapshotMeta> snapshot;
  // With `snapshot`: all entries stored so far are void, also those after its index
  // (Figure 13, rule 7).
  bool discard_log = false;
  std::optional<HardState> hard_state;  // nullopt: unchanged
  // Contiguous. Stored entries at the index of the first one or later are void.
  std::vector<Entry> entries;
};

// A read that ReadIndex() began. Its answer is linearizable once `index` is applied.
struct ReadState {
  ReadToken token;
  LogIndex index;
};

// An event that is logged for the operator.
struct Notice {
  enum class Kind : uint8_t {
    kTailLost,        // this node's log has lost entries that it had acknowledged
    kTailRefilled,    // this node holds those entries again
    kPeerTailLost,    // this leader has found that `node` lost acknowledged entries
    kPeerNoSpace,     // this leader sends nothing to `node` until it has space again
    kPeerHasSpace,    // `node` has space again
    kTransferBegun,   // this leader hands its leadership over to `node`
    kTransferFailed,  // `node` has not taken over; this node remains the leader
    kNotThisMember,   // `node` knows this one by another log: this one has lost its log
    kRemoved,         // `node` says that this one was removed from the cluster
  };
  Kind kind = Kind::kTailLost;
  // The other node: the follower, or the leader for kTailLost and kTailRefilled.
  NodeId node;
  // With a tail: the last entry that is left. With space: the last entry that the
  // follower has acknowledged. With a transfer: the end of this leader's log.
  LogIndex log_end;
  // The last entry that was ever acknowledged. With a transfer: the last one that `node`
  // has acknowledged.
  LogIndex promised;
};
[[nodiscard]] std::string_view NoticeText(Notice::Kind kind);

struct SoftState {
  Role role = Role::kFollower;
  NodeId leader;  // 0: not known
  Term term;

  friend bool operator==(const SoftState&, const SoftState&) = default;
};

// The leader wants to send a part of its snapshot `meta` to the follower `to`. The answer
// is Raft::OnSnapshotChunkRead or OnSnapshotChunkGone.
struct SnapshotReadRequest {
  NodeId to;
  SnapshotMeta meta;
  uint64_t offset = 0;   // where the part begins
  size_t max_bytes = 0;  // its largest size
};

// A part of the snapshot that is being received. Offset 0 begins a new snapshot and voids
// what was received before; any other write follows the last one without a gap. It need
// not be durable before `install_snapshot`.
struct SnapshotWrite {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Payload data;
};

struct Output {
  std::vector<Message> messages;                // 1.
  std::optional<Persist> persist;               // 2. nullopt: nothing to write
  std::vector<Message> messages_after_persist;  // 3.
  PersistId after_persist;             // what messages_after_persist wait for; 0: nothing
  std::vector<Entry> committed;        // 4.
  std::vector<ReadState> read_states;  // 6.
  std::optional<SoftState> soft_state;              // set when it has changed
  std::optional<Configuration> configuration;       // set when another is in force
  std::vector<Notice> notices;                      // to be logged
  std::vector<SnapshotReadRequest> snapshot_reads;  // may be answered later
  std::vector<SnapshotWrite> snapshot_writes;       // 5.
  // 5. The received snapshot is complete. The environment makes it durable, replaces the
  // state machine's state by it, and calls Raft::OnSnapshotInstalled; or it calls
  // OnSnapshotInstallFailed when the snapshot cannot be read back whole. No entries are
  // handed out in between.
  std::optional<SnapshotMeta> install_snapshot;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_OUTPUT_H_
