// InstallSnapshot on both sides (paper, Figure 13 and section 7), and compaction of this
// node's own log. Chunks are sent without waiting for answers. Each answer names the
// offset that the follower needs next, and the leader goes on from there; so a lost
// chunk, a lost answer and a restarted follower are all handled in the same way.
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

// --- This node's own snapshot ---------------------------------------------------

SnapshotMeta Raft::SnapshotMetaAt(LogIndex index) const {
  CONCORDAT_CHECK(index <= applied_index_ && index >= log_.base_index())
      << "no snapshot possible at " << index;
  return SnapshotMeta{index, log_.TermAt(index).value(), configurations_.At(index)};
}

void Raft::OnSnapshotTaken(const SnapshotMeta& meta) {
  if (meta.index <= snapshot_.index) return;
  CONCORDAT_CHECK(meta.index <= applied_index_ && log_.Matches(meta.index, meta.term))
      << "snapshot at " << meta.index << ", applied " << applied_index_;
  snapshot_ = meta;
  snapshot_to_persist_ = true;
  CompactLog();
  if (!OlderSnapshotInUse().is_none()) ++counters_.snapshots_kept_for_a_transfer;
}

// For a follower that is sent a snapshot, the leader keeps the log after that snapshot.
// Otherwise the follower would need the next snapshot after this one, and so on for ever.
// The log is not kept for a follower that no longer receives anything, nor beyond
// max_log_kept_bytes.
void Raft::CompactLog() {
  const LogIndex target(
      snapshot_.index.value() -
      std::min<uint64_t>(config_.entries_kept_behind_snapshot, snapshot_.index.value()));
  ReleaseKeptLog(target);
  for (;;) {
    LogIndex needed = target;
    Progress* oldest = nullptr;
    for (auto& [node, progress] : progress_) {
      if (!progress.keeps_log_from.has_value() || *progress.keeps_log_from >= needed) {
        continue;
      }
      needed = *progress.keeps_log_from;
      oldest = &progress;
    }
    log_.CompactTo(needed);
    configurations_.CompactTo(log_.base_index());
    if (oldest == nullptr || log_.bytes() <= config_.max_log_kept_bytes) break;
    ++counters_.logs_not_kept_any_more;
    oldest->keeps_log_from.reset();
  }
  for (auto& [node, progress] : progress_) {
    const bool useless = progress.state == ProgressState::kSnapshot &&
                         progress.snapshot.meta.index < log_.base_index();
    if (!useless) continue;
    ++counters_.snapshots_restarted;
    BeginSnapshot(&progress);
  }
}

void Raft::ReleaseKeptLog(LogIndex compaction_target) {
  for (auto& [node, progress] : progress_) {
    if (!progress.keeps_log_from.has_value()) continue;
    const bool silent = now_ - progress.last_heard > config_.snapshot_patience ||
                        now_ - progress.progressed_at > config_.snapshot_patience;
    const bool caught_up = progress.state != ProgressState::kSnapshot &&
                           *progress.keeps_log_from >= compaction_target;
    if (silent) ++counters_.logs_not_kept_any_more;
    if (silent || caught_up) progress.keeps_log_from.reset();
  }
}

LogIndex Raft::OlderSnapshotInUse() const {
  LogIndex oldest;
  for (const auto& [node, progress] : progress_) {
    const LogIndex index = progress.snapshot.meta.index;
    if (!progress.keeps_snapshot() || index >= snapshot_.index) continue;
    if (oldest.is_none() || index < oldest) oldest = index;
  }
  return oldest;
}

// --- The sender -----------------------------------------------------------------

// Chooses a snapshot that is already kept for another follower, so that at most one is
// kept besides the latest; if there is none, the latest. A follower is never sent an
// older snapshot than before, because it would take that for a late message.
void Raft::BeginSnapshot(Progress* progress) {
  SnapshotMeta meta = snapshot_;
  for (const auto& [node, other] : progress_) {
    if (&other == progress || !other.keeps_snapshot()) continue;
    const SnapshotMeta& kept = other.snapshot.meta;
    if (kept.index < meta.index && kept.index >= progress->snapshot.meta.index) {
      meta = kept;
    }
  }
  progress->BecomeSnapshot(meta, now_);
}

bool Raft::IsOverdue(const SnapshotTransfer& transfer) const {
  return !transfer.unanswered.empty() &&
         now_ - transfer.advanced_at > config_.election_timeout_max;
}

bool Raft::WantsSnapshotRead(const Progress& progress) const {
  if (progress.state != ProgressState::kSnapshot) return false;
  const SnapshotTransfer& transfer = progress.snapshot;
  if (transfer.reading) return false;
  return IsOverdue(transfer) ||
         (!transfer.all_sent && transfer.unanswered.size() < transfer.window);
}

void Raft::SendSnapshot(NodeId to, Progress* progress) {
  if (!WantsSnapshotRead(*progress)) return;
  SnapshotTransfer& transfer = progress->snapshot;
  if (IsOverdue(transfer)) {
    ++counters_.snapshot_chunks_repeated;
    transfer.GoBackTo(transfer.received);
  }
  transfer.reading = true;
  snapshot_reads_.push_back(SnapshotReadRequest{to, transfer.meta, transfer.next,
                                                config_.snapshot_chunk_bytes});
}

Progress* Raft::FindTransfer(NodeId to, LogIndex index) {
  const auto it = progress_.find(to);
  if (it == progress_.end()) return nullptr;
  Progress& progress = it->second;
  const bool same =
      progress.state == ProgressState::kSnapshot && progress.snapshot.meta.index == index;
  return same ? &progress : nullptr;
}

void Raft::OnSnapshotChunkRead(NodeId to, const SnapshotMeta& meta, uint64_t offset,
                               std::string data, bool last) {
  Progress* progress = FindTransfer(to, meta.index);
  if (progress == nullptr) return;
  SnapshotTransfer& transfer = progress->snapshot;
  if (!transfer.reading || transfer.next != offset) return;
  transfer.reading = false;
  transfer.all_sent = last;
  transfer.next += data.size();
  if (transfer.unanswered.empty()) transfer.advanced_at = now_;
  transfer.unanswered.push_back(transfer.next);
  Send(to, SnapshotChunk{transfer.meta, offset, Payload(std::move(data)), last});
}

void Raft::OnSnapshotChunkGone(NodeId to, const SnapshotMeta& meta) {
  Progress* progress = FindTransfer(to, meta.index);
  if (progress == nullptr) return;
  ++counters_.snapshots_restarted;
  for (auto& [node, other] : progress_) {  // no other transfer may begin with it
    if (other.keeps_snapshot() && other.snapshot.meta == meta) {
      other.keeps_log_from.reset();
    }
  }
  const bool replaced = snapshot_.index > meta.index;
  BeginSnapshot(progress);
  if (replaced) return;
  // The chunk is asked for again, but only when an answer is overdue: not in a busy loop.
  progress->snapshot.unanswered.push_back(0);
  progress->snapshot.advanced_at = now_;
}

void Raft::Handle(NodeId from, const SnapshotChunkResponse& response) {
  if (!is_leader()) return;
  if (FindProgress(from) == nullptr) return;
  Progress* progress = FindTransfer(from, response.snapshot_index);
  const bool is_news =
      progress != nullptr && (response.next_offset > progress->snapshot.received ||
                              response.offset >= progress->snapshot.received);
  if (!is_news) {
    ++counters_.stale_messages;
    return;
  }
  SnapshotTransfer& transfer = progress->snapshot;
  if (response.next_offset < transfer.received) {
    ++counters_.snapshots_restarted;
    transfer.GoBackTo(response.next_offset);
  } else if (response.next_offset > transfer.received) {
    transfer.Advance(response.next_offset, config_.max_inflight_chunks, now_);
    progress->progressed_at = now_;
    if (transfer.meta.index >= log_.base_index()) {
      progress->keeps_log_from = transfer.meta.index;
    }
  }
}

// --- The receiver ---------------------------------------------------------------

void Raft::Handle(NodeId from, SnapshotChunk chunk) {
  FollowLeader(from);
  if (chunk.meta.index <= commit_index_) {
    // The snapshot holds nothing new, and the state machine must not go back.
    receiving_.reset();
    AcknowledgeAppend(from, LogIndex(), 0);
    return;
  }
  if (installing_.has_value()) return;  // the answer follows when that is done
  if (!has_space_) {
    receiving_.reset();
    AnswerNoSpace(from, 0);
    return;
  }
  const bool same_sender = receiving_.has_value() && receiving_->sender_term == term();
  if (same_sender && receiving_->meta.index > chunk.meta.index) {
    ++counters_.stale_messages;
    return;
  }
  if (!same_sender || receiving_->meta != chunk.meta) {
    // This is another snapshot. Parts of two snapshots are never put together. Two
    // leaders may encode the same state differently, so a new sender also begins from the
    // start.
    receiving_ = ReceivedSnapshot{chunk.meta, term(), 0, {}};
  }
  AcceptChunk(from, std::move(chunk));
}

void Raft::AcceptChunk(NodeId from, SnapshotChunk chunk) {
  const LogIndex index = chunk.meta.index;
  const uint64_t offset = chunk.offset;
  if (offset == receiving_->next_offset) {
    TakeChunk(std::move(chunk));
  } else if (offset > receiving_->next_offset &&
             receiving_->early.size() < config_.max_inflight_chunks) {
    ++counters_.snapshot_chunks_early;
    receiving_->early.try_emplace(offset, std::move(chunk));
  }
  if (installing_.has_value()) {
    receiving_.reset();
    return;
  }
  Send(from, SnapshotChunkResponse{index, offset, receiving_->next_offset});
}

// Takes the chunk, and then the later ones that have overtaken it.
void Raft::TakeChunk(SnapshotChunk chunk) {
  auto& early = receiving_->early;
  for (;;) {
    const uint64_t offset = std::exchange(receiving_->next_offset,
                                          receiving_->next_offset + chunk.data.size());
    snapshot_writes_.push_back(SnapshotWrite{chunk.meta, offset, std::move(chunk.data)});
    if (chunk.last) {
      installing_ = install_snapshot_ = std::move(chunk.meta);
      return;
    }
    early.erase(early.begin(), early.lower_bound(receiving_->next_offset));
    const auto next = early.find(receiving_->next_offset);
    if (next == early.end()) return;
    chunk = std::move(next->second);
    early.erase(next);
  }
}

bool Raft::MayInstall(const SnapshotMeta& meta) const {
  return installing_ == meta &&
         (meta.index > commit_index_ || log_.Matches(meta.index, meta.term));
}

void Raft::OnSnapshotInstalled(const SnapshotMeta& meta) {
  CONCORDAT_CHECK(installing_ == meta)
      << "snapshot " << meta.index << " was not asked for";
  installing_.reset();
  ++counters_.snapshots_installed;
  ReplaceLogBySnapshot(meta);
  snapshot_ = meta;
  if (hard_state_.cluster.is_none()) hard_state_.cluster = meta.configuration.cluster();
  snapshot_to_persist_ = true;
  commit_index_ = std::max(commit_index_, meta.index);
  handed_out_index_ = applied_index_ = meta.index;
  ReportRefilledTail();
  if (!leader_.is_none()) AcknowledgeAppend(leader_, meta.index, 0);
}

// Rules 6 and 7 of Figure 13: when the log agrees with the snapshot, the entries after
// the snapshot stay; otherwise the whole log is discarded.
void Raft::ReplaceLogBySnapshot(const SnapshotMeta& meta) {
  if (log_.Matches(meta.index, meta.term)) {
    log_.CompactTo(meta.index);
    configurations_.CompactTo(meta.index);
    next_to_persist_ = std::max(next_to_persist_, meta.index.Next());
    return;
  }
  CONCORDAT_CHECK(commit_index_ < meta.index)
      << "a snapshot at " << meta.index << " disagrees with the committed log";
  ++counters_.logs_discarded_for_snapshot;
  log_ = Log(meta.index, meta.term);
  configurations_ = ConfigurationHistory(meta.configuration, meta.index);
  configuration_changed_ = true;
  next_to_persist_ = meta.index.Next();
  LimitPersistedTo(LogIndex());
  DropPromisesFrom(LogIndex(1));
  discard_log_ = true;
}

void Raft::OnSnapshotInstallFailed(const SnapshotMeta& meta) {
  CONCORDAT_CHECK(installing_ == meta)
      << "snapshot " << meta.index << " was not asked for";
  installing_.reset();
  if (!leader_.is_none()) AnswerNoSpace(leader_, 0);
}

}  // namespace concordat::raft
