// A resource manager over the four functions of service.h: what a service of your own
// hands to a Participant (participant/sdk/participant.h) or to Embedded.
//
//   auto manager = std::make_unique<service::ServiceResourceManager>(
//       "/var/lib/seats/branches", std::make_unique<SeatService>());
//   participant->AddResource("seats", std::move(manager));
//
// The folder is the SDK's own (log, checkpoint, identity): your data go elsewhere. Keep
// both together: an old copy of the one does not know the reservations of the other.
//
// What is on disk before what, and what it costs:
//
//   Execute          record "trying" flushed, then Try. So a crash never leaves a
//                    reservation that nobody knows.                         1 flush
//   a query          nothing                                                0
//   Prepare          record "prepared" flushed, then the vote. No Try, no
//                    record, nothing flushed: READ_ONLY.                    1
//   Commit           Confirm has said durable, then the acknowledgement     0
//   Rollback         Cancel has said durable, then the acknowledgement      0
//   CommitOnePhase   one reservation: Confirm, which is the decision        0
//                    several: record "deciding" flushed, then Confirm each  1
//
// What was confirmed or cancelled is recorded, too, but nobody waits for that: the record
// goes with the next flush. If a crash takes it, Lookup tells the same at the start.
// Flushes are shared by all calls that come together.
//
// After a crash (Recover): Lookup for each reservation whose end the log does not have.
//   - Of a branch that had not voted: cancelled (presumed abort), in the background. But
//     if its one reservation is confirmed, it was being committed in one phase: it is
//     committed, and that is its evidence.
//   - Of a branch that had voted PREPARED: if all are confirmed it is committed; else it
//     is in doubt and waits to be told. If it is then told COMMIT, Confirm is called for
//     what is not confirmed; what Lookup finds cancelled, or no trace of, is reported to
//     the coordinator as a heuristic outcome, on record until somebody has dealt with it.
//   - Of a branch that was decided in one phase: Confirm for the rest.
// A Lookup that fails is repeated; until all have answered, nothing is served.
//
// When Confirm or Cancel fails, the caller is answered RETRY with your words (`concordat
// txn show` has them), and it is tried again, first after 100 ms, then 200 ms, up to
// every 10 s, for ever. stats().stuck lists such branches, the log has a warning.
//
// A full disk refuses new branches (RESOURCE_EXHAUSTED) and calls (OVERLOADED) before
// Try is called; what is promised can be ended all the same. A failed write or flush
// ends the process.
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
  // Threads that call a blocking Service: so many calls run at once.
  size_t threads = 4;
  BranchesOptions branches;
  JournalOptions journal;
};

// Thread-safe. Callbacks come on the calling thread, on the log's, or on a thread that
// called the service.
class ServiceResourceManager final : public ResourceManager {
 public:
  ServiceResourceManager(std::string dir, std::unique_ptr<Service> service,
                         ServiceOptions options = {}, FileEnv* env = PosixFileEnv());
  ServiceResourceManager(std::string dir, std::unique_ptr<AsyncService> service,
                         ServiceOptions options = {}, FileEnv* env = PosixFileEnv());
  ~ServiceResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return options_.kind; }
  [[nodiscard]] std::string store_id() const override { return journal_.store_id(); }
  // Of the folder, not of your own data: keep both together.
  [[nodiscard]] uint64_t generation() const override { return journal_.generation(); }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // FAILED_PRECONDITION: the folder is locked, of another cluster, or not the SDK's.
  // DATA_LOSS: damaged. RESOURCE_EXHAUSTED: no room.
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
  // Cancels what has not voted, as far as the service lets it; the rest is done after
  // the next start. Waits for the service's functions that run.
  void Close() override;

  // Makes a checkpoint now, on the calling thread. RESOURCE_EXHAUSTED: no room, the
  // last one stays. Not while another runs.
  [[nodiscard]] absl::Status Checkpoint();

  [[nodiscard]] ServiceStats stats() const;
  // Flushes of the SDK's log so far.
  [[nodiscard]] uint64_t flush_count() const { return journal_.flush_count(); }

 private:
  void Open(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  // Runs a call of the branches under the mutex, and without it what that led to.
  void With(absl::FunctionRef<void(Branches*)> call);
  void Make(ServiceCall call);
  void Forget(const Gtid& watermark);
  void RunDueCheckpoint();

  const ServiceOptions options_;
  const std::unique_ptr<AsyncService> service_;
  Journal journal_;
  TaskThreads tasks_;  // recovery, retries, checkpoints

  mutable Mutex mutex_;
  ConditionVariable idle_;
  Branches branches_ ABSL_GUARDED_BY(mutex_);
  bool checkpoint_due_ ABSL_GUARDED_BY(mutex_) = false;  // a task for it is queued
  size_t running_ ABSL_GUARDED_BY(mutex_) =
      0;  // threads in Open and With, and ForgetBelow
  bool forgetting_ ABSL_GUARDED_BY(mutex_) = false;
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_SERVICE_RESOURCE_MANAGER_H_
