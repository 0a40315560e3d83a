// The requests of participants and operators to the registry. The caller chooses a token
// for each request, which gets exactly one answer with that token (reply.h): one that is
// named here, NotLeaderReply or NotReadyReply.
#ifndef COORDINATOR_REGISTRY_REQUEST_H_
#define COORDINATOR_REGISTRY_REQUEST_H_

#include <string>
#include <variant>

#include "coordinator/registry/record.h"

namespace concordat::registry {

// Registers a resource. It is also the heartbeat: when nothing has changed, nothing is
// written. Answers: RegisteredReply, RefusedReply, UndecidedReply.
struct RegisterResourceRequest {
  ResourceRecord resource{};
  // Why the participant does not serve the resource. Then the registration is refused,
  // and operators see the reason. Empty: the participant serves it.
  std::string quarantined{};
  // Why the participant cannot use the resource now. It is registered all the same.
  // Empty: the participant can use it.
  std::string unavailable{};
};

// An operator gives up a resource's name, because nobody serves it any more. The registry
// also forgets the store, so that any store may have the name later. Answers:
// ResourceRetiredReply, RefusedReply (kInUse: the resource is served, or a transaction
// needs it), UndecidedReply.
struct RetireResourceRequest {
  std::string name{};  // of the resource
  std::string by{};    // the operator
};

using Request = std::variant<RegisterResourceRequest, RetireResourceRequest>;

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REQUEST_H_
