// Reads a log's directory after a crash. It replays the records that were promised and
// finds the place of the next batch, or finds that promised bytes are damaged. The
// proof that it can tell the two apart is in docs/log-format.md.
#ifndef WAL_RECOVERY_H_
#define WAL_RECOVERY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "wal/directory.h"
#include "wal/log.h"
#include "wal/segment.h"

namespace concordat::wal {

// A segment that was found whole.
struct RecoveredSegment {
  uint32_t generation = 0;
  Lsn base_lsn;
  uint64_t bytes = 0;  // size of the file
};

// The state of the log after recovery.
struct Recovered {
  std::vector<RecoveredSegment> segments;  // without a gap; the last one is written next
  std::vector<uint32_t> remnants;  // segments below a gap: released before the crash
  SegmentHeader last;              // header of the last segment
  uint32_t tail = 0;               // sector where the next batch goes
  uint32_t last_batch = 0;         // first sector of the last batch; 0: there is none
  uint32_t leftovers_end = 0;      // sectors [tail, leftovers_end) hold a truncated batch
  Lsn next_lsn;
  Lsn released;  // the highest `released` found: see segment.h
};

// Only reads. Returns the errors of Log::Open.
[[nodiscard]] absl::StatusOr<Recovered> Recover(FileEnv* env, const std::string& dir,
                                                const Listing& listing, uint64_t log_id,
                                                const ReadCallback& on_record);

}  // namespace concordat::wal

#endif  // WAL_RECOVERY_H_
