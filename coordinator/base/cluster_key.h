// The whole id of a cluster. ids.h has the short form.
#ifndef COORDINATOR_BASE_CLUSTER_KEY_H_
#define COORDINATOR_BASE_CLUSTER_KEY_H_

#include <cstdint>
#include <string>

#include "coordinator/base/ids.h"

namespace concordat {

// A cluster's id: 128 bits, drawn at random by its first leader (raft.h). Its name is
// for operators.
struct ClusterKey {
  uint64_t high = 0;  // not 0, but for none
  uint64_t low = 0;

  [[nodiscard]] constexpr bool is_none() const { return high == 0 && low == 0; }
  [[nodiscard]] constexpr ClusterId Short() const { return ClusterId(high); }

  friend constexpr bool operator==(const ClusterKey&, const ClusterKey&) = default;
};
// 32 hexadecimal digits.
[[nodiscard]] std::string ToString(const ClusterKey& cluster);

}  // namespace concordat

#endif  // COORDINATOR_BASE_CLUSTER_KEY_H_
