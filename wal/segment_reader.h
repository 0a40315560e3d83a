// Reads one segment batch by batch, and says of what is not a whole batch whether a
// crash can have left it so. Shared by recovery and by the dump.
#ifndef WAL_SEGMENT_READER_H_
#define WAL_SEGMENT_READER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "wal/segment.h"

namespace concordat::wal {

enum class BatchState {
  kWhole,
  kEnd,   // no sector of a batch here: zero, older bytes, or the end of the file
  kTorn,  // some sectors of the batch are there, the others are as before it
  kBad,   // no crash leaves this: damage
};

struct BatchRead {
  BatchState state = BatchState::kEnd;
  uint32_t first = 0;
  uint32_t sectors = 0;  // 0 when the first sector is missing
  BatchHeader header;    // when sectors is not 0
  std::string body;      // of a whole batch: its records
  std::string problem;   // of a bad one
  uint32_t problem_sector = 0;
};

// Not thread-safe.
class SegmentReader {
 public:
  // DATA_LOSS or FAILED_PRECONDITION, naming the file, when its header is not good.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(
      FileEnv* env, const std::string& path, uint64_t log_id, uint32_t generation);

  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // The batch that should begin in this sector with this LSN. Fails only when the
  // file cannot be read.
  [[nodiscard]] absl::StatusOr<BatchRead> ReadBatch(uint32_t first, Lsn first_lsn);

  // Behind a torn or missing batch: a sector that was written for another, later
  // batch. There being one proves that the batch had been flushed. 0 when there is
  // none.
  [[nodiscard]] absl::StatusOr<uint32_t> FindLaterBatch(const BatchRead& torn);

  // The first sector from `from` on in which a batch begins, 0 when there is none.
  [[nodiscard]] absl::StatusOr<uint32_t> FindBatchStart(uint32_t from);

  // The sector behind the last one from `from` on that says it belongs to this
  // generation, be it damaged; `from` when there is none.
  [[nodiscard]] absl::StatusOr<uint32_t> EndOfLeftovers(uint32_t from);

  // A sector of the file. The pointer is good until the next call.
  [[nodiscard]] absl::StatusOr<const char*> Sector(uint32_t index);

 private:
  SegmentReader(std::unique_ptr<File> file, std::string path, uint64_t file_bytes)
      : file_(std::move(file)), path_(std::move(path)), file_bytes_(file_bytes) {}

  [[nodiscard]] SectorState Classify(const char* sector, uint32_t index) const {
    return ClassifySector(sector, header_.log_id, index, header_.generation);
  }
  // Reads the sectors of a batch behind its first; sets torn or bad.
  [[nodiscard]] absl::Status ReadRest(BatchRead* batch);

  const std::unique_ptr<File> file_;
  const std::string path_;
  const uint64_t file_bytes_;
  SegmentHeader header_;
  std::string window_;
  uint32_t window_first_ = 0;
};

// A DATA_LOSS that names the file and the sector's offset.
[[nodiscard]] absl::Status DamageAt(const std::string& path, uint32_t sector,
                                    std::string_view what);

// What is wrong with the records of a whole batch; empty when nothing is.
[[nodiscard]] std::string CheckRecords(const BatchRead& batch);

}  // namespace concordat::wal

#endif  // WAL_SEGMENT_READER_H_
