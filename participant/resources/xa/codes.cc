#include "participant/resources/xa/codes.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace concordat::participant::xa {
namespace {

const char* Meaning(int code) {
  switch (code) {
    case XA_OK:
      return "XA_OK";
    case XA_RDONLY:
      return "XA_RDONLY, nothing was written";
    case XA_RETRY:
      return "XA_RETRY, not now";
    case XA_HEURMIX:
      return "XA_HEURMIX, ended on its own, partly committed and partly rolled back";
    case XA_HEURRB:
      return "XA_HEURRB, rolled back on its own";
    case XA_HEURCOM:
      return "XA_HEURCOM, committed on its own";
    case XA_HEURHAZ:
      return "XA_HEURHAZ, may have been ended on its own";
    case XA_RBROLLBACK:
      return "XA_RBROLLBACK, rolled back";
    case XA_RBCOMMFAIL:
      return "XA_RBCOMMFAIL, rolled back, communication failed";
    case XA_RBDEADLOCK:
      return "XA_RBDEADLOCK, rolled back, deadlock";
    case XA_RBINTEGRITY:
      return "XA_RBINTEGRITY, rolled back, the data would not be consistent";
    case XA_RBOTHER:
      return "XA_RBOTHER, rolled back for another reason";
    case XA_RBPROTO:
      return "XA_RBPROTO, rolled back, an error in its protocol";
    case XA_RBTIMEOUT:
      return "XA_RBTIMEOUT, rolled back, it took too long";
    case XA_RBTRANSIENT:
      return "XA_RBTRANSIENT, rolled back, may be tried again";
    case XAER_ASYNC:
      return "XAER_ASYNC";
    case XAER_RMERR:
      return "XAER_RMERR, an error in the resource manager";
    case XAER_NOTA:
      return "XAER_NOTA, it knows no such branch";
    case XAER_INVAL:
      return "XAER_INVAL, invalid arguments";
    case XAER_PROTO:
      return "XAER_PROTO, called in the wrong order";
    case XAER_RMFAIL:
      return "XAER_RMFAIL, the resource manager is unavailable";
    case XAER_DUPID:
      return "XAER_DUPID, the id exists";
    case XAER_OUTSIDE:
      return "XAER_OUTSIDE, the thread works outside of a global transaction";
    default:
      return "a code that the specification does not have";
  }
}

}  // namespace

std::string CodeText(const char* call, int code) {
  return absl::StrCat(call, " returned ", code, ": ", Meaning(code));
}

XID ToXid(ClusterId cluster, const BranchId& branch) {
  const Xid xid = MakeXid(cluster, branch);
  XID out;
  std::memset(&out, 0, sizeof out);
  out.formatID = static_cast<long>(xid.format_id);
  out.gtrid_length = static_cast<long>(xid.gtrid.size());
  out.bqual_length = static_cast<long>(xid.bqual.size());
  std::memcpy(out.data, xid.gtrid.data(), xid.gtrid.size());
  std::memcpy(out.data + xid.gtrid.size(), xid.bqual.data(), xid.bqual.size());
  return out;
}

std::optional<BranchId> FromXid(const XID& xid, ClusterId cluster,
                                const std::string& resource) {
  if (xid.formatID != static_cast<long>(Xid::kFormatId) || xid.gtrid_length < 1 ||
      xid.gtrid_length > MAXGTRIDSIZE || xid.bqual_length < 1 ||
      xid.bqual_length > MAXBQUALSIZE) {
    return std::nullopt;
  }
  const auto gtrid = static_cast<size_t>(xid.gtrid_length);
  Xid ours;
  ours.gtrid.assign(xid.data, gtrid);
  ours.bqual.assign(xid.data + gtrid, static_cast<size_t>(xid.bqual_length));
  const absl::StatusOr<ParsedXid> parsed = ParseXid(ours);
  if (!parsed.ok() || parsed->cluster != cluster || parsed->branch.resource != resource) {
    return std::nullopt;
  }
  return parsed->branch;
}

}  // namespace concordat::participant::xa
