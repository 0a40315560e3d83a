// Texts for XA's return codes, and ids in the form of XA.
#ifndef PARTICIPANT_RESOURCES_XA_CODES_H_
#define PARTICIPANT_RESOURCES_XA_CODES_H_

#include <optional>
#include <string>

#include "coordinator/base/xid.h"
#include "participant/resources/xa/xa.h"

namespace concordat::participant::xa {

// For example "xa_prepare: XAER_RMFAIL, the resource manager is unavailable".
[[nodiscard]] std::string CodeText(const char* call, int code);
[[nodiscard]] inline bool IsRolledBack(int code) {
  return code >= XA_RBBASE && code <= XA_RBEND;
}
[[nodiscard]] inline bool IsHeuristic(int code) {
  return code >= XA_HEURMIX && code <= XA_HEURHAZ;
}

[[nodiscard]] XID ToXid(ClusterId cluster, const BranchId& branch);
// nullopt: the branch does not belong to this cluster and resource.
[[nodiscard]] std::optional<BranchId> FromXid(const XID& xid, ClusterId cluster,
                                              const std::string& resource);

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_CODES_H_
