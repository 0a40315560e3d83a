// The calls about the members of the cluster.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/rpc/coordinator_service.h"
#include "coordinator/rpc/txn_wire.h"
#include "thrift/rpc/address.h"

namespace concordat::rpc {

namespace {

using wire::Code;
using wire::MemberAction;
using Kind = raft::MemberChange::Kind;

int64_t AsSigned(uint64_t value) { return static_cast<int64_t>(value); }

wire::MemberInfo ToInfo(const raft::Member& member) {
  wire::MemberInfo info;
  info.node = AsSigned(member.node.value());
  info.role = member.role == raft::MemberRole::kVoter ? wire::MemberRole::VOTER
                                                      : wire::MemberRole::LEARNER;
  info.peer_address = member.peer_address;
  info.client_address = member.client_address;
  if (!member.log.is_none()) info.__set_log(AsSigned(member.log.value()));
  return info;
}

std::vector<int64_t> ToNumbers(const std::vector<NodeId>& nodes) {
  std::vector<int64_t> numbers;
  for (const NodeId node : nodes) numbers.push_back(AsSigned(node.value()));
  return numbers;
}

absl::StatusOr<Kind> KindOf(MemberAction::type action) {
  switch (action) {
    case MemberAction::ADD:
      return Kind::kAdd;
    case MemberAction::PROMOTE:
      return Kind::kPromote;
    case MemberAction::DEMOTE:
      return Kind::kDemote;
    case MemberAction::REMOVE:
      return Kind::kRemove;
    case MemberAction::REPLACE:
      return Kind::kReplace;
    case MemberAction::ADDRESS:
      return Kind::kSetAddress;
    case MemberAction::TRANSFER:
      break;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("action ", static_cast<int>(action), " is not known"));
}

absl::Status CheckAddresses(const wire::ChangeMemberRequest& request) {
  for (const std::string& address : {request.peer_address, request.client_address}) {
    if (address.empty()) continue;
    if (const auto parsed = Address::Parse(address); !parsed.ok()) {
      return parsed.status();
    }
  }
  const bool both = !request.peer_address.empty() && !request.client_address.empty();
  if (request.action == MemberAction::ADD && !both) {
    return absl::InvalidArgumentError(
        "a new member needs an address for the other nodes and one for clients");
  }
  return absl::OkStatus();
}

absl::StatusOr<MemberRequest> ToRequest(const wire::ChangeMemberRequest& in) {
  MemberRequest request;
  request.force = in.__isset.force && in.force;
  request.dry_run = in.__isset.dry_run && in.dry_run;
  if (request.force && in.reason.empty()) {
    return absl::InvalidArgumentError("force needs a reason, which is recorded");
  }
  const NodeId node(static_cast<uint64_t>(in.node));
  if (in.action == MemberAction::TRANSFER) {
    request.transfer_to = node;
    return request;
  }
  const auto kind = KindOf(in.action);
  if (!kind.ok()) return kind.status();
  if (absl::Status s = CheckAddresses(in); !s.ok()) return s;
  raft::MemberChange change;
  change.kind = *kind;
  change.node = node;
  change.peer_address = in.peer_address;
  change.client_address = in.client_address;
  change.record = absl::StrCat("by ", in.by, request.force ? ", forced" : "",
                               in.reason.empty() ? "" : ": ", in.reason);
  request.change = std::move(change);
  return request;
}

Code::type CodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return Code::OK;
    case absl::StatusCode::kUnknown:
      return Code::UNDECIDED;
    case absl::StatusCode::kUnavailable:
      return Code::NOT_READY;
    case absl::StatusCode::kAborted:
      return Code::CONDITION_FAILED;
    case absl::StatusCode::kNotFound:
      return Code::NOT_FOUND;
    default:
      return Code::INVALID;
  }
}

wire::ChangeMemberReply ToReply(const MemberReply& in, const std::string& leader) {
  wire::ChangeMemberReply reply;
  reply.result = MakeResult(CodeOf(in.status), std::string(in.status.message()));
  if (!leader.empty()) reply.result.__set_leader_hint(leader);
  if (in.plan.has_value()) {
    std::vector<wire::MemberInfo> members;
    for (const raft::Member& member : in.plan->after.members()) {
      members.push_back(ToInfo(member));
    }
    reply.__set_members(members);
    reply.__set_quorum(static_cast<int32_t>(in.plan->after.QuorumSize()));
    reply.__set_live_voters(ToNumbers(in.plan->live_voters));
  }
  if (!in.index.is_none()) reply.__set_index(AsSigned(in.index.value()));
  return reply;
}

}  // namespace

void CoordinatorServiceHandler::members(Cob<wire::MembersReply> cob,
                                        const wire::CallContext& context) {
  wire::MembersReply reply;
  reply.result = CheckContext(context);
  if (reply.result.code != Code::OK) return cob(reply);
  const MembersView view = backend_->Members();
  std::vector<wire::MemberInfo> members;
  for (const raft::Member& member : view.members.members()) {
    wire::MemberInfo& info = members.emplace_back(ToInfo(member));
    const auto peer = view.peers.find(member.node);
    if (peer == view.peers.end()) continue;
    info.__set_live(peer->second.live);
    info.__set_caught_up(peer->second.caught_up);
    info.__set_match_index(AsSigned(peer->second.match.value()));
  }
  reply.__set_members(members);
  reply.__set_index(AsSigned(view.index.value()));
  reply.__set_committed(view.committed);
  reply.__set_removed(ToNumbers(view.members.removed()));
  reply.__set_last_change(view.members.last_change());
  reply.__set_node(AsSigned(backend_->node().value()));
  reply.__set_leader(AsSigned(backend_->leader().value()));
  cob(reply);
}

void CoordinatorServiceHandler::changeMember(Cob<wire::ChangeMemberReply> cob,
                                             const wire::ChangeMemberRequest& request) {
  wire::ChangeMemberReply reply;
  reply.result = CheckForLeader(request.context);
  if (reply.result.code == Code::OK && !backend_->is_ready_leader()) {
    const bool leads = backend_->leader() == backend_->node();
    reply.result = MakeResult(leads ? Code::NOT_READY : Code::NOT_LEADER);
    if (const std::string leader = LeaderAddress(); !leader.empty()) {
      reply.result.__set_leader_hint(leader);
    }
  }
  if (reply.result.code != Code::OK) return cob(reply);
  const auto change = ToRequest(request);
  if (!change.ok()) {
    reply.result = MakeResult(Code::INVALID, std::string(change.status().message()));
    return cob(reply);
  }
  backend_->Submit(*change, [this, cob = std::move(cob)](const MemberReply& done) {
    cob(ToReply(done, LeaderAddress()));
  });
}

}  // namespace concordat::rpc
