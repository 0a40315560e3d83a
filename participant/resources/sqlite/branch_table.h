// The branches that have not ended, and their locks. For the writer's thread.
#ifndef PARTICIPANT_RESOURCES_SQLITE_BRANCH_TABLE_H_
#define PARTICIPANT_RESOURCES_SQLITE_BRANCH_TABLE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "participant/resources/sqlite/branch.h"
#include "participant/resources/sqlite/lock_table.h"

namespace concordat::participant::sqlite {

class BranchTable {
 public:
  // Null: the branch is not there.
  [[nodiscard]] Branch* Find(const BranchId& id) const {
    const auto it = branches_.find(id);
    return it == branches_.end() ? nullptr : it->second.get();
  }
  // The branch must not be there yet.
  Branch* Add(const BranchId& id) {
    auto branch = std::make_unique<Branch>();
    branch->id = id;
    return branches_.emplace(id, std::move(branch)).first->second.get();
  }
  // The branch has ended: releases its locks and forgets it.
  void Remove(Branch* branch) {
    locks_.ReleaseAll(branch, &freed_);
    branches_.erase(branches_.find(branch->id));
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  // The branch has lost its locks to an older one. It is told at its next call.
  void Wound(Branch* branch) {
    locks_.ReleaseAll(branch, &freed_);
    branch->redo.clear();
    branch->state = BranchState::kWounded;
  }
  void ReleaseReads(Branch* branch) { locks_.ReleaseReads(branch, &freed_); }

  [[nodiscard]] LockTable& locks() { return locks_; }
  // The released keys that somebody waits for, since the last call.
  [[nodiscard]] std::vector<std::string> TakeFreed() {
    return std::exchange(freed_, std::vector<std::string>());
  }
  [[nodiscard]] bool has_freed() const { return !freed_.empty(); }

  template <class Function>
  void ForEach(Function function) {
    for (auto& [id, branch] : branches_) function(branch.get());
  }

  // Any thread that starts a branch increments it.
  [[nodiscard]] std::atomic<uint32_t>& count() { return count_; }

 private:
  // All branches that have not ended.
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;
  LockTable locks_;
  std::vector<std::string> freed_;  // see TakeFreed
  std::atomic<uint32_t> count_{0};  // branches here or about to be added
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_BRANCH_TABLE_H_
