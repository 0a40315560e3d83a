#include "tests/simulation/sim_store.h"

#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::simulation {

namespace {

template <class Changes>
int64_t SumOf(const Changes& changes) {
  int64_t sum = 0;
  for (const auto& change : changes) sum += change.delta;
  return sum;
}

}  // namespace

SimStore::SimStore(World* world, Judge* judge, std::string resource,
                   const StoreOptions& options)
    : world_(world),
      judge_(judge),
      resource_(std::move(resource)),
      options_(options),
      random_(world->NewSeed()),
      balances_(options.accounts, options.initial_balance) {}

// --- Starts and ends ---------------------------------------------------------------

void SimStore::Crash(bool power) {
  // When only the process dies, the kernel completes the flush that is under way.
  size_t keep = flushing_;
  if (power && flushing_ != 0) keep = random_.Below(flushing_ + 1);
  if (std::exchange(lose_all_, false)) keep = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Record& record = pending_[i].record;
    if (i < keep) {
      MakeDurable(record);
      disk_.push_back(record);
    } else if (record.kind == Kind::kPrepare) {
      world_->rare().Add(Rare::kCrashBeforePrepareDurable);
    } else if (record.kind == Kind::kCommit) {
      world_->rare().Add(Rare::kCrashBeforeCommitDurable);
    }
  }
  pending_.clear();
  flushing_ = completions_ = 0;
  for (const auto& [branch, state] : branches_) {
    const auto fact = judge_->FactOf(branch);
    if (fact == BranchFact::kActive) judge_->OnRolledBack(branch);
  }
  branches_.clear();
  locks_.clear();
  evidence_.clear();
}

std::vector<BranchId> SimStore::Recover() {
  balances_.assign(options_.accounts, options_.initial_balance);
  for (const Record& record : disk_) Replay(record);
  std::vector<BranchId> prepared;
  for (const auto& [id, branch] : branches_) {
    prepared.push_back(id);
    for (const Change& change : branch.changes) {
      const auto [lock, is_new] = locks_.try_emplace(change.account, id);
      if (!is_new && lock->second != id) {
        world_->Fail(absl::StrCat("branches ", ToString(id), " and ",
                                  ToString(lock->second),
                                  " are prepared on one account"));
      }
    }
  }
  return prepared;
}

void SimStore::Replay(const Record& record) {
  switch (record.kind) {
    case Kind::kPrepare:
      branches_[record.branch] = Branch{record.changes, true};
      break;
    case Kind::kCommit:
      Apply(record.branch, branches_[record.branch].changes);
      branches_.erase(record.branch);
      evidence_[record.branch] = participant::Evidence::kCommitted;
      break;
    case Kind::kAlone:
      Apply(record.branch, record.changes);
      evidence_[record.branch] = participant::Evidence::kCommittedAlone;
      break;
    case Kind::kRollback:
      branches_.erase(record.branch);
      break;
  }
}

// --- The log -----------------------------------------------------------------------

void SimStore::Append(Record record, Action done) {
  pending_.push_back({std::move(record), std::move(done)});
  StartFlush();
}

void SimStore::StartFlush() {
  if (flushing_ != 0 || pending_.empty()) return;
  flushing_ = pending_.size();
  const Duration delay = Duration::Micros(
      random_.Between(options_.flush_min.micros(), options_.flush_max.micros()));
  world_->After(delay, [this, incarnation = world_->IncarnationOf(process_)] {
    if (!world_->IsUp(process_) || world_->IncarnationOf(process_) != incarnation) return;
    for (; flushing_ != 0; --flushing_) {
      Pending pending = std::move(pending_.front());
      pending_.pop_front();
      MakeDurable(pending.record);
      disk_.push_back(std::move(pending.record));
      ++completions_;
      world_->After(process_, Duration(),
                    [this, done = std::move(pending.done)]() mutable {
                      --completions_;
                      done();
                    });
    }
    world_->After(process_, Duration(), [this] { StartFlush(); });
  });
}

void SimStore::MakeDurable(const Record& record) {
  switch (record.kind) {
    case Kind::kPrepare:
      judge_->OnPrepared(record.branch, SumOf(record.changes));
      break;
    case Kind::kCommit:
      judge_->OnCommitted(record.branch);
      break;
    case Kind::kAlone:
      judge_->OnCommittedAlone(record.branch, SumOf(record.changes));
      break;
    case Kind::kRollback:
      judge_->OnRolledBack(record.branch);
      break;
  }
}

// --- Work --------------------------------------------------------------------------

void SimStore::Start(const BranchId& branch) {
  judge_->OnStarted(branch);
  branches_[branch];
}

Code SimStore::Execute(const BranchId& id, const std::vector<Write>& writes) {
  const auto it = branches_.find(id);
  if (it == branches_.end() || it->second.prepared) return Code::kBranchGone;
  Branch& branch = it->second;
  for (const Write& write : writes) {
    const auto [lock, is_new] = locks_.try_emplace(write.account, id);
    if (lock->second != id) {
      Rollback(id, [] {});
      return Code::kConflict;
    }
    int64_t balance = balances_[write.account];
    for (const Change& change : branch.changes) {
      if (change.account == write.account) balance += change.delta;
    }
    if (balance + write.delta < 0) return Code::kConditionFailed;
    branch.changes.push_back({write.account, write.delta, balance});
  }
  return Code::kOk;
}

bool SimStore::WroteNothing(const BranchId& branch) const {
  const auto it = branches_.find(branch);
  return it == branches_.end() || it->second.changes.empty();
}

bool SimStore::IsPrepared(const BranchId& branch) const {
  const auto it = branches_.find(branch);
  return it != branches_.end() && it->second.prepared;
}

void SimStore::EndReadOnly(const BranchId& branch) {
  judge_->OnReadOnly(branch);
  Unlock(branch);
  branches_.erase(branch);
}

void SimStore::Prepare(const BranchId& id, Action done) {
  const auto it = branches_.find(id);
  CONCORDAT_CHECK(it != branches_.end()) << "PREPARE of a missing branch " << id;
  it->second.prepared = true;
  Append({Kind::kPrepare, id, it->second.changes}, std::move(done));
}

void SimStore::Commit(const BranchId& id, Action done) {
  CONCORDAT_CHECK(IsPrepared(id)) << "COMMIT of a branch that is not prepared " << id;
  Append({Kind::kCommit, id, {}}, [this, id, done = std::move(done)]() mutable {
    Apply(id, branches_[id].changes);
    evidence_[id] = participant::Evidence::kCommitted;
    Unlock(id);
    branches_.erase(id);
    CheckMoney();
    done();
  });
}

void SimStore::CommitAlone(const BranchId& id, Action done) {
  const auto it = branches_.find(id);
  CONCORDAT_CHECK(it != branches_.end() && !it->second.prepared)
      << "one-phase commit of " << id;
  it->second.prepared = true;  // no more work
  Append({Kind::kAlone, id, it->second.changes},
         [this, id, done = std::move(done)]() mutable {
           Apply(id, branches_[id].changes);
           evidence_[id] = participant::Evidence::kCommittedAlone;
           Unlock(id);
           branches_.erase(id);
           CheckMoney();
           done();
         });
}

void SimStore::Rollback(const BranchId& id, Action done) {
  const auto it = branches_.find(id);
  if (it == branches_.end()) {
    done();
    return;
  }
  if (!it->second.prepared) {
    judge_->OnRolledBack(id);
    Unlock(id);
    branches_.erase(it);
    done();
    return;
  }
  Append({Kind::kRollback, id, {}}, [this, id, done = std::move(done)]() mutable {
    Unlock(id);
    branches_.erase(id);
    done();
  });
}

void SimStore::Apply(const BranchId& branch, const std::vector<Change>& changes) {
  for (const Change& change : changes) {
    if (balances_[change.account] != change.before) {
      world_->Fail(absl::StrCat("branch ", ToString(branch), " commits over account ",
                                change.account,
                                ", which somebody else has changed: a lock was lost"));
    }
    balances_[change.account] += change.delta;
  }
}

void SimStore::Unlock(const BranchId& branch) {
  std::erase_if(locks_, [&](const auto& lock) { return lock.second == branch; });
}

participant::Evidence SimStore::LookUp(const BranchId& branch) const {
  if (IsPrepared(branch)) return participant::Evidence::kPrepared;
  const auto it = evidence_.find(branch);
  return it == evidence_.end() ? participant::Evidence::kNone : it->second;
}

void SimStore::ForgetBelow(const Gtid& watermark) {
  std::erase_if(evidence_, [&](const auto& evidence) {
    return evidence.first.gtid.group == watermark.group &&
           evidence.first.gtid <= watermark;
  });
}

int64_t SimStore::Total() const {
  return std::accumulate(balances_.begin(), balances_.end(), int64_t{0});
}

void SimStore::CheckMoney() {
  for (const int64_t balance : balances_) {
    if (balance < 0) world_->Fail(absl::StrCat(resource_, " has overdrawn an account"));
  }
  // Until a flush is reported, more is durable than is applied.
  if (completions_ != 0) return;
  const int64_t expected = InitialTotal() + judge_->CommittedDelta(resource_);
  if (Total() != expected) {
    world_->Fail(absl::StrCat(resource_, " holds ", Total(), " instead of ", expected));
  }
}

}  // namespace concordat::simulation
