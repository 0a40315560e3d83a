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
//   any ---------------> NO SPACE ----------------------------------> PROBE
//        "no space"                its answer to a heartbeat says that it has space
//                                  again, and the pause is over
//
// A follower that is found to have lost the end of its log goes to PROBE, and nothing
// that it acknowledged before counts any more.
//
// PROBE: one append at a time, until the place is found where the logs agree.
// REPLICATE: appends are sent ahead of their answers, a bounded number of them.
// SNAPSHOT: chunks of the snapshot, one at a time; appends are heartbeats only.
// NO SPACE: heartbeats only. The pause grows each time that no space is found again.
#ifndef COORDINATOR_RAFT_PROGRESS_H_
#define COORDINATOR_RAFT_PROGRESS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string_view>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

enum class ProgressState : uint8_t { kProbe, kReplicate, kSnapshot, kNoSpace };
[[nodiscard]] std::string_view ProgressStateName(ProgressState state);

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
  // The highest that match ever was: above match while a lost tail is sent again.
  LogIndex promised;
  uint64_t loss_round = 0;  // how often the tail was found lost
  LogIndex next;            // the next entry to send
  ProgressState state = ProgressState::kProbe;
  bool probe_sent = false;        // in kProbe: an answer is awaited
  std::deque<LogIndex> inflight;  // in kReplicate: last index of each append sent
  SnapshotTransfer snapshot;      // in kSnapshot
  Duration space_pause;           // the last one; 0 after entries were stored
  Timestamp space_retry_at;       // in kNoSpace: not before
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
  void BecomeNoSpace(Timestamp now, Duration pause_min, Duration pause_max) {
    if (state == ProgressState::kReplicate) next = match.Next();
    state = ProgressState::kNoSpace;
    inflight.clear();
    space_pause = std::clamp(space_pause * 2, pause_min, pause_max);
    space_retry_at = now + space_pause;
  }
  [[nodiscard]] bool lost_tail() const { return match < promised; }
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
