// One file of the log: a header sector, then batches one behind the other.
//
// Sector 0, data part (its generation is the segment's number, its batch_first 0):
//   0   8  magic "CNCDWAL\n"
//   8   4  format version
//   12  4  sectors in the file, this one included
//   16  8  log id, the same in all files of the log
//   24  8  LSN of the first record in this segment
//   32  8  released: records below it may be missing
//   40  4  index of the sector behind the last batch of the segment before this one
//
// A batch: what one flush made durable. It begins in a sector of its own; its bytes
// run on through the data parts of its sectors; the rest of the last one is zero.
//   0   4  bytes of records
//   4   4  records
//   8   8  LSN of the first of them
//   16  8  released, as above
//   24     records, each:  4 length  4 CRC-32 of type and payload  1 type  payload
#ifndef WAL_SEGMENT_H_
#define WAL_SEGMENT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "wal/log.h"
#include "wal/sector.h"

namespace concordat::wal {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kPageBytes = 4096;
inline constexpr size_t kBatchHeaderBytes = 24;

struct SegmentHeader {
  uint32_t generation = 0;
  uint32_t sectors = 0;
  uint64_t log_id = 0;
  Lsn base_lsn;
  Lsn released;
  uint32_t previous_end = 0;
};

// One sector.
[[nodiscard]] std::string EncodeSegmentHeader(const SegmentHeader& header);

// Reads a header from the first sector of a file of `file_bytes`, whose name says
// `generation`. DATA_LOSS with what is wrong; FAILED_PRECONDITION for another format.
[[nodiscard]] absl::StatusOr<SegmentHeader> DecodeSegmentHeader(const char* sector,
                                                                uint64_t log_id,
                                                                uint32_t generation,
                                                                uint64_t file_bytes);

struct BatchHeader {
  uint32_t body_bytes = 0;
  uint32_t records = 0;
  Lsn first_lsn;
  Lsn released;
};
// From the data part of a batch's first sector.
[[nodiscard]] BatchHeader DecodeBatchHeader(std::string_view data);

// Sectors of a batch with so many bytes of records.
[[nodiscard]] constexpr uint64_t BatchSectors(uint64_t body_bytes) {
  return (kBatchHeaderBytes + body_bytes + kSectorDataBytes - 1) / kSectorDataBytes;
}

// Takes records in turn off a batch's body. False at its end, or when what follows is
// not a whole record with a good checksum; *good tells which.
[[nodiscard]] bool TakeRecord(std::string_view* body, uint8_t* type,
                              std::string_view* payload, bool* good);

// Builds a batch in the form it has on disk, copying each payload once.
class BatchBuilder {
 public:
  void Add(uint8_t type, std::string_view payload);
  [[nodiscard]] bool empty() const { return records_ == 0; }
  [[nodiscard]] uint64_t body_bytes() const { return body_bytes_; }
  [[nodiscard]] uint32_t records() const { return records_; }

  // Finishes the batch, to be written from sector `first` on, and returns its bytes:
  // whole sectors, which the caller may append to. Clear before the next Add.
  std::string* Seal(const SegmentHeader& segment, uint32_t first, Lsn first_lsn,
                    Lsn released);
  void Clear();

 private:
  void Put(std::string_view bytes);

  std::string out_;
  uint64_t body_bytes_ = 0;
  uint32_t records_ = 0;
};

}  // namespace concordat::wal

#endif  // WAL_SEGMENT_H_
