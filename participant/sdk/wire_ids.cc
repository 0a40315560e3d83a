#include "participant/sdk/wire_ids.h"

#include "concordat_wire/types_constants.h"

namespace concordat::participant {

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

absl::StatusOr<Gtid> FromWire(const wire::Gtid& gtid) {
  if (gtid.group <= 0 || gtid.term <= 0 || gtid.sequence <= 0) {
    return absl::InvalidArgumentError("not a gtid: a part of it is not positive");
  }
  return Gtid{GroupId(static_cast<uint32_t>(gtid.group)),
              Term(static_cast<uint64_t>(gtid.term)),
              static_cast<uint64_t>(gtid.sequence)};
}

absl::StatusOr<BranchId> FromWire(const wire::BranchId& branch) {
  const absl::StatusOr<Gtid> gtid = FromWire(branch.gtid);
  if (!gtid.ok()) return gtid.status();
  if (!IsValidResourceName(branch.resource) || branch.number <= 0) {
    return absl::InvalidArgumentError("not a branch id: bad resource name or number");
  }
  return BranchId{*gtid, branch.resource,
                  Incarnation(static_cast<uint64_t>(branch.incarnation)),
                  static_cast<uint64_t>(branch.number)};
}

wire::CallContext MakeContext(ClusterId cluster) {
  wire::CallContext context;
  context.version = wire::g_types_constants.PROTOCOL_VERSION;
  context.__set_cluster(static_cast<int64_t>(cluster.value()));
  return context;
}

}  // namespace concordat::participant
