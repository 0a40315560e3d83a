// Replication at the leader (paper, section 5.3), pipelined and bounded. The states of a
// follower are in progress.h.
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

Progress* Raft::FindProgress(NodeId from) {
  const auto it = progress_.find(from);
  if (it == progress_.end()) return nullptr;
  it->second.last_heard = now_;
  it->second.was_heard = true;
  return &it->second;
}

bool Raft::HasAppendsToSend(const Progress& progress) const {
  switch (progress.state) {
    case ProgressState::kProbe:
      return !progress.probe_sent;
    case ProgressState::kReplicate:
      return progress.next <= log_.last_index() &&
             progress.inflight.size() < config_.max_inflight_appends;
    case ProgressState::kSnapshot:
    case ProgressState::kNoSpace:
      return false;
  }
  return false;
}

void Raft::SendAppends(NodeId to, Progress* progress) {
  if (progress->state != ProgressState::kSnapshot &&
      progress->state != ProgressState::kNoSpace && progress->next <= log_.base_index()) {
    ++counters_.snapshots_begun;
    BeginSnapshot(progress);
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
  FillAcknowledged(*progress, &request);
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

// An acknowledged entry may have been dropped from the leader's own log, whose base then
// stands for it. That demands no more of the follower: all entries up to the base are
// committed.
void Raft::FillAcknowledged(const Progress& progress, AppendRequest* request) const {
  request->acknowledged_index = progress.match;
  if (!progress.promised.is_none()) {
    request->promised_index = std::max(progress.promised, log_.base_index());
    request->promised_term = log_.TermAt(request->promised_index).value();
  }
  request->loss_round = progress.loss_round;
  request->read_round = read_round_;
}

// An append without entries, after all that was sent. When one of the earlier appends was
// lost, the follower rejects this one, and the leader goes back.
void Raft::SendHeartbeat(NodeId to, Progress* progress) {
  progress->heartbeat_due = false;
  AppendRequest request;
  if (progress->state != ProgressState::kSnapshot && progress->next > log_.base_index()) {
    request.prev_log_index = progress->next.Previous();
    request.prev_log_term = log_.TermAt(request.prev_log_index).value();
  }
  request.leader_commit = std::min(commit_index_, request.prev_log_index);
  FillAcknowledged(*progress, &request);
  Send(to, std::move(request));
}

void Raft::Handle(NodeId from, const AppendResponse& response) {
  if (!is_leader()) return;
  Progress* const found = FindProgress(from);
  if (found == nullptr) return;
  Progress& progress = *found;
  if (response.match_index > log_.last_index() || response.read_round > read_round_) {
    ++counters_.malformed_messages;
    return;
  }
  if (response.read_round > progress.acked_read_round) {
    progress.acked_read_round = response.read_round;
    FinishReads();
  }
  if (response.loss_round != progress.loss_round) {
    ++counters_.answers_from_before_a_loss;
    return;
  }
  if (response.lost_tail) return OnTailLost(from, &progress, response);
  if (response.success) {
    OnAppendAccepted(&progress, response.match_index);
  } else if (!response.no_space || progress.state == ProgressState::kNoSpace) {
    OnAppendRejected(&progress, response);
  }
  UpdateSpaceState(from, &progress, response.no_space);
}

// The follower has lost entries that it had acknowledged. None of its entries counts for
// a quorum until it is acknowledged again. What was committed stays committed.
void Raft::OnTailLost(NodeId from, Progress* progress, const AppendResponse& response) {
  ++counters_.peer_tails_lost;
  notices_.push_back(
      {Notice::Kind::kPeerTailLost, from, response.hint_index, progress->promised});
  ++progress->loss_round;
  progress->match = LogIndex();
  progress->BecomeProbe(
      log_.LastWithTermAtMost(response.hint_index, response.hint_term).Next());
}

void Raft::UpdateSpaceState(NodeId from, Progress* progress, bool no_space) {
  const bool paused = progress->state == ProgressState::kNoSpace;
  if (no_space && !paused) {
    ++counters_.peers_without_space;
    const bool snapshot = progress->state == ProgressState::kSnapshot;
    progress->BecomeNoSpace(
        now_, config_.heartbeat_interval,
        snapshot ? config_.snapshot_pause_max : config_.no_space_pause_max);
    notices_.push_back(
        {Notice::Kind::kPeerNoSpace, from, progress->match, progress->promised});
  } else if (!no_space && paused && now_ >= progress->space_retry_at) {
    progress->BecomeProbe(progress->next);
    notices_.push_back(
        {Notice::Kind::kPeerHasSpace, from, progress->match, progress->promised});
  }
}

void Raft::OnAppendAccepted(Progress* progress, LogIndex match) {
  const bool advanced = match > progress->match;
  progress->match = std::max(progress->match, match);
  progress->promised = std::max(progress->promised, progress->match);
  if (advanced) {
    progress->space_pause = Duration();
    progress->progressed_at = now_;
    if (progress->keeps_log_from.has_value()) {
      progress->keeps_log_from = std::max(*progress->keeps_log_from, match);
    }
  }
  switch (progress->state) {
    case ProgressState::kProbe:
      // A late answer to an earlier, shorter append does not answer this probe.
      if (match >= progress->next.Previous()) progress->BecomeReplicate();
      break;
    case ProgressState::kReplicate:
      progress->FreeInflightUpTo(match);
      progress->next = std::max(progress->next, match.Next());
      break;
    case ProgressState::kSnapshot:
      if (match >= log_.base_index()) progress->BecomeReplicate();
      break;
    case ProgressState::kNoSpace:
      progress->next = std::max(progress->next, match.Next());
      break;
  }
  progress->FollowRounds(log_.last_index(), now_);
  if (advanced) AdvanceCommitIndex();
}

void Raft::OnAppendRejected(Progress* progress, const AppendResponse& response) {
  const LogIndex rejected = response.rejected_index;
  const bool paused = progress->state == ProgressState::kNoSpace;
  const bool current =
      progress->state == ProgressState::kProbe || paused
          ? rejected == progress->next.Previous()
          : progress->state == ProgressState::kReplicate && rejected < progress->next;
  if (!current || rejected <= progress->match) {
    ++counters_.stale_messages;
    return;
  }
  // The follower's entry at hint_index has the term hint_term. So our entries up to there
  // with a higher term cannot be in its log.
  const LogIndex agree = log_.LastWithTermAtMost(response.hint_index, response.hint_term);
  const LogIndex next =
      std::max(std::min(agree.Next(), rejected), progress->match.Next());
  if (paused) {
    progress->next = next;
  } else {
    progress->BecomeProbe(next);
  }
}

void Raft::AdvanceCommitIndex() {
  const LogIndex quorum(configuration().QuorumValue([this](NodeId voter) {
    // The leader's own copy counts like any other, once it is on disk.
    return voter == config_.self ? persisted_index_.value()
                                 : progress_.at(voter).match.value();
  }));
  if (quorum <= commit_index_) return;
  // Section 5.4.2: entries of earlier terms are committed only by a later entry of this
  // term, never by counting their copies.
  if (!log_.Matches(quorum, term())) {
    ++counters_.commit_held_for_own_term;
    return;
  }
  SetCommitIndex(quorum);
}

}  // namespace concordat::raft
