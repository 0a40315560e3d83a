// The branches that are not over, and their locks. For the writer's thread.
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
  // Null when it is not there.
  [[nodiscard]] Branch* Find(const BranchId& id) const {
    const auto it = branches_.find(id);
    return it == branches_.end() ? nullptr : it->second.get();
  }
  // It must not be there yet.
  Branch* Add(const BranchId& id) {
    auto branch = std::make_unique<Branch>();
    branch->id = id;
    return branches_.emplace(id, std::move(branch)).first->second.get();
  }
  // The branch is over: lets its locks go and forgets it.
  void Remove(Branch* branch) {
    locks_.ReleaseAll(branch, &freed_);
    branches_.erase(branches_.find(branch->id));
    count_.fetch_sub(1, std::memory_order_relaxed);
  }
  // The branch has lost its locks to an older one, and does not know it yet.
  void Wound(Branch* branch) {
    locks_.ReleaseAll(branch, &freed_);
    branch->redo.clear();
    branch->state = BranchState::kWounded;
  }
  void ReleaseReads(Branch* branch) { locks_.ReleaseReads(branch, &freed_); }

  [[nodiscard]] LockTable& locks() { return locks_; }
  // Keys let go since the last call, that somebody waits for.
  [[nodiscard]] std::vector<std::string> TakeFreed() {
    return std::exchange(freed_, std::vector<std::string>());
  }
  [[nodiscard]] bool has_freed() const { return !freed_.empty(); }

  template <class Function>
  void ForEach(Function function) {
    for (auto& [id, branch] : branches_) function(branch.get());
  }

  // Counted up by whoever starts a branch, on any thread.
  [[nodiscard]] std::atomic<uint32_t>& count() { return count_; }

 private:
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;
  LockTable locks_;
  std::vector<std::string> freed_;
  std::atomic<uint32_t> count_{0};
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_BRANCH_TABLE_H_
