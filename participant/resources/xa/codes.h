// XA's return codes in words, and ids in its form.
#ifndef PARTICIPANT_RESOURCES_XA_CODES_H_
#define PARTICIPANT_RESOURCES_XA_CODES_H_

#include <optional>
#include <string>

#include "coordinator/base/xid.h"
#include "participant/resources/xa/xa.h"

namespace concordat::participant::xa {

// "xa_prepare: XAER_RMFAIL, the resource manager is unavailable"
[[nodiscard]] std::string CodeText(const char* call, int code);
[[nodiscard]] inline bool IsRolledBack(int code) {
  return code >= XA_RBBASE && code <= XA_RBEND;
}
[[nodiscard]] inline bool IsHeuristic(int code) {
  return code >= XA_HEURMIX && code <= XA_HEURHAZ;
}

[[nodiscard]] XID ToXid(ClusterId cluster, const BranchId& branch);
// Nothing: not of this cluster and resource.
[[nodiscard]] std::optional<BranchId> FromXid(const XID& xid, ClusterId cluster,
                                              const std::string& resource);

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_CODES_H_
