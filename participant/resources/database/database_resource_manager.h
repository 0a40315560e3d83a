// A database server as a resource manager, by the server's own two-phase commit. Which
// server is said by the dialect; participant/resources/postgresql and
// participant/resources/mariadb make one each:
//
//   DatabaseOptions options;
//   options.resource = "bank-a";       // the name under which a participant serves it
//   auto bank = MakePostgresql("postgresql://app@db/bank", options);
//   bank->Recover(cluster, [](auto prepared) { ... });
//
// A branch is a transaction in a session of its own, from its first statement to its
// prepare. Its evidence is a row of concordat.branches, written in the branch itself, so
// that it is there exactly if the branch was committed. What is lost with a connection is
// found out, never guessed: the old session is ended and seen to be gone, and only then
// it is read what is prepared, and the evidence. Until that has been possible the answer
// is kUnavailable, kRetry or kUnknown. "The prepared branch does not exist" proves
// nothing either: the evidence says what became of it.
//
// A call's statements are all done or all undone: when one fails, the call is undone and
// the branch lives on (CONDITION_FAILED for constraints and what clients' own code
// refuses, INVALID for the statement itself, OVERLOADED for the server's limits). Ends
// the branch: CONFLICT (serialization failure, deadlock, lock time-out), BRANCH_GONE (the
// connection was lost), TIMED_OUT (the statement ran too long) and RESOURCE_ERROR
// (somebody has interrupted it; the server's own errors).
//
// StartOptions.isolation: "read-committed", "repeatable-read", "serializable"; they are
// the database's own, for it alone. docs/resource-managers.md says what a reader across
// databases can see.
//
// One loop thread, on which the parts live; the verbs are posted to it:
//
//   branch_executor    branches at work       serving_lock  one process a resource; ends
//   in_doubt_resolver  prepared ones                        old sessions
//   pool, session      connections            dialect       how the database says it
#ifndef PARTICIPANT_RESOURCES_DATABASE_DATABASE_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_DATABASE_DATABASE_RESOURCE_MANAGER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/database/branch_executor.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/in_doubt_resolver.h"
#include "participant/resources/database/pool.h"
#include "participant/resources/database/serving_lock.h"
#include "participant/sdk/resource_manager.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant {

// Thread-safe. The callbacks are called on a thread of its own and must not block it.
class DatabaseResourceManager final : public ResourceManager {
 public:
  DatabaseResourceManager(std::unique_ptr<database::Dialect> dialect,
                          DatabaseOptions options);
  ~DatabaseResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return dialect_->rules().kind; }
  // After Recover's callback, as is generation().
  [[nodiscard]] std::string store_id() const override { return store_id_; }
  [[nodiscard]] uint64_t generation() const override { return first_generation_; }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // In any session, by the database's own statements.
  [[nodiscard]] bool can_be_settled_elsewhere() const override { return true; }
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }
  // Also when the server has not answered when it was last asked.
  [[nodiscard]] std::string unavailable() const override;

  // What a scan finds: branches that applications have prepared on connections of their
  // own, those of an earlier incarnation that a session prepared late, or that a failover
  // or a restored copy has brought. At the start also the first kind, which Recover has
  // listed, for their ages.
  void OnFound(FoundCallback found) override { found_ = std::move(found); }
  // Ends the sessions that an earlier process of this resource has left behind.
  // INVALID_ARGUMENT: the URL, an option. FAILED_PRECONDITION, with what to change: the
  // server, the database or the role cannot serve branches, or another process serves the
  // resource. UNAVAILABLE: not reached within start_patience.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;

  // RESOURCE_EXHAUSTED: too many branches; INVALID_ARGUMENT: unknown isolation;
  // UNAVAILABLE: not recovered, closed, or another process has taken the resource over.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  // The errors are those of Start, and UNIMPLEMENTED.
  absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  // Nothing to do: the branch's state says whether calls may come.
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  // kHeuristicRollback, kHeuristicHazard: the branch is not there and left no evidence;
  // it was seen prepared by this process (then its effects are certainly not there), or
  // not.
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  // kHeuristicCommit: somebody has committed it.
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

  // Reads what is prepared. After Recover. UNAVAILABLE: the server is not reached.
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  [[nodiscard]] DatabaseStats Stats() const;

 private:
  using Recovered = absl::StatusOr<std::vector<BranchId>>;
  using RecoverDone = std::shared_ptr<Callback<Recovered>>;

  [[nodiscard]] absl::Status CheckOptions() const;
  void Build(ClusterId cluster);
  void OnLocked(const absl::Status& status, const RecoverDone& done);
  void OnGeneration(absl::StatusOr<uint64_t> generation, const RecoverDone& done);
  void OnFirstScan(absl::StatusOr<PreparedScan> scan, const RecoverDone& done);
  void ScanPrepared();
  void NoteScan(const absl::Status& status);
  void CountPrepared(const PreparedScan& scan);
  void ReportOrphans(std::vector<FoundBranch> prepared);

  // The SQL that begins a branch; UNAVAILABLE when none may be begun.
  [[nodiscard]] absl::StatusOr<std::string> CheckStart(const StartOptions& options) const;
  // Counts the call as pending until it is called back. The loop's.
  template <class T>
  [[nodiscard]] Callback<T> Tracked(Callback<T> done);
  // Posts a verb.
  template <class T, class Verb>
  void Do(Callback<T> done, Verb verb);

  const std::unique_ptr<database::Dialect> dialect_;
  const DatabaseOptions options_;
  FoundCallback found_;
  database::Counters counters_;
  std::atomic<uint64_t> prepared_here_{0};
  std::atomic<uint64_t> prepared_by_others_{0};
  std::atomic<bool> open_{false};
  std::atomic<uint32_t> branches_{0};  // that Start has admitted, and are not over
  mutable Mutex mutex_;
  std::string scan_failed_ ABSL_GUARDED_BY(mutex_);  // the last one, and why
  // Set before Recover is called back, and not afterwards.
  std::string store_id_;
  uint64_t first_generation_ = 0;

  std::unique_ptr<rpc::LoopThread> thread_;
  // The loop's. The serving lock answers other threads, too.
  std::unique_ptr<database::ServingLock> serving_lock_;
  std::unique_ptr<database::Pool> work_pool_;
  std::unique_ptr<database::Pool> settle_pool_;
  std::unique_ptr<database::InDoubtResolver> resolver_;
  std::unique_ptr<database::BranchExecutor> executor_;
  size_t pending_ = 0;  // calls that are to be called back
  rpc::TimerId scan_timer_;
  bool scanning_ = false;
  absl::flat_hash_set<std::string> others_;  // their names, at the last scan
  uint64_t generation_ = 0;                  // that is certainly there
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_DATABASE_DATABASE_RESOURCE_MANAGER_H_
