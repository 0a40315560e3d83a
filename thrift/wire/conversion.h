// Converts ids and the words of the commit protocol to their Thrift form and back. Only
// this folder knows both forms, so that coordinators, participants and clients accept and
// refuse the same messages.
//
//   request.gtid = ToWire(gtid);
//   const absl::StatusOr<Gtid> received = FromWire(request.gtid);
//
// Each function is declared in the namespace of its argument, so that a call need not
// name a namespace.
#ifndef THRIFT_WIRE_CONVERSION_H_
#define THRIFT_WIRE_CONVERSION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/coordinator_types.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"

namespace concordat {

[[nodiscard]] wire::Gtid ToWire(const Gtid& gtid);
[[nodiscard]] wire::BranchId ToWire(const BranchId& branch);
[[nodiscard]] std::vector<wire::BranchId> ToWire(const std::vector<BranchId>& branches);

[[nodiscard]] wire::CommitMode::type ToWire(CommitMode mode);
// `outcome` is kCommitted or kAborted; the wire has no unknown outcome.
[[nodiscard]] wire::Outcome::type ToWire(Outcome outcome);
// `cause` is not kNone.
[[nodiscard]] wire::AbortCause::type ToWire(AbortCause cause);
[[nodiscard]] wire::Vote::type ToWire(Vote vote);
[[nodiscard]] wire::FinishState::type ToWire(FinishState state);
[[nodiscard]] wire::InquiryAnswer::type ToWire(InquiryAnswer answer);

// The context of this process's own calls: its protocol version, and the cluster if it is
// known.
[[nodiscard]] wire::CallContext MakeContext(ClusterId cluster = ClusterId());

}  // namespace concordat

namespace concordat::wire {

// INVALID_ARGUMENT: a number is not positive, or the resource's name is not valid.
[[nodiscard]] absl::StatusOr<concordat::Gtid> FromWire(const Gtid& gtid);
[[nodiscard]] absl::StatusOr<concordat::BranchId> FromWire(const BranchId& branch);
[[nodiscard]] absl::StatusOr<std::vector<concordat::BranchId>> FromWire(
    const std::vector<BranchId>& branches);

// INVALID_ARGUMENT: there is no such mode.
[[nodiscard]] absl::StatusOr<concordat::CommitMode> FromWire(CommitMode::type mode);
// For a number that this version does not know, these return kUnknown, kNone,
// kUnavailable, kRetry or kWait.
[[nodiscard]] concordat::Outcome FromWire(Outcome::type outcome);
[[nodiscard]] concordat::AbortCause FromWire(AbortCause::type cause);
[[nodiscard]] concordat::Vote FromWire(Vote::type vote);
[[nodiscard]] concordat::FinishState FromWire(FinishState::type state);
[[nodiscard]] concordat::InquiryAnswer FromWire(InquiryAnswer::type answer);

[[nodiscard]] Result MakeResult(Code::type code, std::string message = {});

}  // namespace concordat::wire

#endif  // THRIFT_WIRE_CONVERSION_H_
