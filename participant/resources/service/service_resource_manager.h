// A resource manager over the four functions of service.h. A service passes it to a
// Participant (participant/sdk/participant.h) or to Embedded.
//
//   auto manager = std::make_unique<service::ServiceResourceManager>(
//       "/var/lib/seats/branches", std::make_unique<SeatService>());
//   participant->AddResource("seats", std::move(manager));
//
// The folder belongs to the SDK (log, checkpoint, identity); your data must be elsewhere.
// Back up and restore both together: an old copy of one does not know the reservations of
// the other.
//
// What is on disk before what, and how many flushes it costs:
//
//   Execute          record "trying" is flushed, then Try is called. So a crash
//                    never leaves a reservation that is not in the log.     1 flush
//   a query          nothing                                                0
//   Prepare          record "prepared" is flushed, then the vote is sent.
//                    Without a Try: no record, no flush, READ_ONLY.         1
//   Commit           Confirm returns OK, then it is acknowledged            0
//   Rollback         Cancel returns OK, then it is acknowledged             0
//   CommitOnePhase   one reservation: Confirm, which is the decision        0
//                    several: record "deciding" is flushed, then Confirm
//                    is called for each                                     1
//
// What was confirmed or cancelled is recorded too, but nobody waits for this record: it
// is written with the next flush. If a crash loses it, Lookup tells the same at the next
// start. Calls that come together share their flushes.
//
// After a crash, Recover calls Lookup for each reservation whose end is not in the log.
//   - A branch that had not voted is cancelled (presumed abort), in the background. But
//     if its one reservation is confirmed, it was being committed in one phase: then it
//     is committed, and the confirmed reservation is its evidence.
//   - A branch that had voted PREPARED is committed if all are confirmed. Otherwise it is
//     in doubt and waits for the decision. If the decision is COMMIT, Confirm is called
//     for what is not confirmed; what Lookup finds cancelled, or finds no trace of, is
//     reported to the coordinator as a heuristic outcome, which stays on record until an
//     operator has dealt with it.
//   - For a branch that was decided in one phase, Confirm is called for the rest.
// A Lookup that fails is repeated; until all have answered, nothing is served.
//
// When Confirm or Cancel fails, the caller gets RETRY with your text (`concordat txn
// show` displays it), and the function is called again: after 100 ms, then 200 ms, up to
// every 10 s, without end. stats().stuck lists such branches, and the log has a warning.
//
// A full disk refuses new branches (RESOURCE_EXHAUSTED) and calls (OVERLOADED) before Try
// is called; what was promised can still be ended. A failed write or flush ends the
// process.
#ifndef PARTICIPANT_RESOURCES_SERVICE_SERVICE_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_SERVICE_SERVICE_RESOURCE_MANAGER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/service/branches.h"
#include "participant/resources/service/journal.h"
#include "participant/resources/service/service.h"
#include "participant/resources/service/stats.h"
#include "participant/resources/service/task_threads.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::service {

struct ServiceOptions {
  // For operators and for the registry: "seats".
  std::string kind = "service";
  // How many threads call a blocking Service, and so how many calls run at once. Confirm,
  // Cancel and Lookup have as many threads again.
  size_t threads = 4;
  BranchesOptions branches;
  JournalOptions journal;
};

// Thread-safe. Callbacks run on the calling thread, on the log's thread, or on a thread
// that called the service.
class ServiceResourceManager final : public ResourceManager {
 public:
  ServiceResourceManager(std::string dir, std::unique_ptr<Service> service,
                         ServiceOptions options = {}, FileEnv* env = PosixFileEnv());
  ServiceResourceManager(std::string dir, std::unique_ptr<AsyncService> service,
                         ServiceOptions options = {}, FileEnv* env = PosixFileEnv());
  ~ServiceResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return options_.kind; }
  [[nodiscard]] std::string store_id() const override { return journal_.store_id(); }
  // The generation of the folder, not of your own data: back up and restore both
  // together.
  [[nodiscard]] uint64_t generation() const override { return journal_.generation(); }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // FAILED_PRECONDITION: the folder is locked, of another cluster, or not the SDK's.
  // DATA_LOSS: damaged. RESOURCE_EXHAUSTED: the disk is full.
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
  // Cancels what has not voted, as far as the service allows; the rest is done after the
  // next start. Waits for the service's functions that run.
  void Close() override;

  // Makes a checkpoint now, on the calling thread. RESOURCE_EXHAUSTED: the disk is full,
  // and the last checkpoint stays. Must not be called while another checkpoint is made.
  [[nodiscard]] absl::Status Checkpoint();

  [[nodiscard]] ServiceStats stats() const;
  // Number of flushes of the SDK's log so far.
  [[nodiscard]] uint64_t flush_count() const { return journal_.flush_count(); }

 private:
  void Open(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  // Calls `call` on the branches with the mutex held, then does without the mutex what it
  // led to.
  void With(absl::FunctionRef<void(Branches*)> call);
  void Make(ServiceCall call);
  void Forget(const Gtid& watermark);
  void RunDueCheckpoint();

  const ServiceOptions options_;
  const std::unique_ptr<AsyncService> service_;  // calls the user's functions
  Journal journal_;
  TaskThreads tasks_;  // recovery, retries, checkpoints

  mutable Mutex mutex_;
  ConditionVariable idle_;  // signals Close: running_ is 0, or branches_ may be idle
  Branches branches_ ABSL_GUARDED_BY(mutex_);
  bool checkpoint_due_ ABSL_GUARDED_BY(mutex_) = false;  // a task for it is queued
  size_t running_ ABSL_GUARDED_BY(mutex_) =
      0;  // threads in Open and With, and ForgetBelow
  bool forgetting_ ABSL_GUARDED_BY(mutex_) = false;  // a ForgetBelow of the service runs
  bool started_ = false;                             // Recover was called
  bool closed_ = false;                              // Close was called
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_SERVICE_RESOURCE_MANAGER_H_
