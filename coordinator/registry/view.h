// What operators and participants are shown of a resource.
#ifndef COORDINATOR_REGISTRY_VIEW_H_
#define COORDINATOR_REGISTRY_VIEW_H_

#include <optional>
#include <string>

#include "coordinator/base/clock.h"
#include "coordinator/registry/record.h"

namespace concordat::registry {

struct ResourceView {
  ResourceRecord resource;
  std::optional<Duration> last_seen;  // ago; none if not since this leader began
  bool silent = false;  // it was seen, and that is Options::silent_after ago
  // Why the last registration was refused, and how long ago; empty when one was accepted
  // since, or none was refused since this leader began.
  std::string refused;
  Duration refused_ago;
  // Why its participant cannot use it now, as the last heartbeat said. Empty: it can.
  std::string unavailable;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_VIEW_H_
