// Times and limits of the registry. The defaults are those of the daemon.
#ifndef COORDINATOR_REGISTRY_OPTIONS_H_
#define COORDINATOR_REGISTRY_OPTIONS_H_

#include <cstddef>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"

namespace concordat::registry {

struct Options {
  // This cluster: resources of other clusters are refused. 0: none is refused for that.
  ClusterId cluster;
  // If there was no heartbeat of a resource for longer than this, its participant was cut
  // off or stopped: with the next one, what waits for the resource is sent at once. It is
  // more than two intervals of heartbeats.
  Duration silence = Duration::Millis(2500);
  // A resource without a heartbeat for this long counts as not served.
  Duration silent_after = Duration::Seconds(5);
  size_t max_resources = 4096;  // in the table

  // How long, and how many, requests may wait until a new leader is ready.
  Duration not_ready_wait = Duration::Seconds(2);
  size_t max_not_ready = 20'000;
  // How many of the requests that have waited are handled before the output is taken.
  size_t max_work_per_output = 1000;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_OPTIONS_H_
