// The full id of a cluster. ids.h has the short form, ClusterId.
#ifndef COORDINATOR_BASE_CLUSTER_KEY_H_
#define COORDINATOR_BASE_CLUSTER_KEY_H_

#include <cstdint>
#include <string>

#include "coordinator/base/ids.h"

namespace concordat {

// A cluster's id: 128 random bits, chosen by the cluster's first leader (raft.h). The
// cluster's name serves only operators.
struct ClusterKey {
  uint64_t high = 0;  // never 0 in an id
  uint64_t low = 0;

  [[nodiscard]] constexpr bool is_none() const { return high == 0 && low == 0; }
  [[nodiscard]] constexpr ClusterId Short() const { return ClusterId(high); }

  friend constexpr bool operator==(const ClusterKey&, const ClusterKey&) = default;
};
// 32 hexadecimal digits.
[[nodiscard]] std::string ToString(const ClusterKey& cluster);

}  // namespace concordat

#endif  // COORDINATOR_BASE_CLUSTER_KEY_H_
