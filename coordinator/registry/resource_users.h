// ResourceUsers: what the registry needs of those that use resources, and tells them. The
// two state machines know no more of each other.
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
  // A transaction that is not over, has not aborted, and has a branch at the resource.
  // None: nothing that is known needs the resource. The answer must be the same on every
  // node after the same commands: it decides whether a RETIRED record has an effect.
  [[nodiscard]] virtual std::optional<Gtid> UserOf(std::string_view resource) const = 0;
  // Told by a ready leader: the resource can be reached again, or in another place. What
  // waits for it is due now.
  virtual void OnReachable(std::string_view resource, Timestamp now) = 0;
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_RESOURCE_USERS_H_
