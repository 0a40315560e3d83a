#include "coordinator/group/replica.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <variant>

#include "coordinator/base/check.h"

namespace concordat::group {

namespace {

// The most commands that are proposed at once. Raft's flow control may make the rest
// wait.
constexpr size_t kMaxProposalsAtOnce = 4096;

}  // namespace

Replica::Replica(ReplicaConfig config, raft::RecoveredState recovered,
                 StateMachine* machine, storage::RaftStore* store,
                 ReplicaEnvironment* environment)
    : config_(std::move(config)),
      machine_(machine),
      store_(store),
      environment_(environment),
      raft_(config_.raft, std::move(recovered)) {}

void Replica::Tick(Timestamp now) {
  now_ = std::max(now_, now);
  FollowSpace();
  raft_.Tick(now_);
  machine_->Tick(now_);
}

// Without room the machine, which knows what is new work, refuses it before anything is
// promised for it. Work that is under way goes on, and is finished from the log's
// reserve.
void Replica::FollowSpace() {
  const bool has_space = store_->HasSpaceForNewWork();
  raft_.SetHasSpace(has_space);
  machine_->AdmitNewWork(has_space);
  if (has_space || !leading_) {
    no_space_since_ = Timestamp::Infinite();
    return;
  }
  if (no_space_since_ == Timestamp::Infinite()) no_space_since_ = now_;
  if (now_ - no_space_since_ < config_.hand_over_after) return;
  no_space_since_ = now_;
  // If no node can take over, this one goes on with the work that is under way.
  (void)raft_.TransferLeadership();
}

absl::Status Replica::OnPeerMessage(raft::Message message) {
  if (const auto* append = std::get_if<raft::AppendRequest>(&message.body)) {
    for (const raft::Entry& entry : append->entries) {
      if (entry.type != raft::EntryType::kCommand) continue;
      absl::Status known = machine_->Check(entry.data.view());
      if (!known.ok()) return known;
    }
  }
  return raft_.Step(std::move(message));
}

void Replica::OnDurable(wal::Lsn lsn) {
  while (!persists_.empty() && persists_.front().lsn <= lsn) {
    persisted_ = persists_.front().id;
    raft_.OnPersisted(persisted_);
    persists_.pop_front();
  }
  while (!held_.empty() && held_.front().after <= persisted_) {
    for (raft::Message& message : held_.front().messages) {
      environment_->SendToPeer(std::move(message));
    }
    held_.pop_front();
  }
}

// Much work is done in portions, between which heartbeats are sent and received.
bool Replica::Process() {
  WritePersists();
  size_t applied = 0;
  bool busy = true;
  while (busy && applied < config_.raft.max_committed_per_output) {
    busy = ProcessRaft(&applied);
    busy = ProcessMachine() || busy;
  }
  MaybeDropReceived();
  MaybeTakeSnapshot();
  return busy || machine_->HasMoreWork();
}

bool Replica::ProcessRaft(size_t* applied) {
  if (!raft_.HasOutput()) return false;
  raft::Output output = raft_.TakeOutput();
  for (const raft::Notice& notice : output.notices) environment_->OnRaftNotice(notice);
  if (output.soft_state) FollowLeadership(*output.soft_state);
  if (output.configuration) environment_->OnMembers(*output.configuration);
  WriteAndSend(&output);
  ApplyCommitted(output.committed);
  *applied += output.committed.size();
  reads_.insert(reads_.end(), output.read_states.begin(), output.read_states.end());
  ConfirmReads();
  ReceiveSnapshot(&output);
  ServeSnapshotReads(output.snapshot_reads);
  return true;
}

// Comes before any entry of another leader is applied, and before anything is proposed.
void Replica::FollowLeadership(const raft::SoftState& state) {
  const bool leads = state.role == raft::Role::kLeader;
  if (leading_ && (!leads || state.term != leading_term_)) {
    leading_ = false;
    pending_proposals_.clear();
    reads_.clear();
    machine_->LoseLeadership(now_);
  }
  if (leads && !leading_) {
    leading_ = true;
    leading_term_ = state.term;
    machine_->BecomeLeader(state.term, now_);
  }
  environment_->OnRaftState(state);
}

void Replica::WriteAndSend(raft::Output* output) {
  for (raft::Message& message : output->messages) {
    environment_->SendToPeer(std::move(message));
  }
  if (output->persist) unwritten_.push_back(*std::move(output->persist));
  WritePersists();
  if (!output->messages_after_persist.empty()) {
    held_.push_back({output->after_persist, std::move(output->messages_after_persist)});
  }
}

void Replica::WritePersists() {
  while (!unwritten_.empty()) {
    const auto lsn = store_->Persist(config_.raft.group, unwritten_.front());
    if (!lsn.ok()) return;
    persists_.push_back({*lsn, unwritten_.front().id});
    unwritten_.pop_front();
  }
}

void Replica::ApplyCommitted(const std::vector<raft::Entry>& entries) {
  for (const raft::Entry& entry : entries) {
    if (entry.type == raft::EntryType::kTermStart) {
      if (leading_ && entry.term == leading_term_) {
        // The machine handles the requests that have waited, so it must know this first.
        machine_->AdmitNewWork(store_->HasSpaceForNewWork());
        machine_->LeaderReady(entry.term, now_);
      }
    } else if (entry.type == raft::EntryType::kCommand) {
      const absl::Status applied = machine_->Apply(entry.index, entry.data.view(), now_);
      CONCORDAT_CHECK(applied.ok()) << "log-committed entry " << entry.index
                                    << " cannot be applied: " << applied.message()
                                    << "; this node must be upgraded";
    }
    ++entries_since_snapshot_;
    bytes_since_snapshot_ += entry.data.size();
  }
  if (!entries.empty()) raft_.OnApplied(entries.back().index);
}

// Reads that Raft has dropped are not confirmed: leadership was lost, and the machine
// answers them itself.
void Replica::ConfirmReads() {
  while (!reads_.empty() && reads_.front().index <= raft_.applied_index()) {
    machine_->OnReadConfirmed(ReadToken(reads_.front().token.value()), now_);
    reads_.pop_front();
  }
}

void Replica::ReceiveSnapshot(raft::Output* output) {
  for (raft::SnapshotWrite& write : output->snapshot_writes) {
    environment_->ReceiveSnapshot(std::move(write));
    received_parts_ = true;
  }
  if (!output->install_snapshot) return;
  received_parts_ = false;
  installing_ = std::move(output->install_snapshot);
  environment_->RestoreSnapshot(*installing_, machine_->BeginRestore(installing_->index));
}

// They may be many, and hold the space that the log needs.
void Replica::MaybeDropReceived() {
  if (!received_parts_ || raft_.is_receiving_snapshot()) return;
  received_parts_ = false;
  environment_->DropReceivedSnapshot();
}

void Replica::OnSnapshotRestored(const raft::SnapshotMeta& meta,
                                 const absl::Status& restored, SnapshotRestore* restore) {
  CONCORDAT_CHECK(installing_ == meta)
      << "snapshot " << meta.index << " was not asked for";
  installing_.reset();
  if (!restored.ok() || !raft_.MayInstall(meta)) {
    return raft_.OnSnapshotInstallFailed(meta);
  }
  restore->Install();
  raft_.OnSnapshotInstalled(meta);
}

void Replica::OnSnapshotSaved(const raft::SnapshotMeta& meta, const absl::Status& saved) {
  CONCORDAT_CHECK(saving_ == meta) << "snapshot " << meta.index << " was not asked for";
  saving_.reset();
  // A newer snapshot may have come from the leader meanwhile.
  if (saved.ok() && meta.index > raft_.snapshot().index) raft_.OnSnapshotTaken(meta);
}

void Replica::ServeSnapshotReads(const std::vector<raft::SnapshotReadRequest>& reads) {
  for (const raft::SnapshotReadRequest& read : reads) {
    bool last = false;
    auto data = environment_->ReadSnapshot(read.meta, read.offset, read.max_bytes, &last);
    if (data.ok()) {
      raft_.OnSnapshotChunkRead(read.to, read.meta, read.offset, std::move(*data), last);
    } else {
      raft_.OnSnapshotChunkGone(read.to, read.meta);
    }
  }
}

void Replica::MaybeTakeSnapshot() {
  if (saving_ || installing_) return;
  if (entries_since_snapshot_ < config_.snapshot_entries &&
      bytes_since_snapshot_ < config_.snapshot_bytes) {
    return;
  }
  const LogIndex applied = raft_.applied_index();
  if (applied <= raft_.snapshot().index) return;
  entries_since_snapshot_ = 0;
  bytes_since_snapshot_ = 0;
  saving_ = raft_.SnapshotMetaAt(applied);
  environment_->SaveSnapshot(*saving_, machine_->TakeSnapshot());
}

bool Replica::ProcessMachine() {
  std::vector<std::string> proposals = machine_->TakeProposals();
  const std::vector<ReadToken> reads = machine_->TakeReads();
  pending_proposals_.insert(pending_proposals_.end(),
                            std::make_move_iterator(proposals.begin()),
                            std::make_move_iterator(proposals.end()));
  ProposePending();
  for (const ReadToken token : reads) {
    // If this fails, the node does not lead any more. The next output says so, and the
    // machine answers the read.
    (void)raft_.ReadIndex(raft::ReadToken(token.value()));
  }
  environment_->OnMachineOutput();
  return !proposals.empty() || !reads.empty();
}

void Replica::ProposePending() {
  while (!pending_proposals_.empty()) {
    const size_t count = std::min(pending_proposals_.size(), kMaxProposalsAtOnce);
    const auto end = pending_proposals_.begin() + static_cast<ptrdiff_t>(count);
    std::vector<std::string> commands(pending_proposals_.begin(), end);
    const auto first = raft_.Propose(std::move(commands));
    // They can be proposed when more of the log is committed, or when a transfer of
    // leadership has failed.
    if (absl::IsResourceExhausted(first.status()) ||
        absl::IsUnavailable(first.status())) {
      return;
    }
    // The node does not lead any more. The next output says so, and the machine then
    // forgets these commands, for which nothing was promised.
    if (!first.ok()) {
      pending_proposals_.clear();
      return;
    }
    pending_proposals_.erase(pending_proposals_.begin(), end);
  }
}

Timestamp Replica::NextDeadline() const {
  return std::min(raft_.NextDeadline(), machine_->NextTimer());
}

}  // namespace concordat::group
