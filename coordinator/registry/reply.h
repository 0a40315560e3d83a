// What the registry answers, and what the asker then knows.
#ifndef COORDINATOR_REGISTRY_REPLY_H_
#define COORDINATOR_REGISTRY_REPLY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "coordinator/group/request.h"

namespace concordat::registry {

// The table now says what was asked for.
struct RegisteredReply {};

struct ResourceRetiredReply {
  bool was_known = true;  // false: there was no such name
};

// A record was proposed, and this node has lost leadership since. The record may still
// take effect. The caller asks again.
struct UndecidedReply {};

enum class Refusal : uint8_t {
  kBadRequest,      // the name is not valid, or a text is too long
  kOverloaded,      // there are too many resources, or the disk is full; try later
  kForeignCluster,  // the resource is of another cluster
  kOtherStore,      // the name belongs to another store
  kOlderStore,      // the store is an old copy of the one that has the name
  kQuarantined,     // the participant itself says that it does not serve the resource
  kInUse,           // the resource is served, or a transaction needs it
};
[[nodiscard]] std::string_view ToString(Refusal why);

// A ready leader has refused the request: it had no effect.
struct RefusedReply {
  Refusal why = Refusal::kBadRequest;
  std::string detail{};  // for operators: the reason, and what to do
};

using Reply = std::variant<RegisteredReply, ResourceRetiredReply, UndecidedReply,
                           RefusedReply, group::NotLeaderReply, group::NotReadyReply>;

struct Answer {
  group::RequestToken token{};
  Reply reply{};
};

// One line for operators and tests: "REFUSED in-use: ...".
[[nodiscard]] std::string Describe(const Reply& reply);

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REPLY_H_
