// The requests of clients and participants to a simulated coordinator node, and its
// answers.
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/simulation/coordinator_node.h"

namespace concordat::simulation {

void CoordinatorNode::Submit(PendingRequest pending, txn::Request request) {
  const txn::RequestToken token(++last_token_);
  pending.asked_a_leader = transactions().is_ready();
  pending.decided_before = checks_.judge->DecisionOf(pending.gtid).has_value();
  requests_[token] = std::move(pending);
  Handle(txn::SubmittedRequest{token, std::move(request)});
}

// As the service does: nodes other than the leader send the caller on. Some nodes are of
// an older version and refuse at once.
template <class Reply>
bool CoordinatorNode::RefuseVersion(const Packet& packet) {
  if (!other_version_) return false;
  world_->rare().Add(Rare::kOtherVersion);
  Reply reply;
  const bool leads = transactions().is_ready();
  if (leads || random_.Percent(50)) reply.code = Code::kVersion;
  if constexpr (std::is_same_v<Reply, OutcomeReply>) reply.leads = leads;
  world_->Send(process_, packet.from, packet.call, std::move(reply));
  return true;
}

void CoordinatorNode::Handle(const Packet& packet, const BeginCall& call) {
  if (RefuseVersion<BeginReply>(packet)) return;
  Submit({packet.from, packet.call, {}, {}, nullptr, 0, nullptr, false},
         txn::AllocateGtidsRequest{call.count});
}

void CoordinatorNode::Handle(const Packet& packet, const CommitCall& call) {
  if (RefuseVersion<OutcomeReply>(packet)) return;
  Submit({packet.from, packet.call, call.gtid, {}, nullptr, 0, nullptr, false},
         txn::CommitRequest{call.gtid, call.branches, call.mode,
                            Duration::Millis(static_cast<int64_t>(call.timeout_ms)),
                            call.prepared});
}

void CoordinatorNode::Handle(const Packet& packet, const RollbackCall& call) {
  if (RefuseVersion<OutcomeReply>(packet)) return;
  txn::RollbackRequest request;
  request.gtid = call.gtid;
  request.branches = call.branches;
  Submit({packet.from, packet.call, call.gtid, {}, nullptr, 0, nullptr, false},
         std::move(request));
}

void CoordinatorNode::Handle(const Packet& packet, const OutcomeCall& call) {
  if (RefuseVersion<OutcomeReply>(packet)) return;
  Submit({packet.from, packet.call, call.gtid, {}, nullptr, 0, nullptr, false},
         txn::OutcomeRequest{call.gtid, true});
}

void CoordinatorNode::Handle(const Packet& packet, const EnlistCall& call) {
  if (RefuseVersion<EnlistReply>(packet)) return;
  Submit({packet.from, packet.call, call.branch.gtid, call.branch, nullptr, 0, nullptr,
          false},
         txn::EnlistRequest{call.branch});
}

void CoordinatorNode::Handle(const Packet& packet, const InquiryCall& call) {
  auto reply = std::make_shared<InquiryReply>();
  reply->items.resize(call.branches.size());
  auto missing = std::make_shared<size_t>(call.branches.size());
  for (size_t i = 0; i < call.branches.size(); ++i) {
    const BranchId& branch = call.branches[i];
    reply->items[i].branch = branch;
    Submit({packet.from, packet.call, branch.gtid, branch, reply, i, missing, false},
           txn::InquireRequest{branch});
  }
}

void CoordinatorNode::Handle(const Packet& packet, const RegisterCall& call) {
  registry::ResourceRecord resource;
  resource.name = call.resource;
  resource.address = absl::StrCat("sim:", packet.from.value());
  resource.kind = "simulated";
  resource.incarnation = call.incarnation;
  const group::RequestToken token(++last_token_);
  PendingRequest pending{packet.from, packet.call, {}, {}, nullptr, 0, nullptr, false};
  pending.asked_a_leader = transactions().is_ready();
  requests_[token] = std::move(pending);
  machines_->of_coordinator.registry().Submit(
      token, registry::RegisterResourceRequest{std::move(resource)}, replica_->now());
}

OutcomeReply CoordinatorNode::ToOutcomeReply(const PendingRequest& pending,
                                             const txn::Reply& reply) {
  const Gtid& gtid = pending.gtid;
  OutcomeReply out;
  out.leads = transactions().is_ready();
  if (std::holds_alternative<txn::CommittedReply>(reply)) {
    out.code = Code::kOk;
    out.outcome = Outcome::kCommitted;
    checks_.judge->OnOutcomeSent(id(), gtid, out.outcome);
  } else if (const auto* aborted = std::get_if<txn::AbortedReply>(&reply)) {
    out.code = Code::kOk;
    out.outcome = Outcome::kAborted;
    out.cause = aborted->cause;
    checks_.judge->OnOutcomeSent(id(), gtid, out.outcome);
  } else if (std::holds_alternative<txn::ForgottenReply>(reply)) {
    out.code = Code::kForgotten;
    world_->rare().Add(Rare::kForgottenAnswer);
  } else if (std::holds_alternative<txn::UndecidedReply>(reply)) {
    out.code = Code::kUndecided;
    if (!out.leads) world_->rare().Add(Rare::kBegunAndLeft);
  } else if (std::holds_alternative<txn::NotStagedReply>(reply)) {
    out.code = Code::kNotFound;
    world_->rare().Add(Rare::kNotStagedAnswer);
    if (pending.decided_before) {
      world_->Fail(absl::StrCat("node ", id().value(), " knows nothing of ",
                                ToString(gtid),
                                ", which was decided before it was asked"));
    }
  } else if (std::holds_alternative<txn::NotLeaderReply>(reply)) {
    out.code = Code::kNotLeader;
  } else if (std::holds_alternative<txn::NotReadyReply>(reply)) {
    out.code = Code::kNotReady;
  } else if (const auto* refused = std::get_if<txn::RefusedReply>(&reply)) {
    out.code = RefusedCode(pending, refused->why == txn::Refusal::kOverloaded);
  }
  return out;
}

// Only a ready leader can tell whether the transaction is new or has begun.
Code CoordinatorNode::RefusedCode(const PendingRequest& pending, bool overloaded) {
  if (!overloaded) return Code::kInvalid;
  world_->rare().Add(Rare::kOverloaded);
  if (!pending.asked_a_leader && !transactions().is_ready()) {
    world_->Fail(absl::StrCat("node ", id().value(),
                              " refuses work for want of room and does not lead"));
  }
  return Code::kOverloaded;
}

void CoordinatorNode::AnswerInquiry(const PendingRequest& pending,
                                    const txn::Reply& reply) {
  InquiryItem& item = pending.inquiry->items[pending.inquiry_position];
  RarePaths& rare = world_->rare();
  if (const auto* answer = std::get_if<txn::InquiryReply>(&reply)) {
    item.code = Code::kOk;
    item.answer = answer->answer;
    switch (item.answer) {
      case InquiryAnswer::kCommit:
        checks_.judge->OnFateSent(id(), pending.branch, true);
        rare.Add(Rare::kInquiryCommit);
        break;
      case InquiryAnswer::kRollback:
        checks_.judge->OnFateSent(id(), pending.branch, false);
        rare.Add(Rare::kInquiryRollback);
        if (checks_.judge->DecisionOf(pending.gtid) == Outcome::kCommitted) {
          rare.Add(Rare::kInquiryOutsideSet);
        }
        break;
      case InquiryAnswer::kWait:
        rare.Add(Rare::kInquiryWait);
        break;
    }
  } else if (const auto* refused = std::get_if<txn::RefusedReply>(&reply)) {
    item.code = RefusedCode(pending, refused->why == txn::Refusal::kOverloaded);
  } else {
    item.code = Code::kNotLeader;
    rare.Add(Rare::kInquiryNotLeader);
  }
  if (--*pending.inquiry_missing == 0) {
    world_->Send(process_, pending.from, pending.call, *pending.inquiry);
  }
}

std::optional<CoordinatorNode::PendingRequest> CoordinatorNode::TakePending(
    group::RequestToken token) {
  ObserveApplied();
  const auto it = requests_.find(token);
  if (it == requests_.end()) {
    world_->Fail("a request was answered twice, or never asked");
    return std::nullopt;
  }
  std::optional<PendingRequest> pending = std::move(it->second);
  requests_.erase(it);
  return pending;
}

void CoordinatorNode::Answer(const registry::Answer& answer) {
  const auto pending = TakePending(answer.token);
  if (!pending) return;
  if (std::holds_alternative<registry::RegisteredReply>(answer.reply)) {
    world_->Send(process_, pending->from, pending->call,
                 RegisterReply{true, transactions().table().watermark()});
    return;
  }
  const auto* refused = std::get_if<registry::RefusedReply>(&answer.reply);
  const Code code =
      refused == nullptr
          ? Code::kNotLeader
          : RefusedCode(*pending, refused->why == registry::Refusal::kOverloaded);
  world_->Send(process_, pending->from, pending->call, OutcomeReply{code});
}

void CoordinatorNode::Answer(txn::Answer answer) {
  const auto taken = TakePending(answer.token);
  if (!taken) return;
  const PendingRequest& pending = *taken;
  if (pending.inquiry != nullptr) {
    AnswerInquiry(pending, answer.reply);
  } else if (const auto* block = std::get_if<txn::GtidBlockReply>(&answer.reply)) {
    world_->Send(process_, pending.from, pending.call,
                 BeginReply{Code::kOk, block->first, block->count});
  } else if (!pending.branch.gtid.is_none()) {
    EnlistReply reply;
    if (std::holds_alternative<txn::EnlistedReply>(answer.reply)) {
      reply.code = Code::kOk;
      checks_.judge->OnEnlistmentConfirmed(pending.branch);
    } else if (std::holds_alternative<txn::UndecidedReply>(answer.reply)) {
      reply.code = Code::kUndecided;
    } else if (std::holds_alternative<txn::NotReadyReply>(answer.reply)) {
      reply.code = Code::kNotReady;
    } else if (const auto* refused = std::get_if<txn::RefusedReply>(&answer.reply)) {
      reply.code = RefusedCode(pending, refused->why == txn::Refusal::kOverloaded);
      if (reply.code == Code::kInvalid) {
        reply.code = Code::kBranchGone;
        world_->rare().Add(Rare::kEnlistTooLate);
      }
    }
    world_->Send(process_, pending.from, pending.call, reply);
  } else if (!pending.gtid.is_none()) {
    world_->Send(process_, pending.from, pending.call,
                 ToOutcomeReply(pending, answer.reply));
  } else {
    const auto* refused = std::get_if<txn::RefusedReply>(&answer.reply);
    const Code code =
        refused == nullptr
            ? Code::kNotLeader
            : RefusedCode(pending, refused->why == txn::Refusal::kOverloaded);
    world_->Send(process_, pending.from, pending.call, OutcomeReply{code});
  }
}

void CoordinatorNode::Handle(const Packet& packet, const CounterCall& call) {
  const uint64_t token = ++last_token_;
  counts_[token] = {packet.from, packet.call, call.operation};
  if (call.operation.empty()) {
    machines_->counters.Read(token, call.name);
  } else {
    checks_.counters->OnAsked(call.operation);
    machines_->counters.Add(token, call.name, call.amount, call.operation);
  }
}

void CoordinatorNode::Answer(const testing::CounterAnswer& answer) {
  ObserveApplied();
  const auto it = counts_.find(answer.token);
  if (it == counts_.end()) {
    world_->Fail("a count was answered twice, or never asked");
    return;
  }
  const PendingCount pending = std::move(it->second);
  counts_.erase(it);
  CounterReply reply{Code::kOk, answer.value};
  switch (answer.kind) {
    case testing::CounterAnswer::Kind::kDone:
      world_->rare().Add(pending.operation.empty() ? Rare::kCounterRead
                                                   : Rare::kCounterAdded);
      break;
    case testing::CounterAnswer::Kind::kNotBegun:
      reply.code = Code::kNotLeader;
      if (!pending.operation.empty()) checks_.counters->OnNotBegun(pending.operation);
      break;
    case testing::CounterAnswer::Kind::kUnknown:
      reply.code = Code::kUndecided;
      world_->rare().Add(Rare::kCounterUnknown);
      break;
  }
  world_->Send(process_, pending.from, pending.call, reply);
}

}  // namespace concordat::simulation
