// A database server as a resource manager, by means of the server's own two-phase commit.
// The dialect says which server it is; participant/resources/postgresql and
// participant/resources/mariadb have one each:
//
//   DatabaseOptions options;
//   options.resource = "bank-a";       // the name under which a participant serves it
//   auto bank = MakePostgresql("postgresql://app@db/bank", options);
//   bank->Recover(cluster, [](auto prepared) { ... });
//
// A branch is a transaction in a session of its own, from its first statement to its
// prepare. Its evidence is a row of concordat.branches that the branch itself writes, so
// the row exists exactly if the branch was committed. When a connection is lost, what
// became of its branch is found out and never guessed: the old session is ended and seen
// to be gone, and only then the prepared branches and the evidence are read. Until that
// has been possible the answer is kUnavailable, kRetry or kUnknown. The server's error
// that the prepared branch does not exist proves nothing: the evidence says what became
// of it.
//
// A call's statements are all done or all undone. When one fails, the call is undone and
// the branch lives on: CONDITION_FAILED for constraints and for what clients' own code
// refuses, INVALID for the statement itself, OVERLOADED for the server's limits. These
// end the branch: CONFLICT (serialization failure, deadlock, lock time-out), BRANCH_GONE
// (the connection was lost), TIMED_OUT (the statement ran too long) and RESOURCE_ERROR
// (somebody interrupted it, or the server had an error of its own).
//
// StartOptions.isolation is "read-committed", "repeatable-read" or "serializable". These
// are the database's own levels, and hold within this database only.
// docs/resource-managers.md says what a reader across databases can see.
//
// The parts below live on one loop thread, to which the verbs are posted:
//
//   branch_executor    branches at work    serving_lock  lets one process serve the
//   in_doubt_resolver  prepared branches                 resource, ends old sessions
//   pool, session      connections         dialect       the database's own statements
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

// Thread-safe. Callbacks are called on the resource manager's own thread and must not
// block it.
class DatabaseResourceManager final : public ResourceManager {
 public:
  DatabaseResourceManager(std::unique_ptr<database::Dialect> dialect,
                          DatabaseOptions options);
  ~DatabaseResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return dialect_->rules().kind; }
  // Both are known once Recover has been called back.
  [[nodiscard]] std::string store_id() const override { return store_id_; }
  [[nodiscard]] uint64_t generation() const override { return first_generation_; }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // A prepared branch can be ended in any session, by the database's own statements.
  [[nodiscard]] bool can_be_settled_elsewhere() const override { return true; }
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }
  // Not empty also when the server did not answer the last scan.
  [[nodiscard]] std::string unavailable() const override;

  // `found` is called with what a scan finds: branches that applications have prepared on
  // connections of their own, branches of an earlier incarnation that a session prepared
  // late, and branches that a failover or a restored copy has brought. The first scan
  // also gives those of applications that Recover has listed, because of their ages.
  void OnFound(FoundCallback found) override { found_ = std::move(found); }
  // Ends the sessions that an earlier process of this resource has left behind.
  //   INVALID_ARGUMENT     the URL or an option is wrong
  //   FAILED_PRECONDITION  the server, the database or the role cannot serve branches, or
  //                        another process serves the resource; the text says what to do
  //   UNAVAILABLE          the server was not reached within start_patience
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;

  // RESOURCE_EXHAUSTED: there are too many branches. INVALID_ARGUMENT: there is no such
  // isolation. UNAVAILABLE: it is not recovered, or closed, or another process has taken
  // the resource over.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  // The errors are those of Start, and UNIMPLEMENTED: the database has no such branches.
  absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  // There is nothing to do: the branch's state says whether calls may come.
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  // A branch that is not there and has left no evidence is kHeuristicRollback if this
  // process has seen it prepared: its effects are certainly not there. Otherwise it is
  // kHeuristicHazard.
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  // kHeuristicCommit: somebody else has committed the branch.
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

  // Reads which branches are prepared. To be called after Recover. UNAVAILABLE: the
  // server cannot be reached.
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

  // The SQL that begins a branch. The errors are those of Start.
  [[nodiscard]] absl::StatusOr<std::string> CheckStart(const StartOptions& options) const;
  // Counts the call as pending until it is called back. Used on the loop.
  template <class T>
  [[nodiscard]] Callback<T> Tracked(Callback<T> done);
  // Posts a verb to the loop.
  template <class T, class Verb>
  void Do(Callback<T> done, Verb verb);

  const std::unique_ptr<database::Dialect> dialect_;
  const DatabaseOptions options_;
  FoundCallback found_;  // set before Recover; null: nobody wants to know
  database::Counters counters_;
  // Both are numbers of branches at the last scan.
  std::atomic<uint64_t> prepared_here_{0};
  std::atomic<uint64_t> prepared_by_others_{0};
  std::atomic<bool> open_{false};      // recovered, and not closed
  std::atomic<uint32_t> branches_{0};  // that Start has admitted, and that are not over
  mutable Mutex mutex_;
  // Why the last scan failed; empty when it did not.
  std::string scan_failed_ ABSL_GUARDED_BY(mutex_);
  // Both are set before Recover is called back, and do not change afterwards.
  std::string store_id_;
  uint64_t first_generation_ = 0;

  std::unique_ptr<rpc::LoopThread> thread_;
  // All that follows is used on the loop's thread only, but for the serving lock, which
  // other threads ask too.
  std::unique_ptr<database::ServingLock> serving_lock_;
  std::unique_ptr<database::Pool> work_pool_;
  std::unique_ptr<database::Pool> settle_pool_;
  std::unique_ptr<database::InDoubtResolver> resolver_;
  std::unique_ptr<database::BranchExecutor> executor_;
  size_t pending_ = 0;  // calls that are not called back yet
  rpc::TimerId scan_timer_;
  bool scanning_ = false;  // a scan is under way
  // The names of others' prepared branches, at the last scan.
  absl::flat_hash_set<std::string> others_;
  uint64_t generation_ = 0;  // the largest that the database is known to hold
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_DATABASE_DATABASE_RESOURCE_MANAGER_H_
