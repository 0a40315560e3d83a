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

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"
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
  ~LogWriter() { Stop(); }
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
  [[nodiscard]] absl::StatusOr<Lsn> Append(const std::vector<Record>& records,
                                           Reserve use);
  // The same for one record, without a vector.
  [[nodiscard]] absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                                           Reserve use);

  // Waits until record `lsn` is durable. `lsn` must have been appended.
  void WaitDurable(Lsn lsn);

  // From this call to the next Flush, appends do not wake the writer thread. There may
  // be only one owner that holds, and holds do not nest. WaitDurable and a full queue
  // end a hold.
  void Hold() {
    MutexLock lock(&mutex_);
    held_ = true;
  }
  // Ends the hold and makes durable what is queued. This happens on the calling thread,
  // before this returns, when the writer thread is idle and the options allow it.
  // Otherwise the writer thread does it soon.
  void Flush();

  // As Log::ReleaseBefore. It is carried out soon, by the thread that flushes next.
  void ReleaseBefore(Lsn lsn);

  [[nodiscard]] uint64_t log_id() const { return log_id_; }  // as Log::log_id
  [[nodiscard]] Lsn next_lsn() const {
    MutexLock lock(&mutex_);
    return next_lsn_;
  }
  [[nodiscard]] Lsn durable_lsn() const { return Lsn(durable_.load()); }
  [[nodiscard]] size_t max_payload() const { return max_payload_; }
  // False: an append with this reserve would be refused because the disk is full. With
  // this, the owner can refuse work before it has begun.
  [[nodiscard]] bool HasSpace(Reserve use) const {
    return use == Reserve::kNormal ? normal_open_.load() : finish_open_.load();
  }
  // Number of flushes since Open. Records divided by flushes is the mean size of a group.
  [[nodiscard]] uint64_t flush_count() const { return flushes_.load(); }

  // Flushes what is queued and ends the thread. Later appends are refused. May be
  // called more than once.
  void Stop();

 private:
  LogWriter(std::unique_ptr<Log> log, LogWriterOptions options, size_t margin_segments);

  struct Waiter {
    Lsn lsn;
    ConditionVariable wake;
  };

  // Common to both forms of Append: `enqueue` puts `count` records with `bytes` of
  // payload into the queue.
  template <class EnqueueAll>
  absl::StatusOr<Lsn> AppendQueued(size_t bytes, size_t count, Reserve use,
                                   EnqueueAll enqueue);
  absl::Status WaitForRoom(size_t bytes, Reserve use)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  void Run();
  // False: the writer has stopped, and nothing is left to do.
  bool WaitForWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Spin();
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !queue_.empty() || release_ > release_done_ || stop_;
  }
  void TakeBatch(std::string* batch, Lsn* release) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeBatchHere() ABSL_LOCKS_EXCLUDED(mutex_);
  void Write(std::string_view records, Lsn release);
  // Wakes the writer although an owner holds, because somebody waits for what is queued.
  void EndHold() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (std::exchange(held_, false)) work_.NotifyOne();
  }
  void NoteSpace();
  void Finished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::unique_ptr<Log> log_;  // used by the thread that flushes: see writing_here_
  const LogWriterOptions options_;
  const size_t margin_segments_;  // spares kept for the accepted records: see NoteSpace
  const uint64_t log_id_;
  const size_t max_payload_;

  mutable Mutex mutex_;
  ConditionVariable work_;  // signals the writer thread: there is work
  ConditionVariable room_;  // signals appenders: the queue has room
  // Encoded records, not yet taken for a flush.
  std::string queue_ ABSL_GUARDED_BY(mutex_);
  // With kRecordOverhead for each record.
  size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // In the batch that is being written.
  size_t flushing_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  Lsn next_lsn_ ABSL_GUARDED_BY(mutex_);      // of the next record that is queued
  Lsn release_ ABSL_GUARDED_BY(mutex_);       // highest argument of ReleaseBefore
  Lsn release_done_ ABSL_GUARDED_BY(mutex_);  // the release that is carried out
  size_t queued_records_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writer_sleeps_ ABSL_GUARDED_BY(mutex_) = false;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;  // between Hold and Flush
  // True: a caller of Flush uses log_ now, and the writer thread must not.
  bool writing_here_ ABSL_GUARDED_BY(mutex_) = false;
  size_t waiting_for_room_ ABSL_GUARDED_BY(mutex_) = 0;   // threads in WaitForRoom
  std::vector<Waiter*> waiters_ ABSL_GUARDED_BY(mutex_);  // threads in WaitDurable
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  bool joined_ ABSL_GUARDED_BY(mutex_) = false;

  std::atomic<uint64_t> durable_;  // durable_lsn()
  std::atomic<uint64_t> flushes_ = 0;
  std::atomic<int64_t> flush_micros_ = 0;  // duration of a flush, moving average
  // Tells Spin, without the mutex, that there is work.
  std::atomic<bool> work_hint_ = false;
  std::atomic<bool> normal_open_ = false;  // HasSpace(Reserve::kNormal)
  std::atomic<bool> finish_open_ = false;  // HasSpace(Reserve::kFinish)
  // The batch of the thread that called Flush.
  std::string batch_here_;
  Lsn release_here_;
  std::thread thread_;
};

}  // namespace concordat::wal

#endif  // WAL_LOG_WRITER_H_
