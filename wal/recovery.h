// Reads a log's directory after whatever happened: replays what was promised, says
// where the next batch goes, or that promised bytes are damaged. The argument why it
// can tell is in docs/log-format.md.
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

struct RecoveredSegment {
  uint32_t generation = 0;
  Lsn base_lsn;
  uint64_t bytes = 0;
};

struct Recovered {
  std::vector<RecoveredSegment> segments;  // without a gap; the last is written on
  std::vector<uint32_t> remnants;          // segments below a gap, released long ago
  SegmentHeader last;
  uint32_t tail = 0;           // the sector where the next batch goes
  uint32_t last_batch = 0;     // first sector of the last batch, 0 when there is none
  uint32_t leftovers_end = 0;  // sectors [tail, leftovers_end) hold a batch that was cut
  Lsn next_lsn;
  Lsn released;
};

// Read-only. Errors as Log::Open.
[[nodiscard]] absl::StatusOr<Recovered> Recover(FileEnv* env, const std::string& dir,
                                                const Listing& listing, uint64_t log_id,
                                                const ReadCallback& on_record);

}  // namespace concordat::wal

#endif  // WAL_RECOVERY_H_
