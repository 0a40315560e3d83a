// Ids between our types and the wire's.
#ifndef PARTICIPANT_SDK_WIRE_IDS_H_
#define PARTICIPANT_SDK_WIRE_IDS_H_

#include "absl/status/statusor.h"
#include "concordat_wire/types_types.h"
#include "coordinator/base/xid.h"

namespace concordat::participant {

[[nodiscard]] wire::Gtid ToWire(const Gtid& gtid);
[[nodiscard]] wire::BranchId ToWire(const BranchId& branch);

// INVALID_ARGUMENT: a part is negative or zero where it must not be, or the resource's
// name is not one.
[[nodiscard]] absl::StatusOr<Gtid> FromWire(const wire::Gtid& gtid);
[[nodiscard]] absl::StatusOr<BranchId> FromWire(const wire::BranchId& branch);

// The context of our own calls.
[[nodiscard]] wire::CallContext MakeContext(ClusterId cluster);

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_WIRE_IDS_H_
