#include "coordinator/client/wire_names.h"

#include "concordat_wire/types_constants.h"

namespace concordat::client {

wire::CallContext MakeContext() {
  wire::CallContext context;
  context.version = wire::g_types_constants.PROTOCOL_VERSION;
  return context;
}

wire::Gtid ToWire(const Gtid& gtid) {
  wire::Gtid out;
  out.group = static_cast<int32_t>(gtid.group.value());
  out.term = static_cast<int64_t>(gtid.term.value());
  out.sequence = static_cast<int64_t>(gtid.sequence);
  return out;
}

wire::BranchId ToWire(const BranchId& branch) {
  wire::BranchId out;
  out.gtid = ToWire(branch.gtid);
  out.resource = branch.resource;
  out.incarnation = static_cast<int64_t>(branch.incarnation.value());
  out.number = static_cast<int64_t>(branch.number);
  return out;
}

BranchId FromWire(const wire::BranchId& branch) {
  return BranchId{Gtid{GroupId(static_cast<uint32_t>(branch.gtid.group)),
                       Term(static_cast<uint64_t>(branch.gtid.term)),
                       static_cast<uint64_t>(branch.gtid.sequence)},
                  branch.resource, Incarnation(static_cast<uint64_t>(branch.incarnation)),
                  static_cast<uint64_t>(branch.number)};
}

AbortCause FromWire(wire::AbortCause::type cause) {
  switch (cause) {
    case wire::AbortCause::REFUSED:
      return AbortCause::kRefused;
    case wire::AbortCause::TIMED_OUT:
      return AbortCause::kTimedOut;
    case wire::AbortCause::ROLLED_BACK:
      return AbortCause::kRolledBack;
    case wire::AbortCause::PRESUMED:
      return AbortCause::kPresumed;
    case wire::AbortCause::OPERATOR:
      return AbortCause::kOperator;
    case wire::AbortCause::COMMITTED_ALONE:
      return AbortCause::kCommittedAlone;
    case wire::AbortCause::CONFLICT:
      return AbortCause::kConflict;
    case wire::AbortCause::LOST:
      return AbortCause::kLost;
  }
  return AbortCause::kNone;
}

}  // namespace concordat::client
