#include "thrift/rpc/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace concordat::rpc {

uint64_t RaiseDescriptorLimit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 0;
  const rlim_t soft = files.rlim_cur;
  files.rlim_cur = files.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_max : soft;
}

absl::StatusOr<DescriptorPlan> PlanDescriptors(uint64_t limit, uint64_t reserve,
                                               uint32_t most) {
  if (limit < reserve + kLeastConnections) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "this process may open ", limit, " files, and needs at least ",
        reserve + kLeastConnections,
        ": raise the limit (ulimit -n, or LimitNOFILE= of its systemd unit)"));
  }
  const uint64_t left = std::min<uint64_t>(limit - reserve, most);
  return DescriptorPlan{limit, reserve, static_cast<uint32_t>(left)};
}

}  // namespace concordat::rpc
