// Converts Raft's messages to their Thrift form and back.
#ifndef COORDINATOR_RPC_RAFT_WIRE_H_
#define COORDINATOR_RPC_RAFT_WIRE_H_

#include "absl/status/statusor.h"
#include "concordat_wire/raft_types.h"
#include "coordinator/raft/types.h"

namespace concordat::rpc {

[[nodiscard]] wire::RaftMessage ToWire(const raft::Message& message);

// INVALID_ARGUMENT for a type that this version does not know. The contents are checked
// by raft::Raft::Step.
[[nodiscard]] absl::StatusOr<raft::Message> FromWire(const wire::RaftMessage& message);

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_RAFT_WIRE_H_
