// The words of the transaction core in their Thrift form and back.
#ifndef COORDINATOR_RPC_TXN_WIRE_H_
#define COORDINATOR_RPC_TXN_WIRE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/coordinator_types.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/view.h"

namespace concordat::rpc {

[[nodiscard]] wire::Gtid ToWire(const Gtid& gtid);
[[nodiscard]] wire::BranchId ToWire(const BranchId& branch);
[[nodiscard]] Gtid FromWire(const wire::Gtid& gtid);
// INVALID_ARGUMENT when the resource's name is none.
[[nodiscard]] absl::StatusOr<BranchId> FromWire(const wire::BranchId& branch);
[[nodiscard]] absl::StatusOr<std::vector<BranchId>> FromWire(
    const std::vector<wire::BranchId>& branches);

[[nodiscard]] wire::AbortCause::type ToWire(txn::AbortCause cause);
[[nodiscard]] txn::Vote FromWire(wire::Vote::type vote);
[[nodiscard]] txn::AckResult FromWire(wire::FinishState::type state);

[[nodiscard]] wire::Result MakeResult(wire::Code::type code, std::string message = {});
// What a client is told. `leader` is the leader's address, or empty.
[[nodiscard]] wire::OutcomeReply ToOutcome(const txn::Reply& reply, const Gtid& gtid,
                                           const std::string& leader);
// The result of a reply that is not the one asked for: not leader, refused, …
[[nodiscard]] wire::Result ToResult(const txn::Reply& reply, const std::string& leader);

[[nodiscard]] wire::TransactionView ToWire(const txn::TransactionView& view);

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_TXN_WIRE_H_
