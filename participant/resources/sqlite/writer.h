// The thread that owns a SQLite file. It takes jobs from a queue, runs calls, writes
// batches, and answers.
//
// One round, repeated while there is work:
//   1. take all jobs that are queued, and sort them into calls and durable work
//   2. run the calls in the scratch transaction, on what is committed; a call that takes
//      long is stopped when others wait, and runs again later
//   3. write the durable work in one transaction with one flush, then release locks,
//      then answer
//   4. delete some old evidence and move some of the write-ahead file into the main file
// While a flush runs the queue fills; these jobs are the next batch.
#ifndef PARTICIPANT_RESOURCES_SQLITE_WRITER_H_
#define PARTICIPANT_RESOURCES_SQLITE_WRITER_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "coordinator/base/mutex.h"
#include "participant/resources/sqlite/call_scheduler.h"
#include "participant/resources/sqlite/durable_batch.h"
#include "participant/resources/sqlite/file_guard.h"
#include "participant/resources/sqlite/store.h"

namespace concordat::participant::sqlite {

struct StartJob {
  Gtid age;  // of the transaction; smaller is older
  bool serializable = false;
};
struct ExecuteJob {
  // Owned by the caller; valid until `done` was called.
  const wire::ExecuteRequest* request;
  Callback<wire::ExecuteReply> done;
};
struct PrepareJob {
  Callback<PrepareResult> done;
};
struct CommitJob {
  Callback<FinishResult> done;
};
struct RollbackJob {
  Callback<FinishResult> done;
};
struct OnePhaseJob {
  Callback<OnePhaseResult> done;
};
struct LookUpJob {
  Callback<Evidence> done;
};
struct GenerationJob {
  uint64_t generation = 0;
  Callback<absl::Status> done;
};
struct DropJob {};    // a reader's call has ended the branch
struct ForgetJob {};  // evidence below the job's gtid

struct Job {
  BranchId branch;  // for ForgetJob: its gtid is the watermark
  std::variant<StartJob, ExecuteJob, PrepareJob, CommitJob, RollbackJob, OnePhaseJob,
               LookUpJob, GenerationJob, DropJob, ForgetJob>
      work;
};

class Writer {
 public:
  // The options must outlive the writer.
  Writer(std::string path, const SqliteOptions& options);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();

  // Thread-safe. Called once.
  void Open(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  // Valid after Open's callback.
  [[nodiscard]] const std::string& store_id() const { return store_id_; }
  [[nodiscard]] uint64_t first_generation() const { return first_generation_; }
  // True: Open has succeeded and Close was not called.
  [[nodiscard]] bool is_open() const { return open_.load(std::memory_order_acquire); }
  // Thread-safe. False: the writer is not open, and the job is unchanged.
  [[nodiscard]] bool Push(Job&& job);
  // RESOURCE_EXHAUSTED as in SqliteResourceManager::Start. Thread-safe.
  [[nodiscard]] absl::Status Admit();
  void Close();

 private:
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> OpenFile(ClusterId cluster);
  [[nodiscard]] std::vector<BranchId> Restore(std::vector<StoredBranch> stored);
  void Run(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  [[nodiscard]] bool TakeJobs(std::vector<Job>* jobs);
  void Round(std::vector<Job>* jobs);
  void CloseAll();

  void Accept(Job* job);
  void Accept(const BranchId& id, StartJob* job);
  void Accept(const BranchId& id, ExecuteJob* job);
  void Accept(const BranchId& id, PrepareJob* job);
  void Accept(const BranchId& id, CommitJob* job);
  void Accept(const BranchId& id, RollbackJob* job);
  void Accept(const BranchId& id, OnePhaseJob* job);
  void Accept(const BranchId& id, LookUpJob* job);
  void Accept(const BranchId& id, GenerationJob* job);
  void Accept(const BranchId& id, DropJob* job);
  void Accept(const BranchId& id, ForgetJob* job);

  // True: work waits for the calls to end.
  [[nodiscard]] bool OthersWait() const {
    return !durable_.empty() || jobs_wait_.load(std::memory_order_relaxed);
  }
  void CancelPrepare(Branch* branch);
  void WriteBatch();
  void WriteGeneration();
  void Settle(DurableItem* item);
  void SettlePrepare(DurableItem* item);
  void SettleFinish(DurableItem* item);
  void SettleOnePhase(DurableItem* item);
  void MaybeCheckpoint();

  const std::string path_;
  const SqliteOptions& options_;
  const SystemClock clock_;
  std::thread thread_;
  std::atomic<bool> open_{false};  // see is_open
  // Until then new branches are refused; 0: no refusal.
  std::atomic<int64_t> full_until_micros_{0};
  // Jobs are in the queue. A running call reads this, to see whether it delays them.
  std::atomic<bool> jobs_wait_{false};

  Mutex mutex_;
  ConditionVariable changed_;  // signals the thread: a job is queued, or closing_ is set
  std::vector<Job> queue_ ABSL_GUARDED_BY(mutex_);  // jobs that the thread has not taken
  bool sleeping_ ABSL_GUARDED_BY(mutex_) = false;   // the thread waits for changed_
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;    // Close was called

  // The following members are for the thread alone. They are destroyed in reverse order.
  std::string store_id_;
  uint64_t first_generation_ = 0;
  std::optional<FileIdentity> file_;  // the file that was opened
  std::optional<FileGuard> guard_;    // empty: the file is not reserved
  Catalog catalog_;                   // of the file's tables
  BranchTable branches_;              // all that have not ended
  std::unique_ptr<Store> store_;
  std::unique_ptr<Scratch> scratch_;     // runs calls
  std::unique_ptr<DurableBatch> batch_;  // writes durable work
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<CallScheduler> calls_;
  std::vector<DurableItem> durable_;         // of this round
  std::optional<GenerationJob> generation_;  // of this round
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_WRITER_H_
