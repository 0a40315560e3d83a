#include "coordinator/rpc/txn_wire.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace concordat::rpc {

namespace {

using wire::Code;

std::string WaitingFor(const std::vector<BranchId>& branches) {
  std::string text;
  for (const BranchId& branch : branches) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", ToString(branch));
  }
  return text;
}

Code::type CodeOf(txn::Refusal why) {
  if (why == txn::Refusal::kOverloaded) return Code::OVERLOADED;
  return why == txn::Refusal::kTooLate ? Code::TOO_LATE : Code::INVALID;
}

Code::type CodeOf(registry::Refusal why) {
  return why == registry::Refusal::kOverloaded ? Code::OVERLOADED : Code::INVALID;
}

struct ResultMaker {
  const std::string& leader;

  [[nodiscard]] wire::Result Hinting(Code::type code, std::string message) const {
    wire::Result result = MakeResult(code, std::move(message));
    if (!leader.empty()) result.__set_leader_hint(leader);
    return result;
  }
  template <class Reply>
  [[nodiscard]] wire::Result Refused(const Reply& reply) const {
    return Hinting(CodeOf(reply.why),
                   absl::StrCat(std::string(ToString(reply.why)), ": ", reply.detail));
  }
  wire::Result operator()(const txn::NotLeaderReply&) const {
    return Hinting(Code::NOT_LEADER, "this node does not lead");
  }
  wire::Result operator()(const txn::NotReadyReply&) const {
    return MakeResult(Code::NOT_READY,
                      "the new leader is not ready yet; ask again in a moment");
  }
  wire::Result operator()(const txn::UndecidedReply& reply) const {
    std::string text = "not decided yet";
    if (!reply.waiting_for.empty()) {
      absl::StrAppend(&text, "; no vote from: ", WaitingFor(reply.waiting_for));
    }
    return Hinting(Code::UNDECIDED, absl::StrCat(text, "; repeat the request"));
  }
  wire::Result operator()(const txn::NotStagedReply&) const {
    return MakeResult(Code::NOT_FOUND, "nobody has asked to commit this transaction");
  }
  wire::Result operator()(const txn::RefusedReply& reply) const { return Refused(reply); }
  wire::Result operator()(const registry::RefusedReply& reply) const {
    return Refused(reply);
  }
  wire::Result operator()(const registry::UndecidedReply&) const {
    return (*this)(txn::UndecidedReply{});
  }
  wire::Result operator()(const txn::ForgottenReply&) const {
    return MakeResult(Code::FORGOTTEN,
                      "the transaction is so old that its outcome, if it had one, was "
                      "dropped; it is not begun any more");
  }
  wire::Result operator()(const txn::HeuristicForgottenReply& reply) const {
    if (reply.was_on_record) return MakeResult(Code::OK);
    return MakeResult(Code::NOT_FOUND,
                      "no heuristic outcome of this branch is on record; nothing was "
                      "changed");
  }
  wire::Result operator()(const registry::ResourceRetiredReply& reply) const {
    if (reply.was_known) return MakeResult(Code::OK);
    return MakeResult(Code::NOT_FOUND, "there is no resource of this name");
  }
  template <class Other>
  wire::Result operator()(const Other&) const {
    return MakeResult(Code::OK);
  }
};

const char* StateName(const txn::TransactionView& view) {
  switch (view.state) {
    case txn::TxnState::kUnknown:
      return "unknown";
    case txn::TxnState::kEnlisted:
      return "enlisted";
    case txn::TxnState::kStaged:
      return "preparing";
    case txn::TxnState::kDecided:
      return view.outcome == Outcome::kCommitted ? "committing" : "aborting";
    case txn::TxnState::kEnded:
      return view.outcome == Outcome::kCommitted ? "committed" : "aborted";
    case txn::TxnState::kForgotten:
      return "forgotten";
  }
  return "unknown";
}

std::string BranchState(const txn::TransactionView& view, const txn::BranchView& branch) {
  if (branch.heuristic) {
    return absl::StrCat("heuristic ", std::string(ToString(*branch.heuristic)));
  }
  if (!branch.in_set) return "outside the set";
  const bool decided = view.outcome.has_value();
  if (decided && branch.acknowledged) {
    return *view.outcome == Outcome::kCommitted ? "committed" : "rolled back";
  }
  if (branch.vote) return std::string(ToString(*branch.vote));
  return branch.attempts > 0 ? "prepare sent" : "not sent by this node";
}

wire::BranchView ToWire(const txn::TransactionView& view, const txn::BranchView& branch) {
  wire::BranchView out;
  out.branch = ToWire(branch.id);
  out.state = BranchState(view, branch);
  out.__set_attempts(static_cast<int32_t>(branch.attempts));
  if (!branch.detail.empty()) out.__set_detail(branch.detail);
  return out;
}

}  // namespace

wire::BranchList MakeBranchList(ClusterId cluster,
                                const std::vector<BranchId>& branches) {
  wire::BranchList list;
  list.context = MakeContext(cluster);
  list.__set_decided(true);
  list.branches = ToWire(branches);
  return list;
}

wire::Result ToResult(const txn::Reply& reply, const std::string& leader) {
  return std::visit(ResultMaker{leader}, reply);
}

wire::Result ToResult(const registry::Reply& reply, const std::string& leader) {
  return std::visit(ResultMaker{leader}, reply);
}

wire::OutcomeReply ToOutcome(const txn::Reply& reply, const Gtid& gtid,
                             const std::string& leader) {
  wire::OutcomeReply out;
  out.result = ToResult(reply, leader);
  if (std::holds_alternative<txn::CommittedReply>(reply)) {
    out.__set_outcome(wire::Outcome::COMMITTED);
  } else if (const auto* aborted = std::get_if<txn::AbortedReply>(&reply)) {
    out.__set_outcome(wire::Outcome::ABORTED);
    out.__set_cause(ToWire(aborted->cause));
    out.__set_detail(aborted->detail);
  }
  if (out.result.__isset.message && !out.__isset.outcome) {
    out.result.message = absl::StrCat(ToString(gtid), ": ", out.result.message);
  }
  return out;
}

wire::TransactionView ToWire(const txn::TransactionView& view) {
  wire::TransactionView out;
  out.gtid = ToWire(view.gtid);
  out.state = StateName(view);
  const bool known =
      view.state == txn::TxnState::kStaged || view.state == txn::TxnState::kDecided;
  if (known) {
    out.__set_mode(ToWire(view.mode));
  }
  if (view.outcome) {
    out.__set_outcome(ToWire(*view.outcome));
    if (*view.outcome == Outcome::kAborted) out.__set_cause(ToWire(view.cause));
  }
  if (!view.detail.empty()) out.__set_detail(view.detail);
  std::vector<wire::BranchView> branches;
  std::vector<std::string> heuristics;
  for (const txn::BranchView& branch : view.branches) {
    branches.push_back(ToWire(view, branch));
  }
  for (const txn::HeuristicView& one : view.heuristics) {
    heuristics.push_back(absl::StrCat(ToString(one.branch), ": ",
                                      std::string(ToString(one.what)),
                                      one.detail.empty() ? "" : ", ", one.detail));
  }
  out.__set_branches(branches);
  out.__set_heuristics(heuristics);
  if (view.in_flight_here) out.__set_age_ms(view.age.millis());
  if (!view.waiting_for.empty()) out.__set_waiting_for(WaitingFor(view.waiting_for));
  return out;
}

}  // namespace concordat::rpc
