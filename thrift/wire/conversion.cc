#include "thrift/wire/conversion.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/base/check.h"
#include "coordinator/base/signed.h"

namespace concordat {

namespace {

// The numbers are the same on both sides, and begin at 1 on the wire.
template <class Enum>
Enum KnownOr(int number, Enum last, Enum otherwise) {
  return number >= 1 && number <= static_cast<int>(last) ? static_cast<Enum>(number)
                                                         : otherwise;
}

}  // namespace

wire::Gtid ToWire(const Gtid& gtid) {
  wire::Gtid out;
  out.group = static_cast<int32_t>(gtid.group.value());
  out.term = Signed(gtid.term);
  out.sequence = Signed(gtid.sequence);
  return out;
}

wire::BranchId ToWire(const BranchId& branch) {
  wire::BranchId out;
  out.gtid = ToWire(branch.gtid);
  out.resource = branch.resource;
  out.incarnation = Signed(branch.incarnation);
  out.number = Signed(branch.number);
  return out;
}

std::vector<wire::BranchId> ToWire(const std::vector<BranchId>& branches) {
  std::vector<wire::BranchId> out;
  out.reserve(branches.size());
  for (const BranchId& branch : branches) out.push_back(ToWire(branch));
  return out;
}

wire::CommitMode::type ToWire(CommitMode mode) {
  return static_cast<wire::CommitMode::type>(mode);
}

wire::Outcome::type ToWire(Outcome outcome) {
  CONCORDAT_CHECK(outcome != Outcome::kUnknown);
  return static_cast<wire::Outcome::type>(outcome);
}

wire::AbortCause::type ToWire(AbortCause cause) {
  CONCORDAT_CHECK(cause != AbortCause::kNone);
  return static_cast<wire::AbortCause::type>(cause);
}

wire::Vote::type ToWire(Vote vote) { return static_cast<wire::Vote::type>(vote); }

wire::FinishState::type ToWire(FinishState state) {
  return static_cast<wire::FinishState::type>(state);
}

wire::InquiryAnswer::type ToWire(InquiryAnswer answer) {
  return static_cast<wire::InquiryAnswer::type>(answer);
}

wire::CallContext MakeContext(ClusterId cluster) {
  wire::CallContext context;
  context.version = wire::g_types_constants.PROTOCOL_VERSION;
  if (!cluster.is_none()) context.__set_cluster(Signed(cluster));
  return context;
}

namespace wire {

absl::StatusOr<concordat::Gtid> FromWire(const Gtid& gtid) {
  if (gtid.group <= 0 || gtid.term <= 0 || gtid.sequence <= 0) {
    return absl::InvalidArgumentError("not a gtid: a part of it is not positive");
  }
  return concordat::Gtid{GroupId(static_cast<uint32_t>(gtid.group)),
                         Term(Unsigned(gtid.term)), Unsigned(gtid.sequence)};
}

absl::StatusOr<concordat::BranchId> FromWire(const BranchId& branch) {
  const absl::StatusOr<concordat::Gtid> gtid = FromWire(branch.gtid);
  if (!gtid.ok()) return gtid.status();
  if (!IsValidResourceName(branch.resource)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", branch.resource, "' is no resource name"));
  }
  if (branch.number <= 0) {
    return absl::InvalidArgumentError("not a branch id: its number is not positive");
  }
  return concordat::BranchId{*gtid, branch.resource,
                             Incarnation(Unsigned(branch.incarnation)),
                             Unsigned(branch.number)};
}

absl::StatusOr<std::vector<concordat::BranchId>> FromWire(
    const std::vector<BranchId>& branches) {
  std::vector<concordat::BranchId> out;
  out.reserve(branches.size());
  for (const BranchId& branch : branches) {
    auto one = FromWire(branch);
    if (!one.ok()) return one.status();
    out.push_back(*std::move(one));
  }
  return out;
}

absl::StatusOr<concordat::CommitMode> FromWire(CommitMode::type mode) {
  using concordat::CommitMode;
  if (mode < 1 || mode > static_cast<int>(CommitMode::kParallel)) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no mode ", static_cast<int>(mode)));
  }
  return static_cast<CommitMode>(mode);
}

concordat::Outcome FromWire(Outcome::type outcome) {
  using concordat::Outcome;
  return KnownOr(outcome, Outcome::kAborted, Outcome::kUnknown);
}

concordat::AbortCause FromWire(AbortCause::type cause) {
  using concordat::AbortCause;
  return KnownOr(cause, kLastAbortCause, AbortCause::kNone);
}

concordat::Vote FromWire(Vote::type vote) {
  using concordat::Vote;
  return KnownOr(vote, Vote::kLost, Vote::kUnavailable);
}

concordat::FinishState FromWire(FinishState::type state) {
  using concordat::FinishState;
  return KnownOr(state, FinishState::kHeuristicHazard, FinishState::kRetry);
}

concordat::InquiryAnswer FromWire(InquiryAnswer::type answer) {
  using concordat::InquiryAnswer;
  return KnownOr(answer, InquiryAnswer::kWait, InquiryAnswer::kWait);
}

Result MakeResult(Code::type code, std::string message) {
  Result result;
  result.code = code;
  if (!message.empty()) result.__set_message(std::move(message));
  return result;
}

}  // namespace wire
}  // namespace concordat
