// ResourceUsers: what the registry asks and tells the state machine that uses resources,
// which is that of the transactions. The two know no more of each other.
#ifndef COORDINATOR_REGISTRY_RESOURCE_USERS_H_
#define COORDINATOR_REGISTRY_RESOURCE_USERS_H_

#include <optional>
#include <string_view>

#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"

namespace concordat::registry {

class ResourceUsers {
 public:
  virtual ~ResourceUsers() = default;
  // A transaction that has a branch at the resource, is not over and has not aborted.
  // None: no known transaction needs the resource. The answer must be the same on every
  // node after the same commands, since it decides whether a RETIRED record has an
  // effect.
  [[nodiscard]] virtual std::optional<Gtid> UserOf(std::string_view resource) const = 0;
  // Called at a ready leader: the resource can be reached again, or at another address.
  // Messages that wait for it are to be sent now.
  virtual void OnReachable(std::string_view resource, Timestamp now) = 0;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_RESOURCE_USERS_H_
