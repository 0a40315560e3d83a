#include "coordinator/raft/configuration.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat::raft {

Configuration::Configuration(std::vector<NodeId> voters) : voters_(std::move(voters)) {
  std::sort(voters_.begin(), voters_.end());
  voters_.erase(std::unique(voters_.begin(), voters_.end()), voters_.end());
  CONCORDAT_CHECK(voters_.empty() || !voters_.front().is_none()) << "node 0 is no node";
}

bool Configuration::IsVoter(NodeId node) const {
  return std::binary_search(voters_.begin(), voters_.end(), node);
}

uint64_t Configuration::QuorumValue(
    const std::function<uint64_t(NodeId)>& value_of) const {
  if (voters_.empty()) return 0;
  std::vector<uint64_t> values;
  values.reserve(voters_.size());
  for (NodeId voter : voters_) values.push_back(value_of(voter));
  // In descending order the value at place QuorumSize() - 1 is reached by exactly
  // that many voters or more.
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(QuorumSize() - 1);
  std::nth_element(values.begin(), place, values.end(), std::greater<>());
  return *place;
}

bool Configuration::HasQuorum(const std::function<bool(NodeId)>& holds) const {
  if (voters_.empty()) return false;
  const auto count = std::count_if(voters_.begin(), voters_.end(), holds);
  return static_cast<size_t>(count) >= QuorumSize();
}

}  // namespace concordat::raft
