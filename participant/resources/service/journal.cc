#include "participant/resources/service/journal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"

namespace concordat::participant::service {
namespace {

constexpr StoreFolderKind kFolder = {"concordat service store, format 1",
                                     "a service's branches",
                                     "; your own data go elsewhere"};
constexpr size_t kRecordOverhead = 16;
// When there are more, they are written without waiting for a flush.
constexpr size_t kMaxLazyBytes = 32 << 10;
constexpr size_t kMostLazyBytes = 256 << 10;  // when the disk is full, more are dropped

}  // namespace

absl::Status Journal::Damaged(std::string_view file, std::string_view what) const {
  return absl::DataLossError(absl::StrCat(dir_, "/", std::string(file), ": ",
                                          std::string(what),
                                          ". Restore the folder from a copy"));
}

// --- opening ---

absl::StatusOr<LogState> Journal::Open(ClusterId cluster,
                                       std::function<void(wal::Lsn)> on_durable) {
  absl::StatusOr<StoreFolder> folder = StoreFolder::Claim(env_, dir_, kFolder, cluster);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);

  LogState state;
  wal::Lsn start(1);
  absl::StatusOr<std::string> bytes = ReadWholeFile(env_, dir_ + "/checkpoint");
  if (bytes.ok()) {
    absl::StatusOr<LogState> parsed = ParseCheckpoint(*bytes, &start);
    if (!parsed.ok()) {
      return Damaged("checkpoint", std::string(parsed.status().message()));
    }
    state = *std::move(parsed);
  } else if (!absl::IsNotFound(bytes.status())) {
    return bytes.status();
  }
  if (absl::Status s = OpenLog(start, &state, std::move(on_durable)); !s.ok()) return s;
  return state;
}

absl::Status Journal::OpenLog(wal::Lsn start, LogState* state,
                              std::function<void(wal::Lsn)> on_durable) {
  wal::LogOptions log;
  log.dir = dir_ + "/wal";
  log.owner = "service";
  log.log_id = folder_.log_id();
  log.segment_bytes = options_.segment_bytes;
  log.reserve_bytes = options_.reserve_bytes;
  wal::LogWriterOptions writer;
  writer.queue_bytes = options_.queue_bytes;
  writer.block_when_full = false;  // the caller is a loop that serves others too
  writer.flush_here_below = options_.flush_here_below;
  writer.on_durable = std::move(on_durable);

  absl::Status replayed;
  wal::Lsn first;
  const auto replay = [&](wal::Lsn lsn, uint8_t type, std::string_view payload) {
    if (first.is_none()) first = lsn;
    if (lsn < start || !replayed.ok()) return;
    bytes_ += payload.size() + kRecordOverhead;
    replayed = state->Apply(type, payload);
    if (replayed.ok()) return;
    replayed =
        Damaged("wal", absl::StrCat("record ", lsn.value(), ": ", replayed.message()));
  };
  absl::StatusOr<std::unique_ptr<wal::LogWriter>> opened =
      wal::LogWriter::Open(env_, log, writer, replay);
  if (!opened.ok()) return opened.status();
  if (absl::Status s = folder_.KeepLog((*opened)->log_id()); !s.ok()) return s;
  if (!replayed.ok()) return replayed;
  const bool gap = first.is_none() ? (*opened)->next_lsn() < start : first > start;
  if (gap) {
    return Damaged("wal", absl::StrCat("begins at record ", first.value(),
                                       ", behind the checkpoint, which needs ",
                                       start.value(), ": files are missing"));
  }
  writer_ = *std::move(opened);
  return absl::OkStatus();
}

// --- writing ---

absl::StatusOr<wal::Lsn> Journal::Append(RecordType type, std::string payload,
                                         wal::Reserve use) {
  const size_t size = payload.size() + kRecordOverhead;
  lazy_.push_back({static_cast<uint8_t>(type), std::move(payload)});
  const absl::StatusOr<wal::Lsn> lsn = writer_->Append(lazy_, use);
  if (!lsn.ok()) {
    lazy_.pop_back();
    return lsn.status();
  }
  bytes_ += lazy_bytes_ + size;
  lazy_.clear();
  lazy_bytes_ = 0;
  return lsn;
}

void Journal::AppendLazily(RecordType type, std::string payload) {
  lazy_bytes_ += payload.size() + kRecordOverhead;
  lazy_.push_back({static_cast<uint8_t>(type), std::move(payload)});
  if (lazy_bytes_ < kMaxLazyBytes) return;
  PushLazy();
  if (lazy_bytes_ >= kMostLazyBytes) {  // the disk is full; Lookup will tell the same
    lazy_.clear();
    lazy_bytes_ = 0;
  }
}

// If there is no room now, the records stay here: they are written later, or Lookup finds
// the same at the next start.
wal::Lsn Journal::PushLazy() {
  if (!lazy_.empty() && writer_->Append(lazy_, wal::Reserve::kFinish).ok()) {
    bytes_ += lazy_bytes_;
    lazy_.clear();
    lazy_bytes_ = 0;
  }
  return writer_->next_lsn().Previous();
}

void Journal::Close() {
  if (writer_ != nullptr) {
    PushLazy();
    writer_->Stop();
    writer_.reset();  // unlocks the log's folder
  }
  folder_.Release();
}

// --- checkpoint ---

wal::Lsn Journal::BeginCheckpoint() {
  bytes_ = 0;  // if the checkpoint fails, the next one is tried after as many bytes again
  return writer_->next_lsn();
}

absl::Status Journal::InstallCheckpoint(wal::Lsn start, std::string_view bytes) {
  // If records before `start` were lost in a crash, their numbers would be given to other
  // records, which the next start would skip.
  if (start > wal::Lsn(1)) writer_->WaitDurable(start.Previous());
  const absl::Status written = WriteWholeFile(env_, dir_, "checkpoint", bytes);
  if (!written.ok()) {
    if (!absl::IsResourceExhausted(written)) {
      FatalIoError(absl::StrCat("checkpoint in ", dir_, ": ", written.ToString()));
    }
    const absl::Status removed = env_->Remove(dir_ + "/checkpoint.new");
    return removed.ok() || absl::IsNotFound(removed) ? written : removed;
  }
  writer_->ReleaseBefore(start);
  LogEvent(Level::kInfo, "checkpoint made")
      .Field("dir", dir_)
      .Field("start", start)
      .Field("bytes", bytes.size());
  return absl::OkStatus();
}

}  // namespace concordat::participant::service
