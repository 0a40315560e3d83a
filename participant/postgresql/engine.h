// The resource manager behind its interface: one loop thread, on which everything below
// this file lives, and the verbs posted to it.
#ifndef PARTICIPANT_POSTGRESQL_ENGINE_H_
#define PARTICIPANT_POSTGRESQL_ENGINE_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "participant/postgresql/branch_work.h"
#include "participant/postgresql/guard.h"
#include "participant/postgresql/own_branch.h"
#include "participant/postgresql/pool.h"
#include "participant/postgresql/postgresql_resource_manager.h"
#include "participant/postgresql/settler.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::postgresql {

class Engine {
 public:
  Engine(std::string url, PostgresqlOptions options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Before Recover.
  void OnFound(FoundCallback found) { found_ = std::move(found); }
  void Recover(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  absl::Status Start(const BranchId& branch, const StartOptions& options);
  absl::StatusOr<wire::OwnBranch> StartOwn(const BranchId& branch,
                                           const StartOptions& options);
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void Commit(const BranchId& branch, Callback<FinishResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  void ForgetBelow(const Gtid& watermark);
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  void SetMark(uint64_t mark, Callback<absl::Status> done);
  void Close();
  [[nodiscard]] PostgresqlStats Stats() const;
  // After Recover's callback.
  [[nodiscard]] const std::string& store_id() const { return server_.store_id; }
  [[nodiscard]] uint64_t first_mark() const { return first_mark_; }

 private:
  using RecoverDone = std::shared_ptr<Callback<absl::StatusOr<std::vector<BranchId>>>>;

  [[nodiscard]] absl::Status CheckOptions() const;
  // The SQL that begins a branch; UNAVAILABLE when none may be begun.
  [[nodiscard]] absl::StatusOr<std::string> CheckStartOf(
      const StartOptions& options) const;
  // On the loop's thread.
  void Build(ClusterId cluster);
  void OnGuard(const absl::Status& status, const RecoverDone& done);
  void OnChecked(const absl::Status& status, const RecoverDone& done);
  void OnMark(absl::StatusOr<uint64_t> mark, const RecoverDone& done);
  void LookAround();
  void CountPrepared(const PreparedScan& scan);
  void ReportFound(std::vector<FoundBranch> prepared);
  // Counts the call as pending until it is called back.
  template <class T>
  [[nodiscard]] Callback<T> Tracked(Callback<T> done);
  // Posts a verb.
  template <class T, class Verb>
  void Do(Callback<T> done, Verb verb);

  const std::string url_;
  const PostgresqlOptions options_;
  Counters counters_;
  std::atomic<uint64_t> prepared_here_{0};
  std::atomic<uint64_t> prepared_by_others_{0};
  std::atomic<bool> open_{false};
  std::atomic<uint32_t> branches_{0};

  std::unique_ptr<rpc::LoopThread> thread_;
  // The loop's.
  size_t pending_ = 0;
  std::shared_ptr<std::string> guard_pid_ = std::make_shared<std::string>();
  std::unique_ptr<Guard> guard_;
  std::unique_ptr<Pool> work_pool_;
  std::unique_ptr<Pool> settle_pool_;
  std::unique_ptr<Settler> settler_;
  std::unique_ptr<BranchWork> work_;
  rpc::TimerId scan_timer_;
  bool looking_ = false;
  absl::flat_hash_set<std::string> others_;  // gids, at the last look
  FoundCallback found_;
  Server server_;
  uint64_t first_mark_ = 0;
  uint64_t mark_ = 0;  // that is certainly there
  ClusterId cluster_;
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_POSTGRESQL_ENGINE_H_
