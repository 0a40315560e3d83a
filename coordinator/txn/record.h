// The records that are replicated through the Raft log, and their bytes.
//
//   std::string bytes = EncodeRecord(DecidedRecord{gtid, Outcome::kCommitted});
//   absl::StatusOr<Record> record = DecodeRecord(bytes);
//   std::string line = Describe(*record);        // for `concordat wal dump`
//
// A follower decodes a record before it acknowledges the entry: one that it does not
// understand (a newer version's) is refused there, and never applied by half.
//
// Bytes: version (1), kind (1), then the fields in order. Numbers are LEB128 but for
// incarnation and cluster id (8 bytes, little-endian); texts are length and bytes. A
// branch is written without its gtid where the record names the gtid already.
#ifndef COORDINATOR_TXN_RECORD_H_
#define COORDINATOR_TXN_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/record_fields.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/state_machine.h"

namespace concordat::txn {

// The transactions' number in a group's log.
inline constexpr group::MachineId kMachine{1};
inline constexpr uint8_t kRecordVersion = 1;

// Commit was asked for: the branches named then, to which the table adds those that
// were enlisted. The time-out is relative, because clocks of nodes are not compared:
// each leader counts it from when the transaction is in flight at it.
struct StagedRecord {
  Gtid gtid{};
  std::vector<BranchId> branches{};
  uint64_t timeout_ms = 0;
  CommitMode mode = CommitMode::kDecided;
  // Each of `branches` had voted PREPARED before the record was made. Then staging
  // decides COMMITTED in the same step, unless the table adds a branch that has not
  // voted.
  bool all_prepared = false;
  friend bool operator==(const StagedRecord&, const StagedRecord&) = default;
};

// The decision. The first one of a gtid in the log is the outcome.
struct DecidedRecord {
  Gtid gtid{};
  Outcome outcome = Outcome::kAborted;
  AbortCause cause = AbortCause::kNone;  // kNone exactly when committed
  std::string detail{};  // which branch, which resource, who had not voted
  std::string by{};      // who, when an operator or a client decided
  // With kCommitted: those of the set that have voted READ_ONLY. They are over, and no
  // leader tells them COMMIT: an incarnation that knows nothing of them any more would
  // have to take that for a branch that it has lost.
  std::vector<BranchId> read_only{};
  friend bool operator==(const DecidedRecord&, const DecidedRecord&) = default;
};

// Every branch of these has acknowledged the decision.
struct EndedRecord {
  std::vector<Gtid> gtids{};
  friend bool operator==(const EndedRecord&, const EndedRecord&) = default;
};

// A service's branch, known to the coordinator before the commit request.
struct EnlistedRecord {
  BranchId branch{};
  friend bool operator==(const EnlistedRecord&, const EnlistedRecord&) = default;
};

// Outcomes up to and with this gtid may be dropped (sequence 0: up to that term).
struct WatermarkRecord {
  Gtid gtid{};
  friend bool operator==(const WatermarkRecord&, const WatermarkRecord&) = default;
};

// A branch was settled against, or without, the decision; or (kForgotten) an operator
// has dealt with that.
struct HeuristicRecord {
  BranchId branch{};
  Heuristic what = Heuristic::kHazard;
  std::string detail{};
  friend bool operator==(const HeuristicRecord&, const HeuristicRecord&) = default;
};

// Their kinds are numbered in this order, from 1: never change it, only add.
using Record = std::variant<StagedRecord, DecidedRecord, EndedRecord, EnlistedRecord,
                            WatermarkRecord, HeuristicRecord>;

// Programmer's error (checked): a branch of another gtid than the record's, or more
// than kMaxDetailLength of text.
[[nodiscard]] std::string EncodeRecord(const Record& record);

// UNIMPLEMENTED for a version or kind that this program does not know: do not
// acknowledge the entry, upgrade the node. DATA_LOSS for bytes that are none of ours.
[[nodiscard]] absl::StatusOr<Record> DecodeRecord(std::string_view bytes);

// One line for operators: "STAGED 1.7.2a mode=decided timeout_ms=10000 branches=[...]".
[[nodiscard]] std::string Describe(const Record& record);

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_RECORD_H_
