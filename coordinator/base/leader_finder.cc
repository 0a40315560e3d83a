#include "coordinator/base/leader_finder.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat {

LeaderFinder::LeaderFinder(std::vector<std::string> nodes) : nodes_(std::move(nodes)) {
  CONCORDAT_CHECK(!nodes_.empty()) << "a cluster has at least one node";
}

bool LeaderFinder::Follow(std::string_view asked, const std::string& hint) {
  if (current() != asked) return true;  // another call has chosen it already
  return !hint.empty() && hint != asked && Select(hint);
}

bool LeaderFinder::MoveOn(std::string_view asked, const std::string& hint) {
  if (Follow(asked, hint)) return true;
  current_ = (current_ + 1) % nodes_.size();
  return false;
}

bool LeaderFinder::Add(const std::string& node) {
  if (std::find(nodes_.begin(), nodes_.end(), node) != nodes_.end()) return true;
  if (nodes_.size() >= kMaxNodes) return false;
  nodes_.push_back(node);
  return true;
}

bool LeaderFinder::Select(const std::string& node) {
  if (!Add(node)) return false;
  current_ =
      static_cast<size_t>(std::find(nodes_.begin(), nodes_.end(), node) - nodes_.begin());
  return true;
}

Duration LeaderSearchPauses::Next(bool likely) {
  hurried_ = likely && !hurried_;
  if (hurried_) return Duration();
  return std::exchange(pause_, std::min(pause_ * 2, kLongest));
}

}  // namespace concordat
