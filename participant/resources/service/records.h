// The log of a service: what its records say, and what they add up to.
//
//   type            payload           meaning, and when it must be on disk
//   1 trying        branch, varint n  Try of reservation n is about to be called: before
//   2 prepared      branch, numbers   these reservations are promised: before the vote
//   3 committed     branch            all of them are confirmed         \  with the next
//   4 deciding      branch, numbers   committed in one phase, several:   |  flush,
//   because
//                                     before the first Confirm           |  Lookup tells
//   5 alone         branch            committed in one phase; confirmed  |  (3, 5, 6)
//   6 cancelled     branch            nothing of it is left             /
//
// branch   as coordinator/base/xid.h encodes it
// numbers  varint count, varints
//
// 3 and 5 are the branch's evidence. The checkpoint holds the same: what is open, and the
// evidence. File `checkpoint` in the service's folder:
//
//   "CNCDSV" u8 0 u8 format(1), u32 CRC-32 of the rest
//   varint start                                 the first record to replay over it
//   varint count; each: branch, u8 phase, numbers          what is open
//   varint count; each: branch (without resource), u8 alone          evidence
//
// It is written while work goes on: what is open is as of `start`, of the evidence it may
// hold more. Replaying a record of an end for a branch that is not open therefore adds
// evidence and nothing else.
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
#include "participant/sdk/core/remembered.h"
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

// How far a branch has come, in the log.
enum class Logged : uint8_t {
  kNothing = 0,  // never written
  kTrying = 1,
  kPrepared = 2,
  kDeciding = 3,
};

struct OpenBranch {
  BranchId id;
  Logged phase = Logged::kNothing;
  std::vector<uint64_t> numbers;
};

// Ordered by gtid, group first: what the watermark passes stands at the beginning.
// True: committed alone.
using EvidenceMap = absl::btree_map<BranchKey, bool>;

struct LogState {
  absl::btree_map<BranchKey, OpenBranch> open;
  EvidenceMap evidence;

  // DATA_LOSS, with the reason: the record cannot be, after those before it.
  [[nodiscard]] absl::Status Apply(uint8_t type, std::string_view payload);
};

[[nodiscard]] std::string TryingRecord(const BranchId& branch, uint64_t number);
[[nodiscard]] std::string NumbersRecord(const BranchId& branch,
                                        const std::vector<uint64_t>& numbers);
[[nodiscard]] std::string BranchRecord(const BranchId& branch);

// --- checkpoint ---

void EncodeOpen(const OpenBranch& branch, ByteWriter* out);
void EncodeEvidence(const BranchKey& branch, bool alone, ByteWriter* out);
// `open` and `evidence`: so many entries, encoded.
[[nodiscard]] std::string CheckpointBytes(wal::Lsn start, uint64_t open_count,
                                          std::string_view open, uint64_t evidence_count,
                                          std::string_view evidence);
// DATA_LOSS when it is damaged, without the file's name.
[[nodiscard]] absl::StatusOr<LogState> ParseCheckpoint(std::string_view bytes,
                                                       wal::Lsn* start);

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_RECORDS_H_
