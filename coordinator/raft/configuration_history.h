// The configurations of one log: the one before its first entry, and those that its
// entries hold. The latest is in force, committed or not (thesis, section 4.1); when its
// entry is overwritten, the one before it is in force again.
//
//   base  | 12: +node 4 | 40: node 4 votes |
//
// Knows nothing of roles or commit. Not thread-safe.
#ifndef COORDINATOR_RAFT_CONFIGURATION_HISTORY_H_
#define COORDINATOR_RAFT_CONFIGURATION_HISTORY_H_

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"

namespace concordat::raft {

class ConfigurationHistory {
 public:
  // `base` is in force before any entry; `at` is the index of the snapshot that it comes
  // from, 0 for a new group.
  explicit ConfigurationHistory(Configuration base = {}, LogIndex at = {}) {
    by_index_.emplace(at, std::move(base));
  }

  [[nodiscard]] const Configuration& latest() const { return by_index_.rbegin()->second; }
  // The entry that holds the latest; the snapshot's, or 0, when no entry does.
  [[nodiscard]] LogIndex latest_index() const { return by_index_.rbegin()->first; }
  // The one that was in force at that entry, which must not be before the base's.
  [[nodiscard]] const Configuration& At(LogIndex index) const {
    return std::prev(by_index_.upper_bound(index))->second;
  }

  // Indexes grow.
  void Append(LogIndex index, Configuration configuration) {
    by_index_.emplace(index, std::move(configuration));
  }
  // The entry at `index` and all after it are gone.
  void TruncateFrom(LogIndex index) {
    by_index_.erase(by_index_.lower_bound(std::max(index, LogIndex(1))), by_index_.end());
  }
  // What was in force before the one at `index` is not asked for any more.
  void CompactTo(LogIndex index) {
    by_index_.erase(by_index_.begin(), std::prev(by_index_.upper_bound(index)));
  }

 private:
  std::map<LogIndex, Configuration> by_index_;  // never empty; the first is the base
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_CONFIGURATION_HISTORY_H_
