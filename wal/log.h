// The write-ahead log, synchronous and single-threaded. Records are numbered and
// appended to segment files, are durable after Sync, and are replayed in order by Open.
//
//   LogOptions options;
//   options.dir = "/var/lib/x/wal";
//   options.owner = "raft";
//   auto log = Log::Open(PosixFileEnv(), options,
//       [](Lsn lsn, uint8_t type, std::string_view payload) { … });
//   auto lsn = (*log)->Append(kVote, bytes, Reserve::kNormal);
//   (*log)->Sync();                        // now it may be promised
//   (*log)->ReleaseBefore(first_needed);   // older segments are reused
//
// The format, and why a torn tail can be told from corruption: docs/log-format.md.
// For many threads and group commit: log_writer.h.
#ifndef WAL_LOG_H_
#define WAL_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/strong_id.h"

namespace concordat::wal {

// Log sequence number: the number of a record. The first record is 1, and each later
// record has the next number.
using Lsn = StrongId<struct LsnTag, uint64_t>;

// Which space an append may use when the disk is full.
enum class Reserve : uint8_t {
  kNormal,  // new work: refused while the reserve is not whole
  kFinish,  // the end of work already promised (decisions, ends): may use the reserve
};

struct LogOptions {
  // The log's directory. It is created when it does not exist. It belongs to one log.
  std::string dir;
  // What the log holds, in 1 to 64 printable characters without spaces ("raft"). A
  // directory of another owner is refused.
  std::string owner;
  // The log_id() of the log that must be there; if it is missing, no new log is made.
  // 0: open whichever log is there, or make a new one.
  uint64_t log_id = 0;
  // Size of one segment file: a multiple of 4096, at least 8192. It may differ from one
  // Open to the next. It bounds the size of a record: see MaxPayload().
  uint64_t segment_bytes = 64ull << 20;
  // Preallocated space that only Reserve::kFinish may use. It is rounded up to whole
  // segments, at least one. Each flush takes whole sectors of 512 bytes of it.
  uint64_t reserve_bytes = 16ull << 20;
  // How many released segments are kept for reuse besides the reserve. The others are
  // removed.
  size_t recycle_segments = 2;
};

// Open calls this for every record, in order and without a gap. It may see records
// below the last ReleaseBefore. `payload` is valid only during the call.
using ReadCallback = std::function<void(Lsn lsn, uint8_t type, std::string_view payload)>;

// Not thread-safe.
//
// A failed write or flush ends the process through FatalIoError and is never retried.
class Log {
 public:
  // Locks the directory. Makes the log when there is none; otherwise replays all of it,
  // truncates a torn tail that was never promised to anybody, and makes what was
  // replayed durable.
  //
  // Errors name the file and, where it applies, the offset. The log is then left as it
  // was:
  //   DATA_LOSS            bytes that were promised are damaged or missing. Some
  //                        records may have been passed to on_record before: discard
  //                        what was built from them.
  //   FAILED_PRECONDITION  the directory is locked by another process, holds another
  //                        owner's log, another format version, or foreign files; or
  //                        the log with LogOptions::log_id is not there
  //   RESOURCE_EXHAUSTED   no room for the first segment
  //   INVALID_ARGUMENT     bad options
  //   others               a file could not be opened or read
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Log>> Open(
      FileEnv* env, LogOptions options, const ReadCallback& on_record);

  // Records that were appended and not synced are dropped, as in a crash.
  virtual ~Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Buffers a record and numbers it. When the segment is full, the buffered records are
  // flushed and the next segment is started, so durable_lsn() may move here too.
  //   RESOURCE_EXHAUSTED  no space for this kind of record. Nothing was appended; later
  //                       appends may succeed when there is space again
  //   INVALID_ARGUMENT    the payload is longer than max_payload()
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                                                   Reserve use) = 0;

  // Writes and flushes everything appended: when it returns, durable_lsn() is the last
  // record. It also carries out what ReleaseBefore allowed.
  virtual void Sync() = 0;

  // Drawn at random when the log was made. It is stored in IDENTITY and in each segment.
  [[nodiscard]] virtual uint64_t log_id() const = 0;
  // The number that the next record will get.
  [[nodiscard]] virtual Lsn next_lsn() const = 0;
  // The last record that a crash cannot take away; 0 (none) in a new log.
  [[nodiscard]] virtual Lsn durable_lsn() const = 0;
  // The first record still in the log's files; next_lsn() when there is no record.
  [[nodiscard]] virtual Lsn first_lsn() const = 0;

  // Says that records below `lsn` are not needed any more. Segments that hold only such
  // records are reused at the next Sync. `lsn` is at most durable_lsn() + 1. A lower
  // `lsn` than in an earlier call changes nothing.
  virtual void ReleaseBefore(Lsn lsn) = 0;

  // Creates the segments that the reserve and the next change of segment need, if they
  // are missing. RESOURCE_EXHAUSTED: the disk is full. Append does this by itself; this
  // function is for callers that want it done earlier.
  [[nodiscard]] virtual absl::Status PrepareSpace() = 0;

  // How many preallocated segments wait to be used, and how many segments the reserve
  // needs. Appends with Reserve::kNormal are refused while there are fewer than the
  // reserve needs.
  [[nodiscard]] virtual size_t spare_segments() const = 0;
  [[nodiscard]] virtual size_t reserve_segments() const = 0;
  // The longest payload that fits into a record: MaxPayload(segment_bytes).
  [[nodiscard]] virtual size_t max_payload() const = 0;

 protected:
  Log() = default;
};

// The longest payload that fits into a segment of this size, at most 64 MiB; 62
// MiB at the default size. A record never spans two segments.
[[nodiscard]] size_t MaxPayload(uint64_t segment_bytes);

// kRecordOverhead is what a record takes in a segment besides its payload.
// SegmentCapacity is how many bytes of records fit into one segment when they are
// written in one batch.
inline constexpr size_t kRecordOverhead = 9;
[[nodiscard]] uint64_t SegmentCapacity(uint64_t segment_bytes);

}  // namespace concordat::wal

#endif  // WAL_LOG_H_
