// Group commit: many threads append, one thread writes. Everything queued while a
// flush runs goes with the next flush.
//
//   LogWriterOptions w;
//   w.on_durable = [&](Lsn durable) { loop.Post(...); };   // once a flush
//   auto writer = LogWriter::Open(PosixFileEnv(), log_options, w, replay);
//   auto last = (*writer)->Append({{kEntry, bytes}, {kVote, vote}}, Reserve::kNormal);
//   (*writer)->WaitDurable(*last);       // or wait for on_durable(>= *last)
//
// An owner with a thread of its own, such as an event loop, can do a short flush itself
// and save two changes of threads:
//
//   (*writer)->Hold();                   // appends wake nobody from here on
//   auto last = (*writer)->Append(...);
//   (*writer)->Flush();                  // here, or by the writer thread
//
// The queue is bounded in bytes; an appender that finds it full waits, or is told
// UNAVAILABLE, as the options say. A full disk is noticed before a record is
// accepted: an accepted record will be written, or the process ends.
#ifndef WAL_LOG_WRITER_H_
#define WAL_LOG_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "wal/log.h"

namespace concordat::wal {

struct Record {
  uint8_t type = 0;
  std::string payload;
};

struct LogWriterOptions {
  // Called after each flush with the new durable_lsn(), on the thread that flushed: the
  // writer's, or the one that called Flush. It may
  // Append (when block_when_full is off) and ReleaseBefore, and must not WaitDurable
  // or Stop. May be empty.
  std::function<void(Lsn durable)> on_durable;
  // Most bytes queued and not yet durable; also the most that one Append may hold.
  size_t queue_bytes = 20u << 20;
  // What Append does when the queue is full: wait, or return UNAVAILABLE.
  bool block_when_full = true;
  // How often a full disk is tried again while appends are refused.
  Duration space_retry = Duration::Millis(100);
  // How long the writer looks for new records before it sleeps. Costs processor
  // time after each burst, and saves an appender the wake-up.
  Duration spin = Duration::Micros(0);
  // Flush does the work on the calling thread only while flushes lately took less than
  // this (a moving average), and so few records wait. Zero: never.
  Duration flush_here_below = Duration::Micros(0);
  size_t flush_here_records = 4;
};

// Thread-safe. A failed write or flush ends the process by FatalIoError.
class LogWriter {
 public:
  // Opens the log as Log::Open does, with its errors, and starts the thread.
  // `on_record` is called on the calling thread, before this returns. The log's
  // reserve is enlarged by what the queue can hold.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LogWriter>> Open(
      FileEnv* env, LogOptions log_options, LogWriterOptions options,
      const ReadCallback& on_record);

  // Stops as Stop does.
  virtual ~LogWriter() = default;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Queues records, which get consecutive numbers with nothing between them, and
  // returns the number of the last one: wait for that. At a crash before it is
  // durable, any first part of them may remain. `records` is not empty.
  //   RESOURCE_EXHAUSTED   the disk is full for this kind of record: nothing queued
  //   UNAVAILABLE          the queue is full, with block_when_full off: nothing queued
  //   INVALID_ARGUMENT     a payload longer than max_payload(), or all of them, with
  //                        kRecordOverhead each, longer than the queue: nothing queued
  //   FAILED_PRECONDITION  stopped: nothing queued
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(const std::vector<Record>& records,
                                                   Reserve use) = 0;
  // The same for one record, without a vector.
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                                                   Reserve use) = 0;

  // Waits until record `lsn` is durable. `lsn` must have been appended.
  virtual void WaitDurable(Lsn lsn) = 0;

  // From here to the next Flush appends do not wake the writer thread. For one owner:
  // holds do not nest. WaitDurable and a full queue end a hold by themselves.
  virtual void Hold() = 0;
  // Ends the hold. What is queued is made durable: on the calling thread, before this
  // returns, when the writer thread is idle and the options allow it; otherwise soon.
  virtual void Flush() = 0;

  // As Log::ReleaseBefore; carried out soon, by whoever flushes.
  virtual void ReleaseBefore(Lsn lsn) = 0;

  [[nodiscard]] virtual uint64_t log_id() const = 0;  // as Log::log_id
  [[nodiscard]] virtual Lsn next_lsn() const = 0;
  [[nodiscard]] virtual Lsn durable_lsn() const = 0;
  [[nodiscard]] virtual size_t max_payload() const = 0;
  // Would an append with this reserve be refused for want of disk space? Lets the
  // owner refuse work before it has begun.
  [[nodiscard]] virtual bool HasSpace(Reserve use) const = 0;
  // Flushes that have been made since Open: records / flushes is the size of a group.
  [[nodiscard]] virtual uint64_t flush_count() const = 0;

  // Flushes what is queued, ends the thread; later appends are refused. May be
  // called more than once.
  virtual void Stop() = 0;

 protected:
  LogWriter() = default;
};

}  // namespace concordat::wal

#endif  // WAL_LOG_WRITER_H_
