// Group commit: many threads append, and one thread writes. All records that are queued
// while a flush runs are written with the next flush.
//
//   LogWriterOptions w;
//   w.on_durable = [](Lsn durable) { … };     // once for each flush
//   auto writer = LogWriter::Open(PosixFileEnv(), log_options, w, replay);
//   auto last = (*writer)->Append({{kEntry, bytes}, {kVote, vote}}, Reserve::kNormal);
//   (*writer)->WaitDurable(*last);       // or wait for on_durable(>= *last)
//
// An owner with a thread of its own, such as an event loop, can do a short flush itself
// and save two context switches:
//
//   (*writer)->Hold();                   // from here on, appends wake no thread
//   auto last = (*writer)->Append(records, Reserve::kNormal);
//   (*writer)->Flush();                  // on this thread, or on the writer thread
//
// The queue is bounded in bytes. When it is full, Append waits or returns UNAVAILABLE,
// as the options say. A full disk is noticed before a record is accepted: an accepted
// record will be written, or the process ends.
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
  // Defined by the log's owner.
  uint8_t type = 0;
  std::string payload;
};

struct LogWriterOptions {
  // Called after each flush with the new durable_lsn(), on the thread that flushed: the
  // writer thread, or the thread that called Flush. It may call ReleaseBefore, and Append
  // when block_when_full is false. It must not call WaitDurable or Stop. May be empty.
  std::function<void(Lsn durable)> on_durable;
  // How many bytes may be queued and not yet durable. One Append can hold no more than
  // this.
  size_t queue_bytes = 20u << 20;
  // What Append does when the queue is full. True: it waits. False: it returns
  // UNAVAILABLE.
  bool block_when_full = true;
  // How often the writer tries to get disk space while appends are refused for a full
  // disk.
  Duration space_retry = Duration::Millis(100);
  // How long the writer thread looks for new records before it sleeps. This costs
  // processor time after each burst and saves the next appender a system call.
  Duration spin = Duration::Micros(0);
  // Flush writes on the calling thread only while the moving average of flush times is
  // below flush_here_below and at most flush_here_records records wait. Zero: it never
  // does.
  Duration flush_here_below = Duration::Micros(0);
  size_t flush_here_records = 4;
};

// Thread-safe. A failed write or flush ends the process through FatalIoError.
class LogWriter {
 public:
  // Opens the log as Log::Open does, returns the same errors, and starts the thread.
  // `on_record` is called on the calling thread, before this returns. The log's reserve
  // is enlarged by what the queue can hold.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LogWriter>> Open(
      FileEnv* env, LogOptions log_options, LogWriterOptions options,
      const ReadCallback& on_record);

  // Stops as Stop does.
  virtual ~LogWriter() = default;
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Queues records and returns the number of the last one, which is the one to wait
  // for. The records get consecutive numbers, with no other record between them. After
  // a crash before the last one is durable, any first part of them may remain.
  // `records` is not empty.
  //   RESOURCE_EXHAUSTED   the disk is full for this kind of record
  //   UNAVAILABLE          the queue is full, and block_when_full is false
  //   INVALID_ARGUMENT     a payload is longer than max_payload(), or all payloads, with
  //                        kRecordOverhead for each, are longer than queue_bytes
  //   FAILED_PRECONDITION  Stop was called
  // After each of these errors, nothing was queued.
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(const std::vector<Record>& records,
                                                   Reserve use) = 0;
  // The same for one record, without a vector.
  [[nodiscard]] virtual absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                                                   Reserve use) = 0;

  // Waits until record `lsn` is durable. `lsn` must have been appended.
  virtual void WaitDurable(Lsn lsn) = 0;

  // From this call to the next Flush, appends do not wake the writer thread. There may
  // be only one owner that holds, and holds do not nest. WaitDurable and a full queue
  // end a hold.
  virtual void Hold() = 0;
  // Ends the hold and makes durable what is queued. This happens on the calling thread,
  // before this returns, when the writer thread is idle and the options allow it.
  // Otherwise the writer thread does it soon.
  virtual void Flush() = 0;

  // As Log::ReleaseBefore. It is carried out soon, by the thread that flushes next.
  virtual void ReleaseBefore(Lsn lsn) = 0;

  [[nodiscard]] virtual uint64_t log_id() const = 0;  // as Log::log_id
  [[nodiscard]] virtual Lsn next_lsn() const = 0;
  [[nodiscard]] virtual Lsn durable_lsn() const = 0;
  [[nodiscard]] virtual size_t max_payload() const = 0;
  // False: an append with this reserve would be refused because the disk is full. With
  // this, the owner can refuse work before it has begun.
  [[nodiscard]] virtual bool HasSpace(Reserve use) const = 0;
  // Number of flushes since Open. Records divided by flushes is the mean size of a group.
  [[nodiscard]] virtual uint64_t flush_count() const = 0;

  // Flushes what is queued and ends the thread. Later appends are refused. May be
  // called more than once.
  virtual void Stop() = 0;

 protected:
  LogWriter() = default;
};

}  // namespace concordat::wal

#endif  // WAL_LOG_WRITER_H_
