#include "coordinator/base/cluster_key.h"

#include "absl/strings/str_cat.h"

namespace concordat {

std::string ToString(const ClusterKey& cluster) {
  return absl::StrCat(absl::Hex(cluster.high, absl::kZeroPad16),
                      absl::Hex(cluster.low, absl::kZeroPad16));
}

}  // namespace concordat
