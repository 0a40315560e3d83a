// Asks a coordinator once to which cluster it belongs, and keeps the answer.
#ifndef COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_
#define COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/client/coordinators.h"

namespace concordat::client {

// For the loop's thread.
class ClusterLookup {
 public:
  ClusterLookup(Coordinators* coordinators, Duration time_limit)
      : coordinators_(coordinators), time_limit_(time_limit) {}
  ClusterLookup(const ClusterLookup&) = delete;
  ClusterLookup& operator=(const ClusterLookup&) = delete;

  // UNAVAILABLE: no coordinator of this protocol version has answered in time.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ClusterId>)>;
  void Find(Callback done);

 private:
  void OnAnswer(const wire::HelloReply& reply, const wire::Result& result);

  Coordinators* const coordinators_;
  const Duration time_limit_;      // of the question
  ClusterId cluster_;              // none: not known yet
  std::vector<Callback> waiting_;  // not empty while a question is under way
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CLUSTER_LOOKUP_H_
