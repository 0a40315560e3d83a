// InstallSnapshot on both sides (paper, Figure 13 and section 7): chunks one at a
// time, each answered with the offset that is wanted next, so that a lost chunk, a
// lost answer and a restarted follower all come to the same: the leader goes on from
// there. And compaction of the own log.
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

// --- The own snapshot -----------------------------------------------------------

SnapshotMeta Raft::SnapshotMetaAt(LogIndex index) const {
  CONCORDAT_CHECK(index <= applied_index_ && index >= log_.base_index())
      << "no snapshot possible at " << index;
  return SnapshotMeta{index, log_.TermAt(index).value(), configuration_};
}

void Raft::OnSnapshotTaken(const SnapshotMeta& meta) {
  if (meta.index <= snapshot_.index) return;
  CONCORDAT_CHECK(meta.index <= applied_index_ && log_.Matches(meta.index, meta.term))
      << "snapshot at " << meta.index << ", applied " << applied_index_;
  snapshot_ = meta;
  snapshot_to_persist_ = true;
  const uint64_t kept =
      std::min<uint64_t>(config_.entries_kept_behind_snapshot, meta.index.value());
  log_.CompactTo(LogIndex(meta.index.value() - kept));
}

// --- The sender -----------------------------------------------------------------

bool Raft::WantsSnapshotRead(const Progress& progress) const {
  if (progress.state != ProgressState::kSnapshot) return false;
  const SnapshotTransfer& transfer = progress.snapshot;
  if (transfer.stage == SnapshotTransfer::Stage::kWantRead) return true;
  return transfer.stage == SnapshotTransfer::Stage::kSent &&
         now_ - transfer.sent_at > config_.election_timeout_max;
}

void Raft::SendSnapshot(NodeId to, Progress* progress) {
  if (!WantsSnapshotRead(*progress)) return;
  SnapshotTransfer& transfer = progress->snapshot;
  if (transfer.stage == SnapshotTransfer::Stage::kSent) {
    ++counters_.snapshot_chunks_repeated;
  }
  transfer.stage = SnapshotTransfer::Stage::kReading;
  snapshot_reads_.push_back(SnapshotReadRequest{to, transfer.meta, transfer.offset,
                                                config_.snapshot_chunk_bytes});
}

SnapshotTransfer* Raft::FindTransfer(NodeId to, LogIndex index) {
  const auto it = progress_.find(to);
  if (it == progress_.end()) return nullptr;
  Progress& progress = it->second;
  const bool same =
      progress.state == ProgressState::kSnapshot && progress.snapshot.meta.index == index;
  return same ? &progress.snapshot : nullptr;
}

void Raft::OnSnapshotChunkRead(NodeId to, const SnapshotMeta& meta, uint64_t offset,
                               std::string data, bool last) {
  SnapshotTransfer* transfer = FindTransfer(to, meta.index);
  if (transfer == nullptr || transfer->offset != offset ||
      transfer->stage != SnapshotTransfer::Stage::kReading) {
    return;
  }
  transfer->stage = SnapshotTransfer::Stage::kSent;
  transfer->sent_at = now_;
  Send(to, SnapshotChunk{transfer->meta, offset, Payload(std::move(data)), last});
}

void Raft::OnSnapshotChunkGone(NodeId to, const SnapshotMeta& meta) {
  SnapshotTransfer* transfer = FindTransfer(to, meta.index);
  if (transfer == nullptr) return;
  ++counters_.snapshots_restarted;
  const bool replaced = snapshot_.index > transfer->meta.index;
  progress_.at(to).BecomeSnapshot(snapshot_);
  if (!replaced) {  // asked for again, but not in a busy loop
    transfer->stage = SnapshotTransfer::Stage::kSent;
    transfer->sent_at = now_;
  }
}

void Raft::Handle(NodeId from, const SnapshotChunkResponse& response) {
  if (!is_leader()) return;
  progress_.at(from).last_heard = now_;
  SnapshotTransfer* transfer = FindTransfer(from, response.snapshot_index);
  if (transfer == nullptr || transfer->stage != SnapshotTransfer::Stage::kSent ||
      transfer->offset != response.offset) {
    ++counters_.stale_messages;
    return;
  }
  if (response.next_offset < response.offset) ++counters_.snapshots_restarted;
  transfer->offset = response.next_offset;
  transfer->stage = SnapshotTransfer::Stage::kWantRead;
}

// --- The receiver ---------------------------------------------------------------

void Raft::Handle(NodeId from, SnapshotChunk chunk) {
  HearFromLeader(from);
  if (chunk.meta.index <= commit_index_) {
    // Nothing in it is new: a snapshot never takes the state machine back.
    receiving_.reset();
    AcknowledgeAppend(from, LogIndex(), 0);
    return;
  }
  if (installing_.has_value()) return;  // answered when that is done
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
    // Another one: parts of two snapshots are never put together. Two leaders may
    // write the same state in different bytes, so a new sender begins anew as well.
    receiving_ = ReceivedSnapshot{chunk.meta, term(), 0};
  }
  AcceptChunk(from, std::move(chunk));
}

void Raft::AcceptChunk(NodeId from, SnapshotChunk chunk) {
  const uint64_t offset = chunk.offset;
  if (offset == receiving_->next_offset) {
    receiving_->next_offset += chunk.data.size();
    snapshot_writes_.push_back(SnapshotWrite{chunk.meta, offset, std::move(chunk.data)});
    if (chunk.last) {
      installing_ = install_snapshot_ = std::move(chunk.meta);
      receiving_.reset();
      return;
    }
  }
  Send(from, SnapshotChunkResponse{chunk.meta.index, offset, receiving_->next_offset});
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
  configuration_ = meta.configuration;
  if (hard_state_.cluster.is_none()) hard_state_.cluster = configuration_.cluster();
  snapshot_to_persist_ = true;
  commit_index_ = std::max(commit_index_, meta.index);
  handed_out_index_ = applied_index_ = meta.index;
  NoteRefilled();
  if (!leader_.is_none()) AcknowledgeAppend(leader_, meta.index, 0);
}

// Rules 6 and 7 of Figure 13: entries behind the snapshot stay when the log agrees
// with it; otherwise the whole log goes.
void Raft::ReplaceLogBySnapshot(const SnapshotMeta& meta) {
  if (log_.Matches(meta.index, meta.term)) {
    log_.CompactTo(meta.index);
    next_to_persist_ = std::max(next_to_persist_, meta.index.Next());
    return;
  }
  CONCORDAT_CHECK(commit_index_ < meta.index)
      << "a snapshot at " << meta.index << " disagrees with the committed log";
  ++counters_.logs_discarded_for_snapshot;
  log_ = Log(meta.index, meta.term);
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
