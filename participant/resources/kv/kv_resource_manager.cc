#include "participant/resources/kv/kv_resource_manager.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"

namespace concordat::participant::kv {

KvResourceManager::KvResourceManager(std::string dir, FileEnv* env, KvOptions options)
    : dir_(std::move(dir)), env_(env), options_(options), shard_(options.shard) {}

KvResourceManager::~KvResourceManager() { Close(); }

// --- the worker: recovery and checkpoints ---

void KvResourceManager::Recover(ClusterId cluster,
                                Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  CONCORDAT_CHECK(!worker_.joinable()) << "recovered twice";
  AddJob([this, cluster, done = std::move(done)]() mutable { done(Open(cluster)); });
  worker_ = std::thread([this] { RunWorker(); });
}

void KvResourceManager::AddJob(absl::AnyInvocable<void()> job) {
  MutexLock lock(&worker_mutex_);
  jobs_.push_back(std::move(job));
  worker_wakes_.NotifyOne();
}

void KvResourceManager::RunWorker() {
  while (true) {
    std::vector<absl::AnyInvocable<void()>> jobs;
    {
      MutexLock lock(&worker_mutex_);
      while (jobs_.empty() && !stop_) worker_wakes_.Wait(&worker_mutex_);
      if (jobs_.empty()) return;
      jobs.swap(jobs_);
    }
    for (auto& job : jobs) job();
  }
}

void KvResourceManager::RunDueCheckpoint() {
  const absl::Status status = Checkpoint();
  if (!status.ok()) {
    LogEvent(Level::kWarning, "checkpoint not made")
        .Field("dir", dir_)
        .Field("error", status.ToString());
  }
  MutexLock lock(&mutex_);
  checkpoint_due_ = false;
}

absl::Status KvResourceManager::Checkpoint() {
  absl::StatusOr<std::unique_ptr<CheckpointWriter>> out =
      CheckpointWriter::Create(env_, dir_);
  const absl::Status status = out.ok() ? WriteCheckpoint(out->get()) : out.status();
  if (status.ok()) return status;
  // When the disk is full, the old checkpoint and the log still suffice. After any other
  // failure of a disk the process must not go on.
  if (!absl::IsResourceExhausted(status)) {
    FatalIoError(absl::StrCat("checkpoint in ", dir_, ": ", status.ToString()));
  }
  out = absl::CancelledError();  // closes the file
  const absl::Status removed = env_->Remove(dir_ + "/checkpoint.new");
  return removed.ok() || absl::IsNotFound(removed) ? status : removed;
}

absl::Status KvResourceManager::WriteCheckpoint(CheckpointWriter* out) {
  constexpr size_t kChunkBytes = 256 << 10;  // branches wait while one chunk is encoded
  std::vector<BranchWrites> prepared;
  std::vector<BranchWrites> alone;
  wal::Lsn start;
  {
    MutexLock lock(&mutex_);
    start = writer_->next_lsn();
    shard_.CopyUndecided(&prepared, &alone);
    log_->ResetBytes();
  }
  if (absl::Status s = out->AddStart(start); !s.ok()) return s;
  for (const BranchWrites& branch : prepared) {
    if (absl::Status s = out->AddPrepared(branch); !s.ok()) return s;
  }
  for (const BranchWrites& branch : alone) {
    if (absl::Status s = out->AddAlone(branch); !s.ok()) return s;
  }
  EvidenceTable::BucketId last_bucket;
  for (bool more = true; more;) {
    std::string block;
    {
      MutexLock lock(&mutex_);
      const auto& buckets = shard_.evidence().buckets();
      const auto it = buckets.upper_bound(last_bucket);
      more = it != buckets.end();
      if (more) {
        last_bucket = it->first;
        block = EncodeEvidence(it->second);
      }
    }
    if (!more) break;
    if (absl::Status s = out->AddBlock(block); !s.ok()) return s;
  }
  std::string from;
  wal::Lsn last;
  for (bool done = false; !done;) {
    std::string block;
    {
      MutexLock lock(&mutex_);
      block = EncodeRows(shard_.rows(), kChunkBytes, &from, &done);
      last = writer_->next_lsn().Previous();
    }
    if (absl::Status s = out->AddBlock(block); !s.ok()) return s;
  }
  if (absl::Status s = out->Finish(); !s.ok()) return s;
  // The checkpoint holds commits whose records may not be flushed yet. If these were lost
  // in a crash, their numbers would be given to other records, and rows would have
  // versions of commits that did not happen.
  if (!last.is_none()) writer_->WaitDurable(last);
  if (absl::Status s = out->Install(); !s.ok()) return s;
  writer_->ReleaseBefore(start);
  LogEvent(Level::kInfo, "checkpoint made")
      .Field("dir", dir_)
      .Field("start", start)
      .Field("bytes", out->bytes());
  return absl::OkStatus();
}

void KvResourceManager::OnDurable(wal::Lsn lsn) {
  With([lsn](Shard* shard) { shard->OnDurable(lsn); });
}

void KvResourceManager::SetGeneration(uint64_t generation, Callback<absl::Status> done) {
  AddJob([this, generation, done = std::move(done)]() mutable {
    done(folder_.SetGeneration(generation));
  });
}

// --- calls ---

template <class Call>
void KvResourceManager::With(Call call) {
  Completions completions;
  bool checkpoint = false;
  {
    MutexLock lock(&mutex_);
    call(&shard_);
    completions = shard_.TakeCompletions();
    if (log_ != nullptr && !checkpoint_due_ &&
        log_->bytes() >= options_.checkpoint_bytes) {
      checkpoint_due_ = checkpoint = true;
      // If the checkpoint fails, the next one is tried after as many bytes again.
      log_->ResetBytes();
    }
  }
  if (checkpoint) AddJob([this] { RunDueCheckpoint(); });
  completions.Run();
}

absl::Status KvResourceManager::Start(const BranchId& branch,
                                      const StartOptions& options) {
  MutexLock lock(&mutex_);
  return shard_.Start(branch, options);
}

void KvResourceManager::Execute(const BranchId& branch,
                                const wire::ExecuteRequest& request,
                                Callback<wire::ExecuteReply> done) {
  With([&](Shard* shard) { shard->Execute(branch, request, std::move(done)); });
}

void KvResourceManager::Prepare(const BranchId& branch, Callback<PrepareResult> done) {
  With([&](Shard* shard) { shard->Prepare(branch, std::move(done)); });
}

void KvResourceManager::Commit(const BranchId& branch, Callback<FinishResult> done) {
  With([&](Shard* shard) { shard->Commit(branch, std::move(done)); });
}

void KvResourceManager::CommitOnePhase(const BranchId& branch,
                                       Callback<OnePhaseResult> done) {
  With([&](Shard* shard) { shard->CommitOnePhase(branch, std::move(done)); });
}

void KvResourceManager::Rollback(const BranchId& branch, Callback<FinishResult> done) {
  With([&](Shard* shard) { shard->Rollback(branch, std::move(done)); });
}

void KvResourceManager::BeginBatch() {
  if (writer_ != nullptr) writer_->Hold();
}

void KvResourceManager::EndBatch() {
  if (writer_ != nullptr) writer_->Flush();
}

void KvResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  Evidence evidence;
  {
    MutexLock lock(&mutex_);
    evidence = shard_.LookUp(branch);
  }
  done(evidence);
}

void KvResourceManager::ForgetBelow(const Gtid& watermark) {
  MutexLock lock(&mutex_);
  shard_.ForgetBelow(watermark);
}

void KvResourceManager::Close() {
  {
    MutexLock lock(&worker_mutex_);
    stop_ = true;
    worker_wakes_.NotifyOne();
  }
  if (worker_.joinable()) worker_.join();
  if (writer_ == nullptr) return;
  With([](Shard* shard) { shard->RollBackActive(); });
  writer_->Stop();  // flushes, and runs the callbacks that waited for it
  folder_.Release();
}

ShardStats KvResourceManager::stats() const {
  MutexLock lock(&mutex_);
  return shard_.Stats();
}

uint64_t KvResourceManager::flush_count() const {
  return writer_ == nullptr ? 0 : writer_->flush_count();
}

}  // namespace concordat::participant::kv
