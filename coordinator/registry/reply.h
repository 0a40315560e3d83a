// What the registry answers, and what the asker then knows.
#ifndef COORDINATOR_REGISTRY_REPLY_H_
#define COORDINATOR_REGISTRY_REPLY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "coordinator/group/request.h"

namespace concordat::registry {

// The table says what was asked for.
struct RegisteredReply {};

struct ResourceRetiredReply {
  bool was_known = true;  // false: there was no such name
};

// A record was appended, and this node has stepped down since: it may still take effect
// under the next leader. Ask again.
struct UndecidedReply {};

enum class Refusal : uint8_t {
  kBadRequest,      // a bad name, a text that is too long
  kOverloaded,      // too many resources, or the disk is full; try later
  kForeignCluster,  // a resource of another cluster
  kOtherStore,      // the resource's name belongs to another store
  kOlderStore,      // the store is an old copy of the one that has the name
  kQuarantined,     // its participant says itself that it does not serve the resource
  kInUse,           // a resource that is served, or that a transaction needs
};
[[nodiscard]] std::string_view ToString(Refusal why);

// A ready leader's answer: not done and without effect, for the reason given.
struct RefusedReply {
  Refusal why = Refusal::kBadRequest;
  std::string detail{};
};

using Reply = std::variant<RegisteredReply, ResourceRetiredReply, UndecidedReply,
                           RefusedReply, group::NotLeaderReply, group::NotReadyReply>;

struct Answer {
  group::RequestToken token{};
  Reply reply{};
};

// One line for operators and for comparing: "REFUSED in-use: ...".
[[nodiscard]] std::string Describe(const Reply& reply);

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REPLY_H_
