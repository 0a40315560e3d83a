#include "participant/resources/sqlite/lock_table.h"

#include <algorithm>

#include "participant/resources/sqlite/branch.h"

namespace concordat::participant::sqlite {

namespace {

constexpr uint8_t kReadBit = static_cast<uint8_t>(LockMode::kRead);
constexpr uint8_t kKeepBit = static_cast<uint8_t>(LockMode::kKeep);
constexpr uint8_t kWriteBit = static_cast<uint8_t>(LockMode::kWrite);
constexpr uint8_t kAllBits = 15;

uint8_t DisagreesWith(LockMode mode) {
  switch (mode) {
    case LockMode::kRead:
    case LockMode::kKeep:
      return static_cast<uint8_t>(~(kReadBit | kKeepBit) & kAllBits);
    case LockMode::kWrite:
      return static_cast<uint8_t>(~kWriteBit & kAllBits);
    case LockMode::kExclusive:
      break;
  }
  return kAllBits;
}

}  // namespace

uint8_t LockHolders::ModesOf(const Branch* branch) const {
  if (first_ == branch) return first_modes_;
  const auto it = more_.find(const_cast<Branch*>(branch));
  return it == more_.end() ? 0 : it->second;
}

void LockHolders::Set(Branch* branch, uint8_t modes) {
  Count(ModesOf(branch), -1);
  Count(modes, 1);
  if (first_ == branch || (first_ == nullptr && !more_.contains(branch))) {
    first_ = modes == 0 ? nullptr : branch;
    first_modes_ = modes;
  } else if (modes == 0) {
    more_.erase(branch);
  } else {
    more_[branch] = modes;
  }
}

bool LockHolders::Any(uint8_t modes) const {
  for (int bit = 0; bit < 4; ++bit) {
    if ((modes >> bit & 1) != 0 && counts_[bit] != 0) return true;
  }
  return false;
}

void LockHolders::Count(uint8_t modes, int change) {
  for (int bit = 0; bit < 4; ++bit) {
    if ((modes >> bit & 1) != 0) counts_[bit] += static_cast<uint32_t>(change);
  }
}

void LockTable::FindBlockers(const Branch& branch, const LockWant& want,
                             std::vector<Branch*>* blockers) const {
  const auto it = locks_.find(want.key);
  const uint8_t bad = DisagreesWith(want.mode);
  if (it == locks_.end() || !it->second.holders.Any(bad)) return;
  it->second.holders.ForEach([&](Branch* holder, uint8_t modes) {
    if (holder == &branch || (modes & bad) == 0) return;
    if (std::find(blockers->begin(), blockers->end(), holder) == blockers->end()) {
      blockers->push_back(holder);
    }
  });
}

void LockTable::Grant(Branch* branch, const std::string& key, LockMode mode) {
  const auto it = locks_.try_emplace(key).first;
  LockHolders& holders = it->second.holders;
  const uint8_t held = holders.ModesOf(branch);
  holders.Set(branch, static_cast<uint8_t>(held | static_cast<uint8_t>(mode)));
  if (held == 0) branch->locks.push_back(&*it);
}

void LockTable::Release(Branch* branch, LockRef ref, uint8_t keep_modes,
                        std::vector<std::string>* freed) {
  LockEntry& entry = ref->second;
  const uint8_t held = entry.holders.ModesOf(branch);
  entry.holders.Set(branch, held & keep_modes);
  if (!entry.waiters.empty()) {
    freed->push_back(ref->first);
  } else if (entry.holders.empty()) {
    locks_.erase(locks_.find(ref->first));
  }
}

void LockTable::ReleaseAll(Branch* branch, std::vector<std::string>* freed) {
  for (const LockRef ref : branch->locks) Release(branch, ref, 0, freed);
  branch->locks.clear();
}

void LockTable::ReleaseReads(Branch* branch, std::vector<std::string>* freed) {
  std::vector<LockRef> kept;
  for (const LockRef ref : branch->locks) {
    const uint8_t held = ref->second.holders.ModesOf(branch);
    if (held != kReadBit) kept.push_back(ref);
    if (held & kReadBit) {
      Release(branch, ref, static_cast<uint8_t>(kAllBits & ~kReadBit), freed);
    }
  }
  branch->locks = std::move(kept);
}

std::vector<LockWant> LockTable::HeldBy(const Branch& branch) const {
  std::vector<LockWant> held;
  held.reserve(branch.locks.size());
  for (const LockRef ref : branch.locks) {
    const uint8_t modes = ref->second.holders.ModesOf(&branch);
    for (const LockMode mode :
         {LockMode::kRead, LockMode::kKeep, LockMode::kWrite, LockMode::kExclusive}) {
      if (modes & static_cast<uint8_t>(mode)) held.push_back({ref->first, mode});
    }
  }
  return held;
}

void LockTable::AddWaiter(Branch* branch, const std::string& key) {
  locks_[key].waiters.push_back(branch);
}

void LockTable::RemoveWaiter(Branch* branch, const std::string& key) {
  const auto it = locks_.find(key);
  if (it == locks_.end()) return;
  std::vector<Branch*>& waiters = it->second.waiters;
  waiters.erase(std::remove(waiters.begin(), waiters.end(), branch), waiters.end());
  if (waiters.empty() && it->second.holders.empty()) locks_.erase(it);
}

Branch* LockTable::OldestWaiter(const std::string& key) const {
  const auto it = locks_.find(key);
  if (it == locks_.end() || it->second.waiters.empty()) return nullptr;
  return *std::min_element(
      it->second.waiters.begin(), it->second.waiters.end(),
      [](const Branch* a, const Branch* b) { return IsOlder(*a, *b); });
}

bool LockTable::IsHeldExclusively(const std::string& key) const {
  const auto it = locks_.find(key);
  return it != locks_.end() &&
         it->second.holders.Any(static_cast<uint8_t>(LockMode::kExclusive));
}

}  // namespace concordat::participant::sqlite
