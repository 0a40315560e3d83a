// What the Raft core asks of its environment, and in which order it must be done.
//
//   1. `messages` may leave at once, also before the disk write: a leader's appends
//      travel while its own disk works (thesis, section 10.2.1).
//   2. `persist` is written and flushed. Several may be under way, they complete in
//      the order of their ids; then Raft::OnPersisted(id) is called.
//   3. `messages_after_persist` promise what is on disk: they leave once the persist
//      `after_persist`, and with it every earlier one, is flushed. When none is under
//      way the core puts such messages into `messages` itself.
//   4. `committed` entries are applied in order, each exactly once in an incarnation of
//      the process; then Raft::OnApplied. They are durable on this node already.
//   5. `snapshot_writes` are appended to the snapshot that is being received, and
//      `install_snapshot` puts it in force, after the entries of point 4.
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

// Counts up from 1 in each incarnation of the process. 0 is none.
using PersistId = StrongId<struct PersistIdTag, uint64_t>;
// The caller's own number for a read.
using ReadToken = StrongId<struct ReadTokenTag, uint64_t>;

// One write to the group's durable state, all of it or nothing of it after a crash,
// or a prefix in this order: snapshot, hard state, entries one by one.
struct Persist {
  PersistId id;
  // This snapshot is in force and durable; entries up to its index may be dropped.
  std::optional<SnapshotMeta> snapshot;
  // With `snapshot`: all entries stored so far are void, also those behind its index
  // (Figure 13, rule 7).
  bool discard_log = false;
  std::optional<HardState> hard_state;
  // Contiguous. The first one's index voids what stands there or later.
  std::vector<Entry> entries;
};

// A read that ReadIndex() began: linearizable once `index` has been applied.
struct ReadState {
  ReadToken token;
  LogIndex index;
};

// What an operator should hear of.
struct Notice {
  enum class Kind : uint8_t {
    kTailLost,      // this node's log has lost entries that it had acknowledged
    kTailRefilled,  // it holds them again
    kPeerTailLost,  // the leader has found that out of `node`
    kPeerNoSpace,   // the leader sends nothing to `node` until it has space again
    kPeerHasSpace,
    kTransferBegun,   // the leader hands its leadership over to `node`
    kTransferFailed,  // `node` has not taken it; this node leads on
  };
  Kind kind = Kind::kTailLost;
  NodeId node;
  LogIndex log_end;   // where the log ends
  LogIndex promised;  // up to where it was acknowledged
};
[[nodiscard]] std::string_view NoticeText(Notice::Kind kind);

struct SoftState {
  Role role = Role::kFollower;
  NodeId leader;  // 0: not known
  Term term;

  friend bool operator==(const SoftState&, const SoftState&) = default;
};

// The leader wants to send a part of its snapshot `meta` to a follower: answer by
// Raft::OnSnapshotChunkRead.
struct SnapshotReadRequest {
  NodeId to;
  SnapshotMeta meta;
  uint64_t offset = 0;
  size_t max_bytes = 0;
};

// A part of the snapshot that is being received. Offset 0 begins a new one and voids
// what was received before; otherwise it follows the last write without a gap. Need
// not be durable before `install_snapshot`.
struct SnapshotWrite {
  SnapshotMeta meta;
  uint64_t offset = 0;
  Payload data;
};

struct Output {
  std::vector<Message> messages;
  std::optional<Persist> persist;
  std::vector<Message> messages_after_persist;
  PersistId after_persist;
  std::vector<Entry> committed;
  std::vector<ReadState> read_states;
  // Reads that will not be answered, because the leader stepped down: the caller
  // asks the new one. Nothing was done for them.
  std::vector<ReadToken> dropped_reads;
  std::optional<SoftState> soft_state;  // when it has changed
  std::vector<Notice> notices;
  std::vector<SnapshotReadRequest> snapshot_reads;
  std::vector<SnapshotWrite> snapshot_writes;
  // The snapshot is complete: make it durable, replace the state machine's state by
  // it, then call Raft::OnSnapshotInstalled, or OnSnapshotInstallFailed when it does
  // not read back whole. No entries are handed out in between.
  std::optional<SnapshotMeta> install_snapshot;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_OUTPUT_H_
