// Replication from the leader's side (paper, section 5.3): pipelined and bounded, see
// progress.h for the states.
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

bool Raft::HasAppendsToSend(const Progress& progress) const {
  switch (progress.state) {
    case ProgressState::kProbe:
      return !progress.probe_sent;
    case ProgressState::kReplicate:
      return progress.next <= log_.last_index() &&
             progress.inflight.size() < config_.max_inflight_appends;
    case ProgressState::kSnapshot:
      return false;
  }
  return false;
}

void Raft::SendAppends(NodeId to, Progress* progress) {
  if (progress->state != ProgressState::kSnapshot &&
      progress->next <= log_.base_index()) {
    ++counters_.snapshots_begun;
    progress->BecomeSnapshot(snapshot_);
  }
  if (progress->state == ProgressState::kSnapshot) SendSnapshot(to, progress);
  while (HasAppendsToSend(*progress)) {
    SendAppend(to, progress,
               log_.Slice(progress->next, log_.last_index(), config_.max_append_bytes));
  }
  if (progress->heartbeat_due) SendHeartbeat(to, progress);
}

void Raft::SendAppend(NodeId to, Progress* progress, std::vector<Entry> entries) {
  AppendRequest request;
  request.prev_log_index = progress->next.Previous();
  request.prev_log_term = log_.TermAt(request.prev_log_index).value();
  const LogIndex last(request.prev_log_index.value() + entries.size());
  request.leader_commit = std::min(commit_index_, last);
  request.read_round = read_round_;
  request.entries = std::move(entries);
  if (progress->state == ProgressState::kReplicate) {
    progress->inflight.push_back(last);
    progress->next = last.Next();
    if (progress->inflight.size() == config_.max_inflight_appends) {
      ++counters_.inflight_limit_reached;
    }
  } else {
    progress->probe_sent = true;
  }
  progress->heartbeat_due = false;
  Send(to, std::move(request));
}

// An append without entries behind everything that was sent: when one of those was
// lost, this one is rejected, and the leader goes back.
void Raft::SendHeartbeat(NodeId to, Progress* progress) {
  progress->heartbeat_due = false;
  AppendRequest request;
  if (progress->state != ProgressState::kSnapshot) {
    request.prev_log_index = progress->next.Previous();
    request.prev_log_term = log_.TermAt(request.prev_log_index).value();
  }
  request.leader_commit = std::min(commit_index_, request.prev_log_index);
  request.read_round = read_round_;
  Send(to, std::move(request));
}

void Raft::Handle(NodeId from, const AppendResponse& response) {
  if (!is_leader()) return;
  Progress& progress = progress_.at(from);
  progress.last_heard = now_;
  if (response.match_index > log_.last_index() || response.read_round > read_round_) {
    ++counters_.malformed_messages;
    return;
  }
  if (response.read_round > progress.acked_read_round) {
    progress.acked_read_round = response.read_round;
    FinishReads();
  }
  if (response.success) {
    OnAppendAccepted(&progress, response.match_index);
  } else {
    OnAppendRejected(&progress, response);
  }
}

void Raft::OnAppendAccepted(Progress* progress, LogIndex match) {
  const bool advanced = match > progress->match;
  progress->match = std::max(progress->match, match);
  switch (progress->state) {
    case ProgressState::kProbe:
      // A late answer to an earlier, shorter message says nothing about this probe.
      if (match >= progress->next.Previous()) progress->BecomeReplicate();
      break;
    case ProgressState::kReplicate:
      progress->FreeInflightUpTo(match);
      progress->next = std::max(progress->next, match.Next());
      break;
    case ProgressState::kSnapshot:
      if (match >= log_.base_index()) progress->BecomeReplicate();
      break;
  }
  if (advanced) AdvanceCommitIndex();
}

void Raft::OnAppendRejected(Progress* progress, const AppendResponse& response) {
  const LogIndex rejected = response.rejected_index;
  const bool current =
      progress->state == ProgressState::kProbe
          ? rejected == progress->next.Previous()
          : progress->state == ProgressState::kReplicate && rejected < progress->next;
  if (!current || rejected <= progress->match) {
    ++counters_.stale_messages;
    return;
  }
  // The follower's log has hint_term at hint_index: entries of ours behind the last
  // one of that term or an earlier one cannot be in it.
  const LogIndex agree = log_.LastWithTermAtMost(response.hint_index, response.hint_term);
  const LogIndex next = std::min(agree.Next(), rejected);
  progress->BecomeProbe(std::max(next, progress->match.Next()));
}

void Raft::AdvanceCommitIndex() {
  const LogIndex quorum(configuration_.QuorumValue([this](NodeId voter) {
    // The leader's own copy counts like any other: when it is on its disk.
    return voter == config_.self ? persisted_index_.value()
                                 : progress_.at(voter).match.value();
  }));
  if (quorum <= commit_index_) return;
  // Section 5.4.2: entries of earlier terms are committed only by one of this term
  // behind them, never by counting copies.
  if (!log_.Matches(quorum, term())) {
    ++counters_.commit_held_for_own_term;
    return;
  }
  SetCommitIndex(quorum);
}

}  // namespace concordat::raft
