// The write-ahead log, synchronous and single-threaded: numbered records appended to
// segment files, durable after Sync, replayed in order by Open.
//
//   LogOptions options;  options.dir = "/var/lib/x/wal";  options.owner = "raft";
//   auto log = Log::Open(PosixFileEnv(), options,
//       [&](Lsn lsn, uint8_t type, std::string_view payload) { Replay(...); });
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

// Log sequence number: the number of a record. The first is 1, each next one 1 more.
using Lsn = StrongId<struct LsnTag, uint64_t>;

// Which space an append may use when the disk is full.
enum class Reserve : uint8_t {
  kNormal,  // new work: refused while the reserve is not whole
  kFinish,  // finishes work already promised (decisions, ends): may use the reserve
};

struct LogOptions {
  // Made when it is not there. Belongs to one log.
  std::string dir;
  // What the log holds, 1 to 64 printable characters without spaces ("raft"). A
  // directory of another owner is refused.
  std::string owner;
  // The log that must be there, by its log_id(): a missing one is then not made anew.
  // 0: whichever is there, or a new one.
  uint64_t log_id = 0;
  // Size of one file, a multiple of 4096, at least 8192. May differ from one Open to
  // the next. Bounds the size of a record: MaxPayload().
  uint64_t segment_bytes = 64ull << 20;
  // Preallocated space that only Reserve::kFinish may use; rounded up to whole
  // segments, at least one. Each flush takes whole sectors of 512 bytes of it.
  uint64_t reserve_bytes = 16ull << 20;
  // How many released segments are kept for reuse, beyond the reserve; more are
  // removed.
  size_t recycle_segments = 2;
};

// Called by Open for every record, in order, with no gap. It may see records below
// the last ReleaseBefore. `payload` is valid during the call only.
using ReadCallback = std::function<void(Lsn lsn, uint8_t type, std::string_view payload)>;

// Not thread-safe.
//
// A failed write or flush ends the process by FatalIoError and is never retried.
class Log {
 public:
  // Locks the directory, makes the log when there is none, else replays all of it,
  // cuts a torn tail that nobody was promised, and makes what was replayed durable.
  //
  // Errors, each naming file and, where it applies, offset; the log is then left as
  // it was:
  //   DATA_LOSS            bytes that were promised are damaged or missing. Some
  //                        records may have been handed to on_record before: throw
  //                        away what they built.
  //   FAILED_PRECONDITION  the directory is locked by another process, holds another
  //                        owner's log, another format version, or foreign files; or
  //                        the log with LogOptions::log_id is not there
  //   RESOURCE_EXHAUSTED   no room for the first segment
  //   INVALID_ARGUMENT     bad options
  //   others               a file could not be opened or read
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Log>> Open(
      FileEnv* env, LogOptions options, const ReadCallback& on_record);

  // What was appended and not synced is dropped, as in a crash.
  virtual ~Log() = default;
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Buffers a record and numbers it. When the segment is full, flushes what is
  // buffered and starts the next one, so durable_lsn() may move here too.
  //   RESOURCE_EXHAUSTED  no space for this kind of record; nothing was appended,
  //                       later ones may succeed when space returns
  //   INVALID_ARGUMENT    longer than max_payload()
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                                                   Reserve use) = 0;

  // Writes and flushes everything appended: when it returns, durable_lsn() is the
  // last record. Also carries out what ReleaseBefore allowed.
  virtual void Sync() = 0;

  // Drawn at random when the log was made; stands in its IDENTITY and in each segment.
  [[nodiscard]] virtual uint64_t log_id() const = 0;
  // The number that the next record will get.
  [[nodiscard]] virtual Lsn next_lsn() const = 0;
  // The last record that a crash cannot take away; none (0) in a new log.
  [[nodiscard]] virtual Lsn durable_lsn() const = 0;
  // The first record still in the log's files; next_lsn() when there is none.
  [[nodiscard]] virtual Lsn first_lsn() const = 0;

  // Records below `lsn` are not needed any more: whole segments of them are reused,
  // at the next Sync. `lsn` is at most durable_lsn() + 1. A lower one than before
  // changes nothing.
  virtual void ReleaseBefore(Lsn lsn) = 0;

  // Creates the segments that the reserve and the next switch need, if they are
  // missing; RESOURCE_EXHAUSTED when the disk is full. Append does this by itself:
  // it is for those who want it done before.
  [[nodiscard]] virtual absl::Status PrepareSpace() = 0;

  // Preallocated segments that wait to be used, and how many of them are the reserve.
  // Reserve::kNormal is refused while there are fewer than the reserve.
  [[nodiscard]] virtual size_t spare_segments() const = 0;
  [[nodiscard]] virtual size_t reserve_segments() const = 0;
  // Longest payload that fits: MaxPayload(segment_bytes).
  [[nodiscard]] virtual size_t max_payload() const = 0;

 protected:
  Log() = default;
};

// The longest payload that a segment of this size takes, at most 64 MiB: 16 MiB and
// much more at the default size. One record never spans two segments.
[[nodiscard]] size_t MaxPayload(uint64_t segment_bytes);

// What a record takes of a segment besides its payload, and the bytes of records
// that one segment takes when they are written in one batch.
inline constexpr size_t kRecordOverhead = 9;
[[nodiscard]] uint64_t SegmentCapacity(uint64_t segment_bytes);

}  // namespace concordat::wal

#endif  // WAL_LOG_H_
