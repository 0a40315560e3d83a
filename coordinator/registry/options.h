// Times and limits of the registry. The defaults are those of the daemon.
#ifndef COORDINATOR_REGISTRY_OPTIONS_H_
#define COORDINATOR_REGISTRY_OPTIONS_H_

#include <cstddef>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"

namespace concordat::registry {

struct Options {
  // Resources of another cluster are refused. 0: any.
  ClusterId cluster;
  // A resource whose registration comes again after this long was cut off or stopped:
  // what waits for it is sent at once. More than two heartbeats.
  Duration silence = Duration::Millis(2500);
  // A resource without a heartbeat for this long is taken for not served.
  Duration silent_after = Duration::Seconds(5);
  size_t max_resources = 4096;

  // Until a new leader is ready: how long and how many requests may wait.
  Duration not_ready_wait = Duration::Seconds(2);
  size_t max_not_ready = 20'000;
  // So many of those that have waited are dealt with for one output.
  size_t max_work_per_output = 1000;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_OPTIONS_H_
