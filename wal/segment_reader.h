// Reads one segment batch by batch. Where there is no whole batch, it says whether a
// crash can have left the segment so. Used by recovery and by the dump.
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
  kWhole,  // all its sectors and records are right
  kEnd,    // no sector of a batch is here: zeros, older bytes, or the end of the file
  kTorn,   // some of its sectors are there, the others are as before it was written
  kBad,    // damage: no crash leaves this
};

struct BatchRead {
  BatchState state = BatchState::kEnd;
  uint32_t first = 0;           // first sector
  uint32_t sectors = 0;         // 0 when the first sector is missing
  BatchHeader header;           // valid when sectors is not 0
  std::string body;             // the records of a whole batch
  std::string problem;          // what is wrong with a bad batch
  uint32_t problem_sector = 0;  // where it is wrong
};

// Not thread-safe.
class SegmentReader {
 public:
  // DATA_LOSS or FAILED_PRECONDITION, with the file's name: the header is not right.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SegmentReader>> Open(
      FileEnv* env, const std::string& path, uint64_t log_id, uint32_t generation);

  [[nodiscard]] const SegmentHeader& header() const { return header_; }
  [[nodiscard]] const std::string& path() const { return path_; }

  // Reads the batch that should begin in this sector with this LSN. Fails only when the
  // file cannot be read.
  [[nodiscard]] absl::StatusOr<BatchRead> ReadBatch(uint32_t first, Lsn first_lsn);

  // Finds, after a torn or missing batch, a sector that was written for a later batch.
  // If there is one, the torn batch had been flushed. 0: there is none.
  [[nodiscard]] absl::StatusOr<uint32_t> FindLaterBatch(const BatchRead& torn);

  // Returns the first sector at or after `from` in which a batch begins; 0: there is
  // none.
  [[nodiscard]] absl::StatusOr<uint32_t> FindBatchStart(uint32_t from);

  // Returns the index after the last sector, at or after `from`, whose header names
  // this generation, even if the sector is damaged; `from` when there is none.
  [[nodiscard]] absl::StatusOr<uint32_t> EndOfLeftovers(uint32_t from);

  // Returns a sector of the file. The pointer is valid until the next call.
  [[nodiscard]] absl::StatusOr<const char*> Sector(uint32_t index);

 private:
  SegmentReader(std::unique_ptr<File> file, std::string path, uint64_t file_bytes)
      : file_(std::move(file)), path_(std::move(path)), file_bytes_(file_bytes) {}

  [[nodiscard]] SectorState Classify(const char* sector, uint32_t index) const {
    return ClassifySector(sector, header_.log_id, index, header_.generation);
  }
  // Reads the sectors of a batch after its first. Sets the state to torn or bad.
  [[nodiscard]] absl::Status ReadRest(BatchRead* batch);

  const std::unique_ptr<File> file_;
  const std::string path_;
  const uint64_t file_bytes_;  // size of the file
  SegmentHeader header_;
  std::string window_;         // sectors read ahead
  uint32_t window_first_ = 0;  // index of the first sector in window_
};

// Returns a DATA_LOSS that names the file and the sector's offset.
[[nodiscard]] absl::Status DamageAt(const std::string& path, uint32_t sector,
                                    std::string_view what);

// Says what is wrong with the records of a whole batch; empty when nothing is wrong.
[[nodiscard]] std::string CheckRecords(const BatchRead& batch);

}  // namespace concordat::wal

#endif  // WAL_SEGMENT_READER_H_
