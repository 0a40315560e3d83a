// Why a participant has rolled branches back by itself. The next call in such a branch,
// or its PREPARE, returns the reason to operators. The newest `capacity` reasons are
// kept; only texts depend on them.
#ifndef PARTICIPANT_SDK_CORE_ROLLBACK_REASONS_H_
#define PARTICIPANT_SDK_CORE_ROLLBACK_REASONS_H_

#include <cstddef>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "participant/sdk/core/remembered_branches.h"

namespace concordat::participant {

class RollbackReasons {
 public:
  explicit RollbackReasons(size_t capacity) : capacity_(capacity) {}

  void Add(const BranchKey& key, std::string reason) {
    if (!reasons_.try_emplace(key, std::move(reason)).second) return;
    order_.push_back(key);
    if (order_.size() <= capacity_) return;
    reasons_.erase(order_.front());
    order_.pop_front();
  }
  // Null: not known, or not known any more.
  [[nodiscard]] const std::string* Find(const BranchKey& key) const {
    const auto found = reasons_.find(key);
    return found == reasons_.end() ? nullptr : &found->second;
  }

 private:
  const size_t capacity_;
  absl::flat_hash_map<BranchKey, std::string> reasons_;
  std::deque<BranchKey> order_;  // oldest first
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_ROLLBACK_REASONS_H_
