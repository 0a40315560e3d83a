// Which cluster the coordinators belong to: asks one of them, once, and remembers.
#ifndef COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_
#define COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/client/coordinators.h"

namespace concordat::client {

// Loop thread only.
class ClusterLookup {
 public:
  ClusterLookup(Coordinators* coordinators, Duration time_limit)
      : coordinators_(coordinators), time_limit_(time_limit) {}
  ClusterLookup(const ClusterLookup&) = delete;
  ClusterLookup& operator=(const ClusterLookup&) = delete;

  // UNAVAILABLE: no coordinator answered in time, or none that speaks this protocol.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ClusterId>)>;
  void Find(Callback done);

 private:
  void OnAnswer(const wire::HelloReply& reply, const wire::Result& result);

  Coordinators* const coordinators_;
  const Duration time_limit_;
  ClusterId cluster_;
  std::vector<Callback> waiting_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_
