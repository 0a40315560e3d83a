// What a leader knows of one follower, and how it sends to it.
//
//             success                      the log is compacted
//   PROBE ------------------> REPLICATE    beyond what the follower has
//     ^  <------------------      |          |
//     |   rejection: the logs     +----------+
//     |   differ, or a message               v
//     +---------------------------------- SNAPSHOT
//            installed, or caught up
//
// PROBE: one append at a time, until the place is found where the logs agree.
// REPLICATE: appends are sent ahead of their answers, a bounded number of them.
// SNAPSHOT: chunks of the snapshot, one at a time; appends are heartbeats only.
#ifndef COORDINATOR_RAFT_PROGRESS_H_
#define COORDINATOR_RAFT_PROGRESS_H_

#include <cstdint>
#include <deque>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

enum class ProgressState : uint8_t { kProbe, kReplicate, kSnapshot };

// One snapshot on its way to one follower.
struct SnapshotTransfer {
  enum class Stage : uint8_t {
    kWantRead,  // the environment is to be asked for the chunk at `offset`
    kReading,   // it was asked
    kSent,      // the chunk was sent, its answer is awaited
  };
  SnapshotMeta meta;
  uint64_t offset = 0;
  Stage stage = Stage::kWantRead;
  Timestamp sent_at;  // in kSent: the chunk is sent again when no answer comes
};

struct Progress {
  LogIndex match;  // durable there, and equal to ours, up to here
  LogIndex next;   // the next entry to send
  ProgressState state = ProgressState::kProbe;
  bool probe_sent = false;        // in kProbe: an answer is awaited
  std::deque<LogIndex> inflight;  // in kReplicate: last index of each append sent
  SnapshotTransfer snapshot;      // in kSnapshot
  bool heartbeat_due = false;
  Timestamp last_heard;  // any message of the current term
  uint64_t acked_read_round = 0;

  void BecomeProbe(LogIndex next_index) {
    state = ProgressState::kProbe;
    next = next_index;
    probe_sent = false;
    inflight.clear();
  }
  void BecomeReplicate() {
    state = ProgressState::kReplicate;
    next = match.Next();
    inflight.clear();
  }
  void BecomeSnapshot(const SnapshotMeta& meta) {
    state = ProgressState::kSnapshot;
    inflight.clear();
    snapshot = SnapshotTransfer{meta, 0, SnapshotTransfer::Stage::kWantRead, {}};
  }
  // Answers arrive in any order: one for a later append stands for earlier ones.
  void FreeInflightUpTo(LogIndex index) {
    while (!inflight.empty() && inflight.front() <= index) inflight.pop_front();
  }
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_PROGRESS_H_
