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
// SNAPSHOT: chunks of the snapshot are sent ahead of their answers, a bounded number of
// them; appends are heartbeats only.
// NO SPACE: heartbeats only. The pause grows each time that no space is found again.
#ifndef COORDINATOR_RAFT_PROGRESS_H_
#define COORDINATOR_RAFT_PROGRESS_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

enum class ProgressState : uint8_t { kProbe, kReplicate, kSnapshot, kNoSpace };
[[nodiscard]] std::string_view ProgressStateName(ProgressState state);

// One snapshot on its way to one follower. Offsets are those of the snapshot's bytes.
struct SnapshotTransfer {
  SnapshotMeta meta;
  uint64_t received = 0;  // the follower has everything before it
  uint64_t next = 0;      // where the next chunk begins
  bool reading = false;   // the environment was asked for that chunk
  bool all_sent = false;  // there is no chunk at `next`
  // Where each chunk ends that was sent and not answered. The snapshot's last one is
  // answered when all of it is installed.
  std::deque<uint64_t> unanswered;
  // So many may be unanswered. Grows with each answer, and is one again when none comes,
  // so that a slow network is not filled with chunks that are sent twice.
  size_t window = 1;
  // When the follower last received something new, or was sent the only chunk on its
  // way. Without an answer the chunks from `received` on are sent again.
  Timestamp advanced_at;

  void GoBackTo(uint64_t offset) {
    received = next = offset;
    reading = all_sent = false;
    unanswered.clear();
    window = 1;
  }
  void Advance(uint64_t offset, size_t max_window, Timestamp now) {
    received = offset;
    while (!unanswered.empty() && unanswered.front() <= offset) unanswered.pop_front();
    if (next < offset) {
      next = offset;
      reading = false;
    }
    window = std::min(window + 1, max_window);
    advanced_at = now;
  }
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
  SnapshotTransfer snapshot;      // in kSnapshot; later the last one
  // The entries behind this one stay in the log for this follower: it is being sent a
  // snapshot that ends there, or has been and has not caught up yet. None: it is entitled
  // to nothing.
  std::optional<LogIndex> keeps_log_from;
  Timestamp progressed_at;   // it has received more of the snapshot or of the log
  Duration space_pause;      // the last one; 0 after entries were stored
  Timestamp space_retry_at;  // in kNoSpace: not before
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
    keeps_log_from.reset();
    inflight.clear();
    space_pause = std::clamp(space_pause * 2, pause_min, pause_max);
    space_retry_at = now + space_pause;
  }
  [[nodiscard]] bool lost_tail() const { return match < promised; }
  void BecomeSnapshot(const SnapshotMeta& meta, Timestamp now) {
    state = ProgressState::kSnapshot;
    inflight.clear();
    snapshot = SnapshotTransfer();
    snapshot.meta = meta;
    keeps_log_from = meta.index;
    progressed_at = now;
  }
  // The snapshot must not be removed.
  [[nodiscard]] bool keeps_snapshot() const {
    return state == ProgressState::kSnapshot && keeps_log_from.has_value();
  }
  // Answers arrive in any order: one for a later append stands for earlier ones.
  void FreeInflightUpTo(LogIndex index) {
    while (!inflight.empty() && inflight.front() <= index) inflight.pop_front();
  }
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_PROGRESS_H_
