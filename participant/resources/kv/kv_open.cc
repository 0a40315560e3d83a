// Opens the folder of a KV shard: checks whose it is, then reads the checkpoint and the
// log.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/resources/kv/kv_resource_manager.h"

namespace concordat::participant::kv {
namespace {

constexpr StoreFolderKind kFolder = {"concordat kv store, format 1", "a KV shard", ""};

}  // namespace

absl::StatusOr<std::vector<BranchId>> KvResourceManager::Open(ClusterId cluster) {
  absl::StatusOr<StoreFolder> folder = StoreFolder::Claim(env_, dir_, kFolder, cluster);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);

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
  log.log_id = folder_.log_id();
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
  if (absl::Status s = folder_.KeepLog((*opened)->log_id()); !s.ok()) return s;
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
