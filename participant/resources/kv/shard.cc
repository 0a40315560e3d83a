#include "participant/resources/kv/shard.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "participant/resources/kv/records.h"

namespace concordat::participant::kv {

Shard::~Shard() = default;

// --- recovery ---

void Shard::Load(CheckpointState state) {
  rows_ = std::move(state.rows);
  evidence_ = std::move(state.evidence);
  for (BranchWrites& prepared : state.prepared) {
    Branch* branch = Insert(prepared.branch, prepared.branch.gtid);
    branch->state = State::kPrepared;
    branch->writes = std::move(prepared.writes);
  }
  for (const BranchWrites& alone : state.alone) {
    Apply(alone.writes, alone.record.value(), &rows_);
    evidence_.Add(BranchKey(alone.branch), Evidence::kCommittedAlone);
  }
}

absl::Status Shard::Replay(wal::Lsn lsn, uint8_t type, std::string_view payload) {
  const auto damaged = [lsn](std::string_view what) {
    return absl::DataLossError(
        absl::StrCat("log record ", lsn.value(), ": ", std::string(what)));
  };
  ByteReader in(payload);
  const BranchId id = DecodeBranchId(&in);
  const auto kind = static_cast<RecordType>(type);
  WriteSet writes;
  if (kind == RecordType::kPrepared || kind == RecordType::kCommittedAlone) {
    writes = DecodeWrites(&in);
  }
  if (!in.complete()) return damaged("cannot be read");
  Branch* branch = Find(id);
  switch (kind) {
    case RecordType::kPrepared:
      if (branch != nullptr) return damaged("prepares a branch twice");
      branch = Insert(id, id.gtid);
      branch->state = State::kPrepared;
      branch->writes = std::move(writes);
      return absl::OkStatus();
    case RecordType::kCommittedAlone:
      Apply(writes, lsn.value(), &rows_);
      evidence_.Add(BranchKey(id), Evidence::kCommittedAlone);
      return absl::OkStatus();
    case RecordType::kCommitted:
      if (branch == nullptr) return damaged("commits a branch that is not prepared");
      Apply(branch->writes, lsn.value(), &rows_);
      evidence_.Add(BranchKey(id), Evidence::kCommitted);
      break;
    case RecordType::kRolledBack:
      if (branch == nullptr) return damaged("rolls back a branch that is not prepared");
      break;
    default:
      return damaged("is of an unknown type, of a newer version perhaps");
  }
  branches_.erase(BranchKey(id));
  return absl::OkStatus();
}

std::vector<BranchId> Shard::FinishRecovery(CountedLog* log) {
  log_ = log;
  std::vector<BranchId> prepared;
  for (const auto& [key, branch] : branches_) {
    for (const auto& [name, value] : branch->writes) locks_.Restore(branch.get(), name);
    prepared.push_back(branch->id);
  }
  std::sort(prepared.begin(), prepared.end());
  return prepared;
}

// --- branches ---

Shard::Branch* Shard::Find(const BranchId& id) const {
  const auto it = branches_.find(BranchKey(id));
  return it == branches_.end() ? nullptr : it->second.get();
}

Shard::Branch* Shard::Insert(const BranchId& id, const Gtid& age) {
  auto& slot = branches_[BranchKey(id)];
  CONCORDAT_CHECK(slot == nullptr) << "a branch id was used twice: " << id;
  slot = std::make_unique<Branch>(id, age, ++last_order_);
  return slot.get();
}

void Shard::Erase(Branch* branch) {
  locks_.Release(branch);
  branches_.erase(BranchKey(branch->id));
}

absl::Status Shard::Start(const BranchId& id, const StartOptions& options) {
  if (!options.isolation.empty() && options.isolation != "serializable") {
    return absl::InvalidArgumentError(
        absl::StrCat("a KV shard knows no isolation but serializable, not \"",
                     options.isolation, "\""));
  }
  if (!log_->HasSpace()) {
    return absl::ResourceExhaustedError("the disk is full: no new work is taken");
  }
  Insert(id, options.age.is_none() ? id.gtid : options.age);
  return absl::OkStatus();
}

// --- ends ---

void Shard::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != State::kActive || branch->work) {
    const bool wounded = branch != nullptr && branch->state == State::kWounded;
    if (wounded) Erase(branch);
    return completions_.Add(
        std::move(done),
        wounded ? PrepareResult{Vote::kConflict,
                                "the branch lost its locks to an older transaction"}
                : PrepareResult{Vote::kLost, "the branch is not active here"});
  }
  if (branch->writes.empty()) {
    Erase(branch);
    completions_.Add(std::move(done), PrepareResult{Vote::kReadOnly, ""});
    return HandleLockEvents();
  }
  const absl::StatusOr<wal::Lsn> lsn =
      log_->Append(static_cast<uint8_t>(RecordType::kPrepared),
                   BranchRecord(id, branch->writes), wal::Reserve::kNormal);
  if (absl::IsUnavailable(lsn.status())) {
    return completions_.Add(
        std::move(done),
        PrepareResult{Vote::kUnavailable, std::string(lsn.status().message())});
  }
  if (!lsn.ok()) {
    Erase(branch);
    completions_.Add(std::move(done),
                     PrepareResult{Vote::kRefused, std::string(lsn.status().message())});
    return HandleLockEvents();
  }
  branch->state = State::kPreparing;
  pending_.push_back({*lsn, branch, std::move(done)});
  locks_.Harden(branch);
  HandleLockEvents();
}

void Shard::Commit(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != State::kPrepared) {
    // The participant looks for evidence before it calls; see resource_manager.h.
    const bool known = branch == nullptr && LookUp(id) == Evidence::kCommitted;
    return completions_.Add(std::move(done),
                            FinishResult{known ? FinishState::kDone : FinishState::kRetry,
                                         "the branch is not prepared here"});
  }
  const absl::StatusOr<wal::Lsn> lsn =
      log_->Append(static_cast<uint8_t>(RecordType::kCommitted), BranchRecord(id),
                   wal::Reserve::kFinish);
  if (!lsn.ok()) {
    return completions_.Add(
        std::move(done),
        FinishResult{FinishState::kRetry, std::string(lsn.status().message())});
  }
  Apply(branch->writes, lsn->value(), &rows_);
  evidence_.Add(BranchKey(id), Evidence::kCommitted);
  pending_.push_back({*lsn, nullptr, std::move(done)});
  Erase(branch);
  HandleLockEvents();
}

void Shard::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != State::kActive || branch->work) {
    const bool wounded = branch != nullptr && branch->state == State::kWounded;
    if (wounded) Erase(branch);
    return completions_.Add(
        std::move(done),
        OnePhaseResult{wounded             ? OnePhase::kConflict
                       : branch == nullptr ? OnePhase::kLost
                                           : OnePhase::kUnknown,
                       wounded ? "the branch lost its locks to an older transaction"
                               : "the branch is not active here"});
  }
  if (branch->writes.empty()) {
    Erase(branch);
    completions_.Add(std::move(done), OnePhaseResult{OnePhase::kReadOnly, ""});
    return HandleLockEvents();
  }
  const absl::StatusOr<wal::Lsn> lsn =
      log_->Append(static_cast<uint8_t>(RecordType::kCommittedAlone),
                   BranchRecord(id, branch->writes), wal::Reserve::kNormal);
  if (!lsn.ok()) {
    Erase(branch);
    completions_.Add(
        std::move(done),
        OnePhaseResult{OnePhase::kRefused, std::string(lsn.status().message())});
    return HandleLockEvents();
  }
  branch->state = State::kCommittingAlone;
  branch->record = *lsn;
  pending_.push_back({*lsn, branch, std::move(done)});
  locks_.Harden(branch);
  HandleLockEvents();
}

void Shard::Rollback(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) {
    return completions_.Add(std::move(done), FinishResult{FinishState::kDone, ""});
  }
  switch (branch->state) {
    case State::kActive:
    case State::kWounded:
      AbandonCall(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
      completions_.Add(std::move(done), FinishResult{FinishState::kDone, ""});
      break;
    case State::kPreparing:
    case State::kCommittingAlone:
      return completions_.Add(std::move(done), FinishResult{FinishState::kRetry,
                                                            "the branch is being ended"});
    case State::kPrepared: {
      const absl::StatusOr<wal::Lsn> lsn =
          log_->Append(static_cast<uint8_t>(RecordType::kRolledBack), BranchRecord(id),
                       wal::Reserve::kFinish);
      if (!lsn.ok()) {
        return completions_.Add(
            std::move(done),
            FinishResult{FinishState::kRetry, std::string(lsn.status().message())});
      }
      pending_.push_back({*lsn, nullptr, std::move(done)});
      break;
    }
  }
  Erase(branch);
  HandleLockEvents();
}

void Shard::RollBackActive() {
  // Branches that wait are rolled back first; otherwise they would be granted what the
  // others release.
  std::vector<BranchId> waiting;
  std::vector<BranchId> active;
  for (const auto& [key, branch] : branches_) {
    if (branch->state == State::kActive || branch->state == State::kWounded) {
      (branch->work ? waiting : active).push_back(branch->id);
    }
  }
  for (const auto* list : {&waiting, &active}) {
    for (const BranchId& id : *list) Rollback(id, [](const FinishResult&) {});
  }
}

// --- durability ---

void Shard::OnDurable(wal::Lsn lsn) {
  while (!pending_.empty() && pending_.front().lsn <= lsn) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    FinishPending(&pending);
  }
  HandleLockEvents();
}

void Shard::FinishPending(Pending* pending) {
  if (auto* prepared = std::get_if<Callback<PrepareResult>>(&pending->done)) {
    pending->branch->state = State::kPrepared;
    completions_.Add(std::move(*prepared), PrepareResult{Vote::kPrepared, ""});
  } else if (auto* finished = std::get_if<Callback<FinishResult>>(&pending->done)) {
    completions_.Add(std::move(*finished), FinishResult{FinishState::kDone, ""});
  } else {
    Branch* branch = pending->branch;
    Apply(branch->writes, branch->record.value(), &rows_);
    evidence_.Add(BranchKey(branch->id), Evidence::kCommittedAlone);
    Erase(branch);
    completions_.Add(std::move(std::get<Callback<OnePhaseResult>>(pending->done)),
                     OnePhaseResult{OnePhase::kCommitted, ""});
  }
}

// --- queries ---

Evidence Shard::LookUp(const BranchId& id) const {
  if (const Branch* branch = Find(id)) {
    return branch->state == State::kPrepared ? Evidence::kPrepared : Evidence::kUnknown;
  }
  return evidence_.Find(BranchKey(id));
}

void Shard::CopyUndecided(std::vector<BranchWrites>* prepared,
                          std::vector<BranchWrites>* alone) const {
  for (const auto& [key, branch] : branches_) {
    if (branch->state == State::kPreparing || branch->state == State::kPrepared) {
      prepared->push_back({branch->id, branch->writes, wal::Lsn()});
    } else if (branch->state == State::kCommittingAlone) {
      alone->push_back({branch->id, branch->writes, branch->record});
    }
  }
}

ShardStats Shard::Stats() const {
  ShardStats stats;
  stats.rows = rows_.size();
  stats.branches = branches_.size();
  for (const auto& [key, branch] : branches_) {
    stats.prepared += branch->state == State::kPrepared ? 1 : 0;
  }
  stats.locked_keys = locks_.size();
  stats.waiting = locks_.waiting();
  stats.evidence = evidence_.size();
  return stats;
}

}  // namespace concordat::participant::kv
