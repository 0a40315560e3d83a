// One file of the log: a header sector, then batches one after the other.
//
// Data of sector 0 (its generation is the segment's number, its batch_first is 0):
//   0   8  magic "CNCDWAL\n"
//   8   4  format version
//   12  4  sectors in the file, this one included
//   16  8  log id, the same in all files of the log
//   24  8  LSN of the first record in this segment
//   32  8  released: records below it may be missing
//   40  4  index of the sector after the last batch of the previous segment
//
// A batch is what one flush made durable. It begins in a sector of its own, and its bytes
// run on through the data parts of its sectors. The rest of the last sector is zero.
//   0   4  bytes of records
//   4   4  number of records
//   8   8  LSN of the first record
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
  uint32_t generation = 0;  // the number in the file's name
  uint32_t sectors = 0;     // in the file, the header included
  uint64_t log_id = 0;
  Lsn base_lsn;  // LSN of the first record in this segment
  Lsn released;  // records below it may be missing
  // End of the previous segment, as an index of sectors; 0: none.
  uint32_t previous_end = 0;
};

// Returns one sector.
[[nodiscard]] std::string EncodeSegmentHeader(const SegmentHeader& header);

// Reads the header from the first sector of a file of `file_bytes`; `generation` is the
// number in the file's name. DATA_LOSS says what is wrong; FAILED_PRECONDITION: another
// format version.
[[nodiscard]] absl::StatusOr<SegmentHeader> DecodeSegmentHeader(const char* sector,
                                                                uint64_t log_id,
                                                                uint32_t generation,
                                                                uint64_t file_bytes);

struct BatchHeader {
  uint32_t body_bytes = 0;  // bytes of all records
  uint32_t records = 0;     // number of records
  Lsn first_lsn;
  Lsn released;  // records below it may be missing
};
// `data` is the data part of the batch's first sector.
[[nodiscard]] BatchHeader DecodeBatchHeader(std::string_view data);

// How many sectors a batch with this many bytes of records takes.
[[nodiscard]] constexpr uint64_t BatchSectors(uint64_t body_bytes) {
  return (kBatchHeaderBytes + body_bytes + kSectorDataBytes - 1) / kSectorDataBytes;
}

// Takes the next record off a batch's body. Returns false at the end of the body (*good
// is true), or when no whole record with the right checksum follows (*good is false).
[[nodiscard]] bool TakeRecord(std::string_view* body, uint8_t* type,
                              std::string_view* payload, bool* good);

// Builds a batch in the form that it has on disk. Each payload is copied once.
class BatchBuilder {
 public:
  void Add(uint8_t type, std::string_view payload);
  [[nodiscard]] bool empty() const { return records_ == 0; }
  [[nodiscard]] uint64_t body_bytes() const { return body_bytes_; }
  [[nodiscard]] uint32_t records() const { return records_; }

  // Finishes the batch, which will be written at sector `first`, and returns its bytes:
  // whole sectors, to which the caller may append. Clear must be called before the next
  // Add.
  std::string* Seal(const SegmentHeader& segment, uint32_t first, Lsn first_lsn,
                    Lsn released);
  void Clear();

 private:
  void Put(std::string_view bytes);

  std::string out_;          // the sectors so far, with room for their headers
  uint64_t body_bytes_ = 0;  // of the records
  uint32_t records_ = 0;
};

}  // namespace concordat::wal

#endif  // WAL_SEGMENT_H_
