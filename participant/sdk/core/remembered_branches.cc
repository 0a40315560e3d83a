#include "participant/sdk/core/remembered_branches.h"

#include <algorithm>

#include "participant/sdk/core/branch_number.h"

namespace concordat::participant {

void RememberedBranches::Add(const BranchKey& key, Record record) {
  if (!records_.insert_or_assign(key, record).second) return;
  order_.push_back(key);
  if (order_.size() <= capacity_) return;
  const BranchKey& oldest = order_.front();
  uint64_t& highest = highest_evicted_[oldest.incarnation];
  highest = std::max(highest, CountOf(oldest.number));
  records_.erase(oldest);
  order_.pop_front();
}

std::optional<RememberedBranches::Record> RememberedBranches::Find(
    const BranchKey& key) const {
  const auto it = records_.find(key);
  if (it == records_.end()) return std::nullopt;
  return it->second;
}

void RememberedBranches::ForgetBelow(const Gtid& watermark) {
  while (!order_.empty() && order_.front().gtid.group == watermark.group &&
         order_.front().gtid < watermark) {
    records_.erase(order_.front());
    order_.pop_front();
  }
}

bool RememberedBranches::MayHaveForgotten(const BranchKey& key) const {
  const auto it = highest_evicted_.find(key.incarnation);
  return it != highest_evicted_.end() && CountOf(key.number) <= it->second;
}

}  // namespace concordat::participant
