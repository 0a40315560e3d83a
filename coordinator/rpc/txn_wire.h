// Converts what the state machines answer and show to its Thrift form.
#ifndef COORDINATOR_RPC_TXN_WIRE_H_
#define COORDINATOR_RPC_TXN_WIRE_H_

#include <string>
#include <vector>

#include "concordat_wire/coordinator_types.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "coordinator/registry/reply.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/view.h"
#include "thrift/wire/conversion.h"

namespace concordat::rpc {

// The branches of one verb for one participant, as the coordinators' decision.
[[nodiscard]] wire::BranchList MakeBranchList(ClusterId cluster,
                                              const std::vector<BranchId>& branches);

// The answer to a client. `leader` is the leader's address; empty: not known.
[[nodiscard]] wire::OutcomeReply ToOutcome(const txn::Reply& reply, const Gtid& gtid,
                                           const std::string& leader);
// The result for a reply other than the expected one: not the leader, refused, …
[[nodiscard]] wire::Result ToResult(const txn::Reply& reply, const std::string& leader);
[[nodiscard]] wire::Result ToResult(const registry::Reply& reply,
                                    const std::string& leader);

[[nodiscard]] wire::TransactionView ToWire(const txn::TransactionView& view);

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_TXN_WIRE_H_
