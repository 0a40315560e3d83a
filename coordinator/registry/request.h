// What participants and operators ask of the registry. Each request comes with a token of
// the caller's choice and gets exactly one answer with it (reply.h): one of those named
// here, NotLeaderReply or NotReadyReply.
#ifndef COORDINATOR_REGISTRY_REQUEST_H_
#define COORDINATOR_REGISTRY_REQUEST_H_

#include <string>
#include <variant>

#include "coordinator/registry/record.h"

namespace concordat::registry {

// Also the heartbeat: repeated unchanged it writes nothing.
// RegisteredReply, RefusedReply, UndecidedReply.
struct RegisterResourceRequest {
  ResourceRecord resource{};
  // Why its participant does not serve it: it is listed so, and refused. Empty: it does.
  std::string quarantined{};
  // Why its participant cannot use it now; it is registered all the same. Empty: it can.
  std::string unavailable{};
};

// An operator gives a resource's name up: nobody serves it any more. What the registry
// knew of its store goes with it, so that any store may have the name later.
// ResourceRetiredReply, RefusedReply (kInUse: it is served, or a transaction needs it),
// UndecidedReply.
struct RetireResourceRequest {
  std::string name{};
  std::string by{};
};

using Request = std::variant<RegisterResourceRequest, RetireResourceRequest>;

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REQUEST_H_
