// The ids of a global transaction and of its branches.
//
//   Gtid      names a global transaction: the Raft group that owns it, the term of the
//             leader that assigned it, and a number within that term. A term has at most
//             one leader (Raft, section 5.2), so no gtid is assigned twice, without any
//             record in the log.
//   BranchId  names one resource manager's part of a transaction. It has the incarnation
//             of the participant, so it is never used twice, whatever was forgotten.
//   Xid       both, with the cluster's id, in the X/Open form (XA specification,
//             section 4.2): format id, gtrid and bqual of at most 64 bytes each.
//
// Text forms (hexadecimal without leading zeros; other spellings are refused, so that
// equal ids have equal texts):
//   gtid       "1.7.2a"                 group.term.sequence
//   branch     "1.7.2a/bank-a/5f3c.9"   gtid/resource/incarnation.number
//   xid        "concordat_00c0ffee00c0ffee-1.7.2a_bank-a.5f3c.9"
// The text of an xid is the gid in PostgreSQL, which allows at most 199 bytes.
#ifndef COORDINATOR_BASE_XID_H_
#define COORDINATOR_BASE_XID_H_

#include <compare>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/ids.h"

namespace concordat {

struct Gtid {
  GroupId group;
  Term term;              // of the leader that assigned it
  uint64_t sequence = 0;  // counts from 1 within the term; 0: no gtid

  [[nodiscard]] bool is_none() const { return sequence == 0; }
  friend auto operator<=>(const Gtid&, const Gtid&) = default;
  template <class H>
  friend H AbslHashValue(H h, const Gtid& g) {
    return H::combine(std::move(h), g.group, g.term, g.sequence);
  }
};

// The longest resource name that fits into the 64 bytes of an xid's bqual.
inline constexpr size_t kMaxResourceNameLength = 30;

// A valid name has 1 to kMaxResourceNameLength characters: lower-case letters, digits,
// '-' and '_'. The first is a letter or a digit.
[[nodiscard]] bool IsValidResourceName(std::string_view name);

struct BranchId {
  Gtid gtid;
  std::string resource;
  Incarnation incarnation;
  // Counts branches within the incarnation, from 1. The highest bits mark branches that
  // an application prepares itself: participant/sdk/core/branch_number.h.
  uint64_t number = 0;

  friend auto operator<=>(const BranchId&, const BranchId&) = default;
  template <class H>
  friend H AbslHashValue(H h, const BranchId& b) {
    return H::combine(std::move(h), b.gtid, b.resource, b.incarnation, b.number);
  }
};

struct Xid {
  static constexpr uint32_t kFormatId = 0x434e4344;  // "CNCD"
  static constexpr size_t kMaxPartLength = 64;       // MAXGTRIDSIZE, MAXBQUALSIZE

  uint32_t format_id = kFormatId;  // another one: not Concordat's
  std::string gtrid;               // cluster and gtid
  std::string bqual;               // resource, incarnation and number

  friend auto operator<=>(const Xid&, const Xid&) = default;
};

[[nodiscard]] std::string ToString(const Gtid& gtid);
[[nodiscard]] std::string ToString(const BranchId& branch);
std::ostream& operator<<(std::ostream& out, const Gtid& gtid);
std::ostream& operator<<(std::ostream& out, const BranchId& branch);

// INVALID_ARGUMENT, with the text in the message, unless it is exactly as ToString writes
// it.
[[nodiscard]] absl::StatusOr<Gtid> ParseGtid(std::string_view text);
[[nodiscard]] absl::StatusOr<BranchId> ParseBranchId(std::string_view text);

[[nodiscard]] Xid MakeXid(ClusterId cluster, const BranchId& branch);
[[nodiscard]] std::string XidText(const Xid& xid);

// The contents of an xid that was found in a database.
struct ParsedXid {
  ClusterId cluster;
  BranchId branch;
};
// INVALID_ARGUMENT for an xid that is not Concordat's. Such a branch must not be touched.
[[nodiscard]] absl::StatusOr<ParsedXid> ParseXid(const Xid& xid);
[[nodiscard]] absl::StatusOr<ParsedXid> ParseXidText(std::string_view text);

// The binary form in records of the logs.
void Encode(const Gtid& gtid, ByteWriter* out);
void Encode(const BranchId& branch, ByteWriter* out);
[[nodiscard]] Gtid DecodeGtid(ByteReader* in);
[[nodiscard]] BranchId DecodeBranchId(ByteReader* in);

}  // namespace concordat

#endif  // COORDINATOR_BASE_XID_H_
