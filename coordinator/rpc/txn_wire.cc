#include "coordinator/rpc/txn_wire.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"

namespace concordat::rpc {

namespace {

using wire::Code;

int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }

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

struct ResultMaker {
  const std::string& leader;

  [[nodiscard]] wire::Result Hinting(Code::type code, std::string message) const {
    wire::Result result = MakeResult(code, std::move(message));
    if (!leader.empty()) result.__set_leader_hint(leader);
    return result;
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
  wire::Result operator()(const txn::RefusedReply& reply) const {
    return Hinting(CodeOf(reply.why), absl::StrCat(std::string(txn::ToString(reply.why)),
                                                   ": ", reply.detail));
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
  wire::Result operator()(const txn::ResourceRetiredReply& reply) const {
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
      return view.outcome == txn::Outcome::kCommitted ? "committing" : "aborting";
    case txn::TxnState::kEnded:
      return view.outcome == txn::Outcome::kCommitted ? "committed" : "aborted";
    case txn::TxnState::kForgotten:
      return "forgotten";
  }
  return "unknown";
}

std::string BranchState(const txn::TransactionView& view, const txn::BranchView& branch) {
  if (branch.heuristic) {
    return absl::StrCat("heuristic ", std::string(txn::ToString(*branch.heuristic)));
  }
  if (!branch.in_set) return "outside the set";
  const bool decided = view.outcome.has_value();
  if (decided && branch.acknowledged) {
    return *view.outcome == txn::Outcome::kCommitted ? "committed" : "rolled back";
  }
  if (branch.vote) return std::string(txn::ToString(*branch.vote));
  return branch.attempts > 0 ? "asked" : "not asked by this node";
}

wire::BranchView ToWire(const txn::TransactionView& view, const txn::BranchView& branch) {
  wire::BranchView out;
  out.branch = rpc::ToWire(branch.id);
  out.state = BranchState(view, branch);
  out.__set_attempts(static_cast<int32_t>(branch.attempts));
  if (!branch.detail.empty()) out.__set_detail(branch.detail);
  return out;
}

}  // namespace

wire::Gtid ToWire(const Gtid& gtid) {
  wire::Gtid out;
  out.group = static_cast<int32_t>(gtid.group.value());
  out.term = Signed(gtid.term.value());
  out.sequence = Signed(gtid.sequence);
  return out;
}

wire::BranchId ToWire(const BranchId& branch) {
  wire::BranchId out;
  out.gtid = ToWire(branch.gtid);
  out.resource = branch.resource;
  out.incarnation = Signed(branch.incarnation.value());
  out.number = Signed(branch.number);
  return out;
}

Gtid FromWire(const wire::Gtid& gtid) {
  return Gtid{GroupId(static_cast<uint32_t>(gtid.group)),
              Term(static_cast<uint64_t>(gtid.term)),
              static_cast<uint64_t>(gtid.sequence)};
}

absl::StatusOr<BranchId> FromWire(const wire::BranchId& branch) {
  if (!IsValidResourceName(branch.resource)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", branch.resource, "' is no resource name"));
  }
  return BranchId{FromWire(branch.gtid), branch.resource,
                  Incarnation(static_cast<uint64_t>(branch.incarnation)),
                  static_cast<uint64_t>(branch.number)};
}

absl::StatusOr<std::vector<BranchId>> FromWire(
    const std::vector<wire::BranchId>& branches) {
  std::vector<BranchId> out;
  out.reserve(branches.size());
  for (const wire::BranchId& branch : branches) {
    auto one = FromWire(branch);
    if (!one.ok()) return one.status();
    out.push_back(std::move(*one));
  }
  return out;
}

wire::AbortCause::type ToWire(txn::AbortCause cause) {
  switch (cause) {
    case txn::AbortCause::kRefused:
      return wire::AbortCause::REFUSED;
    case txn::AbortCause::kTimeout:
      return wire::AbortCause::TIMED_OUT;
    case txn::AbortCause::kNone:
    case txn::AbortCause::kClientRollback:
    case txn::AbortCause::kCancelled:
      return wire::AbortCause::ROLLED_BACK;
    case txn::AbortCause::kInquiry:
      return wire::AbortCause::PRESUMED;
    case txn::AbortCause::kOperator:
      return wire::AbortCause::OPERATOR;
    case txn::AbortCause::kCommittedAlone:
      return wire::AbortCause::COMMITTED_ALONE;
    case txn::AbortCause::kConflict:
      return wire::AbortCause::CONFLICT;
    case txn::AbortCause::kLost:
      return wire::AbortCause::LOST;
  }
  return wire::AbortCause::ROLLED_BACK;
}

txn::Vote FromWire(wire::Vote::type vote) {
  switch (vote) {
    case wire::Vote::PREPARED:
      return txn::Vote::kPrepared;
    case wire::Vote::READ_ONLY:
      return txn::Vote::kReadOnly;
    case wire::Vote::REFUSED:
      return txn::Vote::kRefused;
    case wire::Vote::COMMITTED_ALONE:
      return txn::Vote::kCommittedAlone;
    case wire::Vote::CONFLICT:
      return txn::Vote::kConflict;
    case wire::Vote::LOST:
      return txn::Vote::kLost;
    case wire::Vote::UNAVAILABLE:
      break;
  }
  return txn::Vote::kUnavailable;  // also a vote of a newer version: no vote at all
}

txn::AckResult FromWire(wire::FinishState::type state) {
  switch (state) {
    case wire::FinishState::DONE:
      return txn::AckResult::kDone;
    case wire::FinishState::HEURISTIC_COMMIT:
      return txn::AckResult::kHeuristicCommit;
    case wire::FinishState::HEURISTIC_ROLLBACK:
      return txn::AckResult::kHeuristicRollback;
    case wire::FinishState::HEURISTIC_MIXED:
      return txn::AckResult::kHeuristicMixed;
    case wire::FinishState::HEURISTIC_HAZARD:
      return txn::AckResult::kHeuristicHazard;
    case wire::FinishState::RETRY:
      break;
  }
  return txn::AckResult::kUnavailable;
}

wire::Result MakeResult(Code::type code, std::string message) {
  wire::Result result;
  result.code = code;
  if (!message.empty()) result.__set_message(message);
  return result;
}

wire::Result ToResult(const txn::Reply& reply, const std::string& leader) {
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
    out.__set_mode(view.mode == txn::Mode::kParallel ? wire::CommitMode::PARALLEL
                                                     : wire::CommitMode::DECIDED);
  }
  if (view.outcome) {
    const bool committed = *view.outcome == txn::Outcome::kCommitted;
    out.__set_outcome(committed ? wire::Outcome::COMMITTED : wire::Outcome::ABORTED);
    if (!committed) out.__set_cause(ToWire(view.cause));
  }
  if (!view.detail.empty()) out.__set_detail(view.detail);
  std::vector<wire::BranchView> branches;
  std::vector<std::string> heuristics;
  for (const txn::BranchView& branch : view.branches) {
    branches.push_back(ToWire(view, branch));
  }
  for (const txn::HeuristicView& one : view.heuristics) {
    heuristics.push_back(absl::StrCat(ToString(one.branch), ": ",
                                      std::string(txn::ToString(one.what)),
                                      one.detail.empty() ? "" : ", ", one.detail));
  }
  out.__set_branches(branches);
  out.__set_heuristics(heuristics);
  if (view.in_flight_here) out.__set_age_ms(view.age.millis());
  if (!view.waiting_for.empty()) out.__set_waiting_for(WaitingFor(view.waiting_for));
  return out;
}

}  // namespace concordat::rpc
