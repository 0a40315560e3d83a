#include "wal/log_writer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "wal/sector.h"
#include "wal/spare_pool.h"

namespace concordat::wal {
namespace {

// Records wait in one buffer, each as 4 bytes of length, 1 byte of type, and the payload.
constexpr size_t kQueueHeaderBytes = 5;

// What two batches, the one being flushed and the next one, take besides their records.
constexpr size_t kBatchRounding = 4 * kSectorBytes;

void Enqueue(std::string* queue, uint8_t type, std::string_view payload) {
  char header[kQueueHeaderBytes];
  PutU32(header, static_cast<uint32_t>(payload.size()));
  header[4] = static_cast<char>(type);
  queue->append(header, sizeof(header));
  queue->append(payload);
}

}  // namespace

LogWriter::LogWriter(std::unique_ptr<Log> log, LogWriterOptions options,
                     size_t margin_segments)
    : log_(std::move(log)),
      options_(std::move(options)),
      margin_segments_(margin_segments),
      log_id_(log_->log_id()),
      max_payload_(log_->max_payload()),
      next_lsn_(log_->next_lsn()),
      durable_(log_->durable_lsn().value()) {
  NoteSpace();
  thread_ = std::thread([this] { Run(); });
}

absl::StatusOr<Lsn> LogWriter::Append(const std::vector<Record>& records, Reserve use) {
  CONCORDAT_CHECK(!records.empty()) << "appending no record";
  size_t bytes = 0;
  for (const Record& record : records) {
    if (record.payload.size() > max_payload_) {
      return absl::InvalidArgumentError(
          absl::StrCat("a record of ", record.payload.size(), " bytes, at most ",
                       max_payload_, " fit"));
    }
    bytes += record.payload.size();
  }
  return AppendQueued(bytes, records.size(), use, [&](std::string* queue) {
    for (const Record& record : records) Enqueue(queue, record.type, record.payload);
  });
}

absl::StatusOr<Lsn> LogWriter::Append(uint8_t type, std::string_view payload,
                                      Reserve use) {
  if (payload.size() > max_payload_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a record of ", payload.size(), " bytes, at most ", max_payload_, " fit"));
  }
  return AppendQueued(payload.size(), 1, use,
                      [&](std::string* queue) { Enqueue(queue, type, payload); });
}

template <class EnqueueAll>
absl::StatusOr<Lsn> LogWriter::AppendQueued(size_t bytes, size_t count, Reserve use,
                                            EnqueueAll enqueue) {
  bytes += count * kRecordOverhead;
  if (bytes > options_.queue_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "records of ", bytes, " bytes, the queue holds ", options_.queue_bytes));
  }
  Lsn last;
  bool wake;
  {
    MutexLock lock(&mutex_);
    if (absl::Status status = WaitForRoom(bytes, use); !status.ok()) return status;
    enqueue(&queue_);
    queued_bytes_ += bytes;
    queued_records_ += count;
    last = Lsn(next_lsn_.value() + count - 1);
    next_lsn_ = last.Next();
    // A writer that flushes or spins looks at the queue by itself. To wake a writer
    // that is awake would cost a system call for each append.
    wake = writer_sleeps_ && !held_;
    if (wake) writer_sleeps_ = false;
    work_hint_.store(true, std::memory_order_relaxed);
  }
  if (wake) work_.NotifyOne();
  return last;
}

absl::Status LogWriter::WaitForRoom(size_t bytes, Reserve use) {
  for (;;) {
    if (stop_) return absl::FailedPreconditionError("the log writer has stopped");
    if (!HasSpace(use)) {
      return absl::ResourceExhaustedError(
          "the disk is full: no space for new records in the log");
    }
    if (queued_bytes_ + flushing_bytes_ + bytes <= options_.queue_bytes) {
      return absl::OkStatus();
    }
    if (!options_.block_when_full) {
      return absl::UnavailableError("the log's queue is full");
    }
    EndHold();
    ++waiting_for_room_;
    room_.Wait(&mutex_);
    --waiting_for_room_;
  }
}

void LogWriter::WaitDurable(Lsn lsn) {
  if (durable_.load() >= lsn.value()) return;
  MutexLock lock(&mutex_);
  CONCORDAT_CHECK(lsn < next_lsn_) << "waiting for a record that was not appended";
  if (durable_.load() >= lsn.value()) return;
  EndHold();
  Waiter waiter;
  waiter.lsn = lsn;
  waiters_.push_back(&waiter);
  while (durable_.load() < lsn.value()) waiter.wake.Wait(&mutex_);
}

void LogWriter::ReleaseBefore(Lsn lsn) {
  CONCORDAT_CHECK(lsn.value() <= durable_.load() + 1) << "releasing what is not durable";
  MutexLock lock(&mutex_);
  if (lsn <= release_) return;
  release_ = lsn;
  if (writer_sleeps_) work_.NotifyOne();
}

void LogWriter::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    held_ = false;
    work_.NotifyOne();
    room_.NotifyAll();
    if (joined_) return;
    joined_ = true;
  }
  thread_.join();
}

// Looks for work for a moment before the writer sleeps.
void LogWriter::Spin() {
  if (options_.spin <= Duration()) return;
  const auto end = std::chrono::steady_clock::now() +
                   std::chrono::microseconds(options_.spin.micros());
  while (!work_hint_.load(std::memory_order_relaxed)) {
    if (std::chrono::steady_clock::now() >= end) return;
    // Lets another thread run on this processor, if there is one.
    std::this_thread::yield();
  }
}

bool LogWriter::WaitForWork() {
  while (!HasWork() || writing_here_ || held_) {
    writer_sleeps_ = true;
    if (normal_open_.load()) {
      work_.Wait(&mutex_);
    } else if (!work_.WaitFor(&mutex_, options_.space_retry) && !writing_here_) {
      writer_sleeps_ = false;
      return true;  // the disk was full: look again
    }
    writer_sleeps_ = false;
  }
  return !(stop_ && queue_.empty() && release_ <= release_done_);
}

void LogWriter::TakeBatch(std::string* batch, Lsn* release) {
  batch->clear();
  batch->swap(queue_);
  flushing_bytes_ = std::exchange(queued_bytes_, 0);
  queued_records_ = 0;
  *release = release_;
  work_hint_.store(false, std::memory_order_relaxed);
}

bool LogWriter::TakeBatchHere() {
  MutexLock lock(&mutex_);
  held_ = false;
  // The thread that uses the log now looks at the queue again afterwards.
  if (!HasWork() || !writer_sleeps_ || writing_here_) return false;
  if (queue_.empty() || queued_records_ > options_.flush_here_records ||
      flush_micros_.load() >= options_.flush_here_below.micros() ||
      !normal_open_.load()) {
    writer_sleeps_ = false;
    work_.NotifyOne();
    return false;
  }
  writing_here_ = true;
  TakeBatch(&batch_here_, &release_here_);
  return true;
}

// The writer thread must not use the log until on_durable has returned, since
// the calls of on_durable must be in the order of the flushes.
void LogWriter::Flush() {
  if (!TakeBatchHere()) return;
  Write(batch_here_, release_here_);
  {
    MutexLock lock(&mutex_);
    release_done_ = std::max(release_done_, release_here_);
    Finished();
  }
  if (options_.on_durable) options_.on_durable(durable_lsn());
  MutexLock lock(&mutex_);
  writing_here_ = false;
  if (HasWork() || !normal_open_.load()) work_.NotifyOne();
}

void LogWriter::Run() {
  std::string batch;
  for (;;) {
    Lsn release;
    Spin();
    {
      MutexLock lock(&mutex_);
      if (!WaitForWork()) return;
      TakeBatch(&batch, &release);
    }
    Write(batch, release);
    {
      MutexLock lock(&mutex_);
      release_done_ = std::max(release_done_, release);
      Finished();
    }
    if (!batch.empty() && options_.on_durable) options_.on_durable(durable_lsn());
  }
}

// NoteSpace made sure of space on the disk before the records were accepted. So every
// record may use the reserve now, and no append can fail.
void LogWriter::Write(std::string_view records, Lsn release) {
  const bool any = !records.empty();
  const auto start = std::chrono::steady_clock::now();
  while (!records.empty()) {
    const size_t length = GetU32(records.data());
    const auto type = static_cast<uint8_t>(records[4]);
    auto lsn =
        log_->Append(type, records.substr(kQueueHeaderBytes, length), Reserve::kFinish);
    CONCORDAT_CHECK(lsn.ok()) << "an accepted record was refused: "
                              << lsn.status().message();
    records.remove_prefix(kQueueHeaderBytes + length);
  }
  if (!release.is_none()) log_->ReleaseBefore(release);
  log_->Sync();
  if (any) {
    flushes_.fetch_add(1);
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - start);
    flush_micros_.store((7 * flush_micros_.load() + took.count()) / 8);
  }
  if (log_->spare_segments() <= log_->reserve_segments()) {
    // A full disk is no error here: NoteSpace makes appends fail.
    (void)log_->PrepareSpace().ok();
  }
  NoteSpace();
}

// At most one full queue has been accepted and not yet written. The margin, a part of
// the log's reserve, has room for it whatever the sizes of the records are, since two
// consecutive segments are never both less than half full: see Open. So while the
// margin is whole, more records may be accepted, and normal records only while the rest
// of the reserve is whole too.
void LogWriter::NoteSpace() {
  normal_open_.store(log_->spare_segments() >= log_->reserve_segments());
  finish_open_.store(log_->spare_segments() >= margin_segments_);
}

void LogWriter::Finished() {
  durable_.store(log_->durable_lsn().value());
  flushing_bytes_ = 0;
  if (waiting_for_room_ > 0) room_.NotifyAll();
  auto still = waiters_.begin();
  for (Waiter* waiter : waiters_) {
    if (waiter->lsn.value() <= durable_.load()) {
      waiter->wake.NotifyOne();
    } else {
      *still++ = waiter;
    }
  }
  waiters_.erase(still, waiters_.end());
}

absl::StatusOr<std::unique_ptr<LogWriter>> LogWriter::Open(
    FileEnv* env, LogOptions log_options, LogWriterOptions options,
    const ReadCallback& on_record) {
  if (log_options.segment_bytes < 16 * kSectorBytes) {
    return absl::InvalidArgumentError("segment_bytes is too small");
  }
  // A record that does not fit into the rest of a segment leaves that rest unused. In
  // the worst case two neighbouring segments together hold little more than one
  // segment's worth (next-fit packing). So Q bytes take at most 2Q / C segments, and
  // one that was begun.
  const uint64_t capacity = SegmentCapacity(log_options.segment_bytes);
  const uint64_t most = uint64_t{options.queue_bytes} + kBatchRounding;
  const uint64_t margin = 2 * most / capacity + 1;
  log_options.reserve_bytes =
      std::max<uint64_t>(1, log_options.reserve_bytes) + margin * capacity;
  auto log = Log::Open(env, std::move(log_options), on_record);
  if (!log.ok()) return log.status();
  return std::unique_ptr<LogWriter>(
      new LogWriter(*std::move(log), std::move(options), margin));
}

}  // namespace concordat::wal
