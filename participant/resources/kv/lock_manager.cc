#include "participant/resources/kv/lock_manager.h"

#include <algorithm>

#include "coordinator/base/check.h"

namespace concordat::participant::kv {

// --- asking ---

LockResult LockManager::Acquire(LockOwner* owner, LockMode mode, std::string_view key) {
  auto it = locks_.lower_bound(key);
  if (it == locks_.end() || it->first != key) {
    it = locks_.emplace_hint(it, std::string(key), Lock());
  }
  for (const Holder& holder : it->second.holders) {
    if (holder.owner == owner && holder.mode >= mode) return LockResult::kGranted;
  }
  Request request;
  request.mode = mode;
  request.lock = it;
  pinned_ = it;
  const LockResult result = Ask(owner, std::move(request));
  pinned_ = locks_.end();
  EraseIfUnused(it);
  return result;
}

LockResult LockManager::AcquireRange(LockOwner* owner, KeyRange range) {
  for (const KeyRange& held : owner->ranges_) {
    if (held.Contains(range)) return LockResult::kGranted;
  }
  Request request;
  request.is_range = true;
  request.range = std::move(range);
  return Ask(owner, std::move(request));
}

LockResult LockManager::Ask(LockOwner* owner, Request request) {
  CONCORDAT_CHECK(!owner->waiting_ && !owner->wounded_ && !owner->hardened_)
      << "asks for a lock out of turn";
  Conflicts found;
  Evaluate(*owner, request, &found);
  if (found.verdict == Verdict::kSibling) return LockResult::kConflict;
  for (LockOwner* victim : found.victims) Wound(victim);
  const bool granted = found.verdict == Verdict::kFree;
  if (granted) {
    Grant(owner, request);
  } else {
    Enqueue(owner, std::move(request));
  }
  EvaluateCandidates();
  return granted ? LockResult::kGranted : LockResult::kWaits;
}

// --- conflicts ---

void LockManager::Evaluate(const LockOwner& owner, const Request& request,
                           Conflicts* found) const {
  if (request.is_range) {
    EvaluateRange(owner, request.range, found);
  } else {
    EvaluateKey(owner, request.mode, request.lock, found);
  }
  if (found->verdict == Verdict::kSibling) found->victims.clear();
}

void LockManager::EvaluateKey(const LockOwner& owner, LockMode mode,
                              LockMap::const_iterator lock, Conflicts* found) const {
  const auto conflict = [mode](LockMode other) {
    return mode == LockMode::kExclusive || other == LockMode::kExclusive;
  };
  for (const Holder& holder : lock->second.holders) {
    if (conflict(holder.mode)) CheckHolder(owner, holder.owner, found);
  }
  for (const LockOwner* waiter : lock->second.waiters) {
    if (conflict(waiter->request_.mode)) CheckWaiter(owner, *waiter, found);
  }
  if (mode == LockMode::kShared) return;
  for (LockOwner* holder : range_holders_) {
    for (const KeyRange& range : holder->ranges_) {
      if (range.Contains(lock->first)) CheckHolder(owner, holder, found);
    }
  }
  if (range_waiters_ == 0) return;
  for (const LockOwner* waiter : waiting_) {
    if (waiter->request_.is_range && waiter->request_.range.Contains(lock->first)) {
      CheckWaiter(owner, *waiter, found);
    }
  }
}

void LockManager::EvaluateRange(const LockOwner& owner, const KeyRange& range,
                                Conflicts* found) const {
  for (auto it = locks_.lower_bound(range.from);
       it != locks_.end() && range.Contains(it->first); ++it) {
    for (const Holder& holder : it->second.holders) {
      if (holder.mode == LockMode::kExclusive) CheckHolder(owner, holder.owner, found);
    }
    for (const LockOwner* waiter : it->second.waiters) {
      if (waiter->request_.mode == LockMode::kExclusive) {
        CheckWaiter(owner, *waiter, found);
      }
    }
  }
}

void LockManager::CheckHolder(const LockOwner& owner, LockOwner* holder,
                              Conflicts* found) {
  if (holder == &owner) return;
  if (holder->transaction_ == owner.transaction_) {
    found->verdict = Verdict::kSibling;
    return;
  }
  if (!holder->hardened_ && owner.IsOlderThan(*holder)) {
    if (std::find(found->victims.begin(), found->victims.end(), holder) ==
        found->victims.end()) {
      found->victims.push_back(holder);
    }
  } else if (found->verdict == Verdict::kFree) {
    found->verdict = Verdict::kBlocked;
  }
}

void LockManager::CheckWaiter(const LockOwner& owner, const LockOwner& waiter,
                              Conflicts* found) {
  if (&waiter == &owner || !waiter.IsOlderThan(owner)) return;
  if (found->verdict == Verdict::kFree) found->verdict = Verdict::kBlocked;
}

// --- holding and waiting ---

void LockManager::Grant(LockOwner* owner, const Request& request) {
  if (request.is_range) {
    if (owner->ranges_.empty()) range_holders_.push_back(owner);
    owner->ranges_.push_back(request.range);
    return;
  }
  for (Holder& holder : request.lock->second.holders) {
    if (holder.owner == owner) {
      holder.mode = request.mode;
      return;
    }
  }
  request.lock->second.holders.push_back({owner, request.mode});
  owner->held_.push_back(request.lock);
}

void LockManager::Enqueue(LockOwner* owner, Request request) {
  owner->request_ = std::move(request);
  owner->waiting_ = true;
  waiting_.insert(owner);
  if (owner->request_.is_range) {
    ++range_waiters_;
  } else {
    owner->request_.lock->second.waiters.push_back(owner);
  }
}

void LockManager::Dequeue(LockOwner* owner) {
  owner->waiting_ = false;
  waiting_.erase(owner);
  candidates_.erase(owner);
  if (owner->request_.is_range) {
    --range_waiters_;
    return;
  }
  auto& waiters = owner->request_.lock->second.waiters;
  waiters.erase(std::find(waiters.begin(), waiters.end(), owner));
}

// Requests that waited after this one may be granted now.
void LockManager::StopWaiting(LockOwner* owner) {
  if (!owner->waiting_) return;
  Dequeue(owner);
  if (owner->request_.is_range) return ReconsiderAll();
  Reconsider(owner->request_.lock->second);
  EraseIfUnused(owner->request_.lock);
}

void LockManager::Wound(LockOwner* owner) {
  owner->wounded_ = true;
  wounded_.push_back(owner);
  StopWaiting(owner);
  ReleaseLocks(owner, /*shared_only=*/false);
}

void LockManager::ReleaseLocks(LockOwner* owner, bool shared_only) {
  std::vector<LockMap::iterator> kept;
  for (const LockMap::iterator lock : owner->held_) {
    const auto& holders = lock->second.holders;
    const auto mine = std::find_if(holders.begin(), holders.end(),
                                   [owner](const Holder& h) { return h.owner == owner; });
    if (shared_only && mine->mode == LockMode::kExclusive) {
      kept.push_back(lock);
    } else {
      ReleaseKey(owner, lock);
    }
  }
  owner->held_ = std::move(kept);
  if (owner->ranges_.empty()) return;
  owner->ranges_.clear();
  range_holders_.erase(std::find(range_holders_.begin(), range_holders_.end(), owner));
  ReconsiderAll();
}

void LockManager::ReleaseKey(LockOwner* owner, LockMap::iterator lock) {
  auto& holders = lock->second.holders;
  holders.erase(std::find_if(holders.begin(), holders.end(),
                             [owner](const Holder& h) { return h.owner == owner; }));
  Reconsider(lock->second);
  EraseIfUnused(lock);
}

void LockManager::EraseIfUnused(LockMap::iterator lock) {
  if (lock == pinned_ || !lock->second.holders.empty() || !lock->second.waiters.empty()) {
    return;
  }
  locks_.erase(lock);
}

// --- requests that became grantable ---

void LockManager::Reconsider(const Lock& lock) {
  if (range_waiters_ > 0) return ReconsiderAll();
  candidates_.insert(lock.waiters.begin(), lock.waiters.end());
}

void LockManager::ReconsiderAll() {
  candidates_.insert(waiting_.begin(), waiting_.end());
}

void LockManager::EvaluateCandidates() {
  while (!candidates_.empty()) {
    LockOwner* owner = *candidates_.begin();
    candidates_.erase(candidates_.begin());
    Conflicts found;
    Evaluate(*owner, owner->request_, &found);
    if (found.verdict == Verdict::kSibling) {
      Wound(owner);
      continue;
    }
    for (LockOwner* victim : found.victims) Wound(victim);
    if (found.verdict == Verdict::kBlocked) continue;
    Dequeue(owner);
    Grant(owner, owner->request_);
    granted_.push_back(owner);
  }
}

// --- ends ---

void LockManager::Harden(LockOwner* owner) {
  CONCORDAT_CHECK(!owner->waiting_ && !owner->wounded_) << "promises without its locks";
  owner->hardened_ = true;
  ReleaseLocks(owner, /*shared_only=*/true);
  EvaluateCandidates();
}

void LockManager::Restore(LockOwner* owner, std::string_view key) {
  owner->hardened_ = true;
  Request request;
  request.mode = LockMode::kExclusive;
  request.lock = locks_.try_emplace(std::string(key)).first;
  CONCORDAT_CHECK(request.lock->second.holders.empty())
      << "two prepared branches hold one key";
  Grant(owner, request);
}

void LockManager::Release(LockOwner* owner) {
  StopWaiting(owner);
  ReleaseLocks(owner, /*shared_only=*/false);
  EvaluateCandidates();
}

}  // namespace concordat::participant::kv
