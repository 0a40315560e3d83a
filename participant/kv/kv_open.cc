// Opening the folder of a KV shard: whose it is, the checkpoint, the log.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/log.h"
#include "participant/kv/kv_resource_manager.h"

namespace concordat::participant::kv {
namespace {

constexpr std::string_view kIdentityHead = "concordat kv store, format 1\n";

bool IsOurs(const std::string& name) {
  for (const std::string_view ours : {"lock", "store", "store.new", "checkpoint",
                                      "checkpoint.new", "wal", "lost+found"}) {
    if (name == ours) return true;
  }
  return false;
}

}  // namespace

absl::Status KvResourceManager::CheckFolder() const {
  absl::StatusOr<std::vector<std::string>> names = env_->List(dir_);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!IsOurs(name)) {
      return absl::FailedPreconditionError(
          absl::StrCat(dir_, " is not a KV shard's folder: it holds \"", name,
                       "\". Name an empty folder, or one that a KV shard has made"));
    }
  }
  return absl::OkStatus();
}

absl::Status KvResourceManager::CheckIdentity(ClusterId cluster) {
  const std::string wanted = absl::StrCat(
      std::string(kIdentityHead), absl::StrFormat("cluster %016x\n", cluster.value()));
  constexpr char kId[] = "id ";
  absl::StatusOr<std::string> text = wal::ReadWholeFile(env_, dir_ + "/store");
  if (absl::IsNotFound(text.status())) {
    for (const char* part : {"/checkpoint", "/wal"}) {
      if (env_->OpenReadOnly(dir_ + part).ok()) {
        return absl::FailedPreconditionError(
            absl::StrCat(dir_,
                         " holds a log or a checkpoint, but not the file \"store\" "
                         "that says whose they are. Restore it from a copy"));
      }
    }
    store_id_ = absl::StrFormat("%016x", env_->NewId());
    return wal::WriteWholeFile(env_, dir_, "store",
                               absl::StrCat(wanted, kId, store_id_, "\n"));
  }
  if (!text.ok()) return text.status();
  if (const std::string head = wanted + kId; text->rfind(head, 0) == 0) {
    store_id_ = text->substr(head.size());
    while (!store_id_.empty() && store_id_.back() == '\n') store_id_.pop_back();
    return absl::OkStatus();
  }
  if (text->rfind(kIdentityHead, 0) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        dir_, "/store is not that of a KV shard, or of a newer version of it"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      dir_, " belongs to another cluster (", text->substr(kIdentityHead.size(), 24),
      "; this one is ", absl::StrFormat("%016x", cluster.value()),
      "). Name another folder, or the coordinators of that cluster"));
}

absl::StatusOr<std::vector<BranchId>> KvResourceManager::Open(ClusterId cluster) {
  if (absl::Status s = env_->CreateDir(dir_); !s.ok()) return s;
  if (absl::Status s = CheckFolder(); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<wal::FileLock>> lock = env_->Lock(dir_ + "/lock");
  if (!lock.ok()) {
    return absl::Status(lock.status().code(),
                        absl::StrCat(lock.status().message(),
                                     ". A shard is served by one process: end the other "
                                     "one, or name another folder"));
  }
  lock_ = *std::move(lock);
  if (absl::Status s = CheckIdentity(cluster); !s.ok()) return s;

  absl::StatusOr<CheckpointState> checkpoint = ReadCheckpoint(env_, dir_);
  wal::Lsn start(1);
  if (checkpoint.ok()) {
    start = checkpoint->start;
    MutexLock guard(&mutex_);
    shard_.Load(*std::move(checkpoint));
  } else if (!absl::IsNotFound(checkpoint.status())) {
    return checkpoint.status();
  }
  if (absl::Status s = OpenLog(start); !s.ok()) return s;
  MutexLock guard(&mutex_);
  std::vector<BranchId> prepared = shard_.FinishRecovery(log_.get());
  LogEvent(Level::kInfo, "kv shard open")
      .Field("dir", dir_)
      .Field("rows", shard_.rows().size())
      .Field("in_doubt", prepared.size());
  return prepared;
}

absl::Status KvResourceManager::OpenLog(wal::Lsn start) {
  wal::LogOptions log;
  log.dir = dir_ + "/wal";
  log.owner = "kv";
  log.segment_bytes = options_.segment_bytes;
  log.reserve_bytes = options_.reserve_bytes;
  wal::LogWriterOptions writer;
  writer.queue_bytes = options_.queue_bytes;
  writer.block_when_full = false;  // the caller is a loop that serves others too
  writer.flush_here_below = options_.flush_here_below;
  writer.on_durable = [this](wal::Lsn lsn) { OnDurable(lsn); };

  absl::Status replayed;
  uint64_t bytes = 0;
  wal::Lsn first;
  const auto replay = [&](wal::Lsn lsn, uint8_t type, std::string_view payload) {
    if (first.is_none()) first = lsn;
    if (lsn < start || !replayed.ok()) return;
    bytes += payload.size() + CountedLog::kRecordOverhead;
    MutexLock guard(&mutex_);
    replayed = shard_.Replay(lsn, type, payload);
  };
  absl::StatusOr<std::unique_ptr<wal::LogWriter>> opened =
      wal::LogWriter::Open(env_, log, writer, replay);
  if (!opened.ok()) return opened.status();
  if (!replayed.ok()) {
    return absl::DataLossError(absl::StrCat(log.dir, ": ", replayed.message()));
  }
  const bool gap = first.is_none() ? (*opened)->next_lsn() < start : first > start;
  if (gap) {
    return absl::DataLossError(absl::StrCat(
        log.dir, " begins at record ", first.value(),
        ", behind the checkpoint, which "
        "needs ",
        start.value(), ": files are missing. Restore the folder from a copy"));
  }
  if ((*opened)->max_payload() <
      options_.shard.max_branch_bytes + options_.shard.max_branch_bytes / 8) {
    return absl::InvalidArgumentError(absl::StrCat(
        "segments of ", options_.segment_bytes, " bytes are too small for branches of ",
        options_.shard.max_branch_bytes));
  }
  writer_ = *std::move(opened);
  log_ = std::make_unique<CountedLog>(writer_.get(), bytes);
  return absl::OkStatus();
}

}  // namespace concordat::participant::kv
