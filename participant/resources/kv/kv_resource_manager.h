// A key-value shard as a resource manager: rows in memory, made durable by a log with
// group commit and by checkpoints.
//
//   participant.AddResource("bank-a",
//                           std::make_unique<KvResourceManager>("/var/lib/bank-a"));
//
// Verbs, in the `kv` field of an ExecuteRequest; keys and values are bytes:
//   GET              the pair, or none
//   PUT, DELETE      never fail for what is there
//   ADD_IF_AT_LEAST  integers as decimal text; no value counts as 0. CONDITION_FAILED
//                    when the sum would be below `at_least`, or does not fit 64 bits;
//                    INVALID when the value is not an integer
//   COMPARE_AND_SET  CONDITION_FAILED unless the value is `expected` (not set: none)
//   RANGE            pairs in order of keys; `limit` at most 10,000, which is also the
//                    default. Fewer than the limit means that there are no more
// The operations of a call are done in order; one that fails undoes those before it in
// the same call and nothing else, and the branch lives on. A pair's version is 0 while
// the value is this branch's own and not committed.
//
// Isolation is serializable (shard.h). Branches that collide: the older transaction
// wins (lock_manager.h); the younger gets CONFLICT and is rolled back.
//
// A full disk: Start gives RESOURCE_EXHAUSTED and calls that write OVERLOADED, a
// PREPARE is refused; branches that are prepared can still be committed and rolled
// back, from the log's reserve.
//
// The folder: lock, store (what this is, and whose), generation (how far it has come),
// checkpoint (checkpoint.h), wal/
// (records.h). Memory: the rows, about 100 bytes besides each key and value, and about
// 80 bytes for each committed branch above the watermark.
#ifndef PARTICIPANT_RESOURCES_KV_KV_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_KV_KV_RESOURCE_MANAGER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/kv/counted_log.h"
#include "participant/resources/kv/shard.h"
#include "participant/sdk/resource_manager.h"
#include "participant/store/store_folder.h"
#include "wal/log_writer.h"

namespace concordat::participant::kv {

struct KvOptions {
  ShardOptions shard;
  // A checkpoint is made when the log has grown by this much since the last one.
  uint64_t checkpoint_bytes = 128ull << 20;
  uint64_t segment_bytes = 16ull << 20;
  // Holds at least thirty thousand COMMITs of prepared branches on a full disk.
  uint64_t reserve_bytes = 16ull << 20;
  // Most bytes that wait for a flush; a PREPARE beyond is UNAVAILABLE.
  size_t queue_bytes = 8u << 20;
  // See wal::LogWriterOptions. Only in batches (BeginBatch); the caller is blocked so
  // long.
  Duration flush_here_below = Duration::Micros(300);
};

// Thread-safe. Callbacks come on the calling thread, on the log's writer thread, or
// (Recover) on a thread of its own.
class KvResourceManager final : public ResourceManager {
 public:
  KvResourceManager(std::string dir, FileEnv* env, KvOptions options = {});
  // On the operating system's files.
  explicit KvResourceManager(std::string dir, KvOptions options = {})
      : KvResourceManager(std::move(dir), PosixFileEnv(), options) {}
  ~KvResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "kv"; }
  [[nodiscard]] std::string store_id() const override { return folder_.id(); }
  [[nodiscard]] uint64_t generation() const override { return folder_.generation(); }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // FAILED_PRECONDITION: locked, of another cluster, or not a KV shard's folder.
  // DATA_LOSS: damaged.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void BeginBatch() override;
  void EndBatch() override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

  // Makes a checkpoint now, on the calling thread. RESOURCE_EXHAUSTED: no room, the
  // last one stays. Not while another runs.
  [[nodiscard]] absl::Status Checkpoint();

  [[nodiscard]] ShardStats stats() const;
  // Flushes of the log so far.
  [[nodiscard]] uint64_t flush_count() const;

 private:
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> Open(ClusterId cluster);
  [[nodiscard]] absl::Status OpenLog(wal::Lsn start);
  [[nodiscard]] absl::Status WriteCheckpoint(CheckpointWriter* out);
  void OnDurable(wal::Lsn lsn);
  void RunWorker();
  // Runs a call of the shard under the mutex, and what it completed without it.
  template <class Call>
  void With(Call call);
  void AddJob(absl::AnyInvocable<void()> job);
  void RunDueCheckpoint();

  const std::string dir_;
  FileEnv* const env_;
  const KvOptions options_;
  StoreFolder folder_;
  // Set before the shard is used by anybody, never changed.
  std::unique_ptr<wal::LogWriter> writer_;
  std::unique_ptr<CountedLog> log_;

  mutable Mutex mutex_;
  Shard shard_ ABSL_GUARDED_BY(mutex_);
  bool checkpoint_due_ ABSL_GUARDED_BY(mutex_) = false;  // a job for it is queued

  // Recovery and checkpoints.
  Mutex worker_mutex_;
  ConditionVariable worker_wakes_;
  std::vector<absl::AnyInvocable<void()>> jobs_ ABSL_GUARDED_BY(worker_mutex_);
  bool stop_ ABSL_GUARDED_BY(worker_mutex_) = false;
  std::thread worker_;
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_KV_RESOURCE_MANAGER_H_
