// The records of a service's log, and the state that they add up to.
//
//   type            payload           meaning
//   1 trying        branch, varint n  Try of reservation n will be called
//   2 prepared      branch, numbers   these reservations are promised
//   3 committed     branch            all of them are confirmed
//   4 deciding      branch, numbers   several reservations will be committed in one phase
//   5 alone         branch            committed in one phase; all are confirmed
//   6 cancelled     branch            nothing of the branch is left
//
// Record 1 must be on disk before Try is called, 2 before the vote, and 4 before the
// first Confirm. Records 3, 5 and 6 are written with the next flush: if one is lost,
// Lookup tells the same.
//
// branch   as coordinator/base/xid.h encodes it
// numbers  varint count, varints
//
// Records 3 and 5 are the branch's evidence. The checkpoint holds the open branches and
// the evidence. It is the file `checkpoint` in the service's folder:
//
//   "CNCDSV" u8 0 u8 format(1), u32 CRC-32 of the rest
//   varint start                              the first record to replay over it
//   varint count; each: branch, u8 phase, numbers                   open branches
//   varint count; each: branch (without resource), u8 alone         evidence
//
// It is written while work goes on: the open branches are those at `start`, and the
// evidence may hold more. Therefore, when the record of an end is replayed for a branch
// that is not open, it only adds evidence.
#ifndef PARTICIPANT_RESOURCES_SERVICE_RECORDS_H_
#define PARTICIPANT_RESOURCES_SERVICE_RECORDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/remembered_branches.h"
#include "wal/log.h"

namespace concordat::participant::service {

enum class RecordType : uint8_t {
  kTrying = 1,
  kPrepared = 2,
  kCommitted = 3,
  kDeciding = 4,
  kAlone = 5,
  kCancelled = 6,
};

// The last record of a branch, of the records that do not end it.
enum class Logged : uint8_t {
  kNothing = 0,  // no record
  kTrying = 1,
  kPrepared = 2,
  kDeciding = 3,
};

struct OpenBranch {
  BranchId id;
  Logged phase = Logged::kNothing;
  std::vector<uint64_t> numbers;  // of the reservations that may be held
};

// Ordered by gtid, group first, so that what the watermark passes is at the beginning.
// True: committed in one phase.
using EvidenceMap = absl::btree_map<BranchKey, bool>;

struct LogState {
  absl::btree_map<BranchKey, OpenBranch> open;  // branches that have not ended
  EvidenceMap evidence;

  // DATA_LOSS, with the reason: the record cannot follow the records before it.
  [[nodiscard]] absl::Status Apply(uint8_t type, std::string_view payload);
};

[[nodiscard]] std::string TryingRecord(const BranchId& branch, uint64_t number);
[[nodiscard]] std::string NumbersRecord(const BranchId& branch,
                                        const std::vector<uint64_t>& numbers);
[[nodiscard]] std::string BranchRecord(const BranchId& branch);

// --- checkpoint ---

void EncodeOpen(const OpenBranch& branch, ByteWriter* out);
void EncodeEvidence(const BranchKey& branch, bool alone, ByteWriter* out);
// `open` and `evidence` are encoded, with as many entries as the counts say.
[[nodiscard]] std::string CheckpointBytes(wal::Lsn start, uint64_t open_count,
                                          std::string_view open, uint64_t evidence_count,
                                          std::string_view evidence);
// DATA_LOSS, without the file's name: the checkpoint is damaged.
[[nodiscard]] absl::StatusOr<LogState> ParseCheckpoint(std::string_view bytes,
                                                       wal::Lsn* start);

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_RECORDS_H_
