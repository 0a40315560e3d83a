#include "coordinator/registry/reply.h"

#include "absl/strings/str_cat.h"

namespace concordat::registry {

namespace {

std::string Text(const RegisteredReply&) { return "REGISTERED"; }
std::string Text(const ResourceRetiredReply& reply) {
  return reply.was_known ? "RETIRED" : "NO_SUCH_RESOURCE";
}
std::string Text(const UndecidedReply&) { return "UNDECIDED"; }
std::string Text(const group::NotLeaderReply&) { return "NOT_LEADER"; }
std::string Text(const group::NotReadyReply&) { return "NOT_READY"; }
std::string Text(const RefusedReply& reply) {
  return absl::StrCat("REFUSED ", std::string(ToString(reply.why)),
                      reply.detail.empty() ? "" : ": ", reply.detail);
}

}  // namespace

std::string_view ToString(Refusal why) {
  switch (why) {
    case Refusal::kBadRequest:
      return "bad-request";
    case Refusal::kOverloaded:
      return "overloaded";
    case Refusal::kForeignCluster:
      return "foreign-cluster";
    case Refusal::kOtherStore:
      return "other-store";
    case Refusal::kOlderStore:
      return "older-store";
    case Refusal::kQuarantined:
      return "quarantined";
    case Refusal::kInUse:
      return "in-use";
  }
  return "?";
}

std::string Describe(const Reply& reply) {
  return std::visit([](const auto& r) { return Text(r); }, reply);
}

}  // namespace concordat::registry
