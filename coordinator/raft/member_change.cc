#include "coordinator/raft/member_change.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace concordat::raft {

namespace {

using Kind = MemberChange::Kind;

absl::Status CheckAdded(const Configuration& before, const MemberChange& change) {
  const uint64_t node = change.node.value();
  if (before.Find(change.node) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat("node ", node, " is a member already"));
  }
  if (before.WasRemoved(change.node)) {
    return absl::AlreadyExistsError(
        absl::StrCat("node ", node,
                     " was removed from this cluster, and the id of a removed node is "
                     "never used again: choose another id"));
  }
  if (before.members().size() >= kMaxMembers) {
    return absl::FailedPreconditionError(
        absl::StrCat("a cluster has at most ", kMaxMembers, " members"));
  }
  return absl::OkStatus();
}

absl::Status InRole(const Member& member, std::string_view already) {
  return absl::FailedPreconditionError(absl::StrCat("node ", member.node.value(), " is ",
                                                    std::string(already), " already"));
}

absl::Status Unchanged(const Member& member) {
  return absl::InvalidArgumentError(
      absl::StrCat("node ", member.node.value(), " has that address already"));
}

std::string Describe(const MemberChange& change) {
  std::string text = absl::StrCat(std::string(MemberChangeName(change.kind)), " node ",
                                  change.node.value());
  for (const std::string& address : {change.peer_address, change.client_address}) {
    if (!address.empty()) absl::StrAppend(&text, " ", address);
  }
  if (!change.record.empty()) absl::StrAppend(&text, ", ", change.record);
  return text.substr(0, kMaxLastChangeBytes);
}

// Changes the member; not for kAdd and kRemove.
absl::Status Change(const MemberChange& change, Member* member) {
  const Member before = *member;
  switch (change.kind) {
    case Kind::kPromote:
      member->role = MemberRole::kVoter;
      return before.role == MemberRole::kLearner ? absl::OkStatus()
                                                 : InRole(before, "a voter");
    case Kind::kDemote:
      member->role = MemberRole::kLearner;
      return before.role == MemberRole::kVoter ? absl::OkStatus()
                                               : InRole(before, "a learner");
    case Kind::kReplace:
      member->role = MemberRole::kLearner;
      if (!member->log.is_none()) member->lost_log = member->log;
      member->log = LogId();
      return absl::OkStatus();
    case Kind::kSetAddress:
      if (!change.peer_address.empty()) member->peer_address = change.peer_address;
      if (!change.client_address.empty()) member->client_address = change.client_address;
      return *member == before ? Unchanged(before) : absl::OkStatus();
    case Kind::kSetLog:
      member->log = change.log;
      return before.log.is_none() ? absl::OkStatus() : InRole(before, "one with a log");
    case Kind::kAdd:
    case Kind::kRemove:
      break;
  }
  return absl::InvalidArgumentError("not a change of a member");
}

}  // namespace

std::string_view MemberChangeName(MemberChange::Kind kind) {
  switch (kind) {
    case Kind::kAdd:
      return "add";
    case Kind::kPromote:
      return "promote";
    case Kind::kDemote:
      return "demote";
    case Kind::kRemove:
      return "remove";
    case Kind::kReplace:
      return "replace";
    case Kind::kSetAddress:
      return "address";
    case Kind::kSetLog:
      return "enter the log of";
  }
  return "?";
}

absl::StatusOr<Configuration> AfterChange(const Configuration& before,
                                          const MemberChange& change) {
  if (change.node.is_none()) return absl::InvalidArgumentError("node 0 is no node");
  if (std::max(change.peer_address.size(), change.client_address.size()) >
      kMaxAddressBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an address of more than ", kMaxAddressBytes, " bytes"));
  }
  std::vector<Member> members = before.members();
  std::vector<NodeId> removed = before.removed();
  if (change.kind == Kind::kAdd) {
    if (absl::Status s = CheckAdded(before, change); !s.ok()) return s;
    members.push_back({change.node,
                       MemberRole::kLearner,
                       change.log,
                       {},
                       change.peer_address,
                       change.client_address});
    return Configuration(std::move(members), before.cluster(), std::move(removed),
                         Describe(change));
  }
  const auto member =
      std::find_if(members.begin(), members.end(),
                   [&change](const Member& m) { return m.node == change.node; });
  if (member == members.end()) {
    return absl::NotFoundError(
        absl::StrCat("node ", change.node.value(), " is not a member"));
  }
  if (change.kind == Kind::kRemove && removed.size() >= kMaxRemoved) {
    return absl::FailedPreconditionError(absl::StrCat(
        kMaxRemoved,
        " members were removed from this cluster, and it remembers no more"));
  }
  if (change.kind == Kind::kRemove) {
    members.erase(member);
    removed.push_back(change.node);
  } else if (absl::Status s = Change(change, &*member); !s.ok()) {
    return s;
  }
  Configuration after(std::move(members), before.cluster(), std::move(removed),
                      Describe(change));
  if (after.voters().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "node ", change.node.value(), " is the only voter: promote another one first"));
  }
  return after;
}

}  // namespace concordat::raft
