// Ids and causes in their Thrift form and back, as the client needs them.
#ifndef COORDINATOR_CLIENT_WIRE_NAMES_H_
#define COORDINATOR_CLIENT_WIRE_NAMES_H_

#include "concordat_wire/coordinator_types.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/outcome.h"

namespace concordat::client {

[[nodiscard]] wire::CallContext MakeContext();
[[nodiscard]] wire::Gtid ToWire(const Gtid& gtid);
[[nodiscard]] wire::BranchId ToWire(const BranchId& branch);
[[nodiscard]] BranchId FromWire(const wire::BranchId& branch);
[[nodiscard]] AbortCause FromWire(wire::AbortCause::type cause);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_WIRE_NAMES_H_
