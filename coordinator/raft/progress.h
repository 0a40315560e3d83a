// What a leader knows about one follower, and how it sends to that follower.
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
// A follower that has lost the end of its log returns to PROBE, and its earlier
// acknowledgements no longer count.
//
// PROBE: one append at a time, until the place is found where the logs agree.
// REPLICATE: a limited number of appends is sent without waiting for answers.
// SNAPSHOT: a limited number of the snapshot's chunks is sent without waiting for
// answers; the only appends are heartbeats.
// NO SPACE: only heartbeats are sent. The pause grows each time that the follower again
// has no space.
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

// The transfer of one snapshot to one follower. Offsets are in bytes of the snapshot.
struct SnapshotTransfer {
  SnapshotMeta meta;
  uint64_t received = 0;  // the follower has all bytes before this offset
  uint64_t next = 0;      // where the next chunk begins
  bool reading = false;   // the environment was asked for the chunk at `next`
  bool all_sent = false;  // the last chunk was sent: there is none at `next`
  // The end of each chunk that was sent and is not answered. The snapshot's last chunk is
  // answered when the whole snapshot is installed.
  std::deque<uint64_t> unanswered;
  // How many chunks may be unanswered. Grows with each answer and returns to one when no
  // answer comes, so that a slow network is not filled with chunks that are sent twice.
  size_t window = 1;
  // When the follower last received something new, or was sent a chunk while none was in
  // flight. When no answer comes, the chunks from `received` on are sent again.
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
  LogIndex match;  // up to here the follower's log is durable and equals the leader's
  // The highest value that match ever had. Above match while a lost tail is sent again.
  LogIndex promised;
  uint64_t loss_round = 0;  // how often this leader has found the tail lost
  LogIndex next;            // the next entry to send
  ProgressState state = ProgressState::kProbe;
  bool probe_sent = false;        // in kProbe: the append at `next` awaits its answer
  std::deque<LogIndex> inflight;  // in kReplicate: last index of each unanswered append
  SnapshotTransfer snapshot;      // in kSnapshot, and afterwards the last transfer
  // The leader's log keeps the entries after this one for the follower, which is being
  // sent a snapshot that ends here, or was sent one and has not caught up yet. nullopt:
  // nothing is kept for it.
  std::optional<LogIndex> keeps_log_from;
  Timestamp progressed_at;     // when it last received more of the snapshot or of the log
  Duration space_pause;        // the last pause for space; 0 after entries were stored
  Timestamp space_retry_at;    // in kNoSpace: entries are not sent before
  bool heartbeat_due = false;  // the next output sends it one
  Timestamp last_heard;        // when any message of the current term arrived
  bool was_heard = false;      // one has arrived
  LogId log;                   // from which it has answered last; none: unknown
  // Catching up goes in rounds: in each, the follower is sent what the leader's log held
  // when the round began (thesis, section 4.2.1).
  LogIndex round_end;
  Timestamp round_began;
  std::optional<Duration>
      last_round;                 // how long the last one took; none: not one is over
  uint64_t acked_read_round = 0;  // the latest read round that it has confirmed

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
  void BeginRound(LogIndex log_end, Timestamp now) {
    round_end = log_end;
    round_began = now;
  }
  void FollowRounds(LogIndex log_end, Timestamp now) {
    if (match < round_end) return;
    last_round = now - round_began;
    BeginRound(log_end, now);
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
  // The snapshot is being sent, so its file must not be removed.
  [[nodiscard]] bool keeps_snapshot() const {
    return state == ProgressState::kSnapshot && keeps_log_from.has_value();
  }
  // Answers arrive in any order. The answer to a later append covers the earlier ones.
  void FreeInflightUpTo(LogIndex index) {
    while (!inflight.empty() && inflight.front() <= index) inflight.pop_front();
  }
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_PROGRESS_H_
