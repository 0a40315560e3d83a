// What is shown of a resource to operators and participants.
#ifndef COORDINATOR_REGISTRY_VIEW_H_
#define COORDINATOR_REGISTRY_VIEW_H_

#include <optional>
#include <string>

#include "coordinator/base/clock.h"
#include "coordinator/registry/record.h"

namespace concordat::registry {

struct ResourceView {
  ResourceRecord resource;  // as the table has it
  // How long ago its last heartbeat was. None: there was none since this node leads.
  std::optional<Duration> last_seen;
  bool silent = false;  // the last heartbeat was Options::silent_after ago, or longer
  // Why the last registration was refused, and how long ago. Empty: one was accepted
  // since, or none was refused since this node leads.
  std::string refused;
  Duration refused_ago;
  // Why the participant cannot use the resource now, as the last heartbeat said. Empty:
  // it can.
  std::string unavailable;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_VIEW_H_
