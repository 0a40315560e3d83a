// A key-value shard as a resource manager. Rows are in memory; a log with group commit
// and checkpoints make them durable.
//
//   participant.AddResource("bank-a",
//                           std::make_unique<KvResourceManager>("/var/lib/bank-a"));
//
// Verbs, in the `kv` field of an ExecuteRequest; keys and values are bytes:
//   GET              returns the pair, or none
//   PUT, DELETE      succeed whether or not the key exists
//   ADD_IF_AT_LEAST  adds integers in decimal text; a missing value counts as 0.
//                    CONDITION_FAILED when the sum would be below `at_least` or does
//                    not fit into 64 bits; INVALID when the value is not an integer
//   COMPARE_AND_SET  CONDITION_FAILED unless the value is `expected` (not set: no value)
//   RANGE            returns pairs in the order of keys, at most `limit`, which is at
//                    most 10,000; fewer pairs mean that there are no more. Without a
//                    limit it returns all pairs, or INVALID when there are more than
//                    10,000
// The operations of a call are executed in order. When one fails, the operations before
// it in the same call are undone and nothing else, and the branch stays active. A pair's
// version is 0 while its value was written by this branch and is not committed.
//
// Isolation is serializable (shard.h). When branches conflict, the older transaction wins
// (lock_manager.h); the younger one gets CONFLICT and is rolled back.
//
// On a full disk, Start returns RESOURCE_EXHAUSTED, calls that write get OVERLOADED, and
// PREPARE is refused. Prepared branches can still be committed and rolled back, since
// their records may use the log's reserve.
//
// The files in the folder: lock, store (whose folder it is), generation (recognizes an
// older copy of it), checkpoint (checkpoint.h), wal/ (records.h).
//
// Memory: the rows, about 100 bytes besides each key and value, and about 80 bytes for
// each committed branch above the watermark.
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
  // See wal::LogOptions.
  uint64_t segment_bytes = 16ull << 20;
  // The default holds at least thirty thousand COMMITs of prepared branches on a full
  // disk.
  uint64_t reserve_bytes = 16ull << 20;
  // How many bytes may wait for a flush. A PREPARE above this is UNAVAILABLE.
  size_t queue_bytes = 8u << 20;
  // See wal::LogWriterOptions. Used only in batches (BeginBatch); the caller is blocked
  // for this long.
  Duration flush_here_below = Duration::Micros(300);
};

// Thread-safe. Callbacks run on the calling thread, on the log's writer thread, or (those
// of Recover) on the worker thread.
class KvResourceManager final : public ResourceManager {
 public:
  KvResourceManager(std::string dir, FileEnv* env, KvOptions options = {});
  // Uses the operating system's files.
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

  // Makes a checkpoint now, on the calling thread. RESOURCE_EXHAUSTED: the disk is full,
  // and the last checkpoint stays. Must not be called while another checkpoint is made.
  [[nodiscard]] absl::Status Checkpoint();

  [[nodiscard]] ShardStats stats() const;
  // Number of flushes of the log so far.
  [[nodiscard]] uint64_t flush_count() const;

 private:
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> Open(ClusterId cluster);
  [[nodiscard]] absl::Status OpenLog(wal::Lsn start);
  [[nodiscard]] absl::Status WriteCheckpoint(CheckpointWriter* out);
  void OnDurable(wal::Lsn lsn);
  void RunWorker();
  // Calls `call` on the shard with the mutex held, then runs the callbacks that became
  // due, without the mutex.
  template <class Call>
  void With(Call call);
  void AddJob(absl::AnyInvocable<void()> job);
  void RunDueCheckpoint();

  const std::string dir_;
  FileEnv* const env_;
  const KvOptions options_;
  StoreFolder folder_;  // locked from Recover to Close
  // Set before the shard is used, and never changed.
  std::unique_ptr<wal::LogWriter> writer_;
  std::unique_ptr<CountedLog> log_;  // what shard_ appends to

  mutable Mutex mutex_;
  Shard shard_ ABSL_GUARDED_BY(mutex_);
  bool checkpoint_due_ ABSL_GUARDED_BY(mutex_) = false;  // a job for it is queued

  // The worker thread runs jobs: recovery and checkpoints.
  Mutex worker_mutex_;
  // Signals the worker: a job is queued, or stop_ is set.
  ConditionVariable worker_wakes_;
  std::vector<absl::AnyInvocable<void()>> jobs_ ABSL_GUARDED_BY(worker_mutex_);
  bool stop_ ABSL_GUARDED_BY(worker_mutex_) = false;  // Close was called
  std::thread worker_;                                // starts with Recover
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_KV_RESOURCE_MANAGER_H_
