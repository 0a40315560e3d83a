// A resource manager that exports an X/Open switch (xa_switch_t), driven through it: for
// whatever has a library for a transaction monitor.
//
//   auto library = xa::LoadSwitch("/usr/lib/libqueue.so", "queue_switch",
//                                 "/usr/lib/libqueue_work.so", "queue_work");
//   xa::XaOptions options;
//   options.resource = "queue";
//   options.open_info = "…";                        // what xa_open gets
//   options.dir = "/var/lib/queue-evidence";        // the evidence, see below
//   auto manager = std::make_unique<xa::XaResourceManager>(*library, options);
//
// XA has no verb for the work itself: a function of yours does it (work.h), with the
// resource manager's own calls, on the thread that the branch is associated with. So a
// branch has a thread of control, which has called xa_open, from its first
// Execute to its PREPARE, as a branch of a database has a connection. Branches beyond
// `threads` wait.
//
//   Execute         [xa_start], the work function
//   Prepare         xa_end(TMSUCCESS), xa_prepare
//   Commit          xa_commit             on other threads, which branches at work never
//   Rollback        xa_rollback           use up
//   CommitOnePhase  xa_end, xa_prepare, evidence flushed, xa_commit
//   Recover         xa_recover; what was decided in one phase is committed
//
// Evidence. A switch cannot tell, after a lost answer, whether xa_commit with TMONEPHASE
// has committed. So one phase is two, with the decision in a log of ours between them, in
// `dir`; it costs one flush more than the resource manager's own one phase, and its two.
// A branch that was prepared and is not there any more (XAER_NOTA) has been committed, by
// XA's rule that what is ended heuristically is kept until xa_forget. xa_forget is called
// when the coordinators have recorded the heuristic outcome: when the watermark has
// passed its transaction. Until then xa_recover lists it, and it is told again.
//
// What the codes mean: XA_RB* is CONFLICT in Execute and REFUSED in Prepare; XAER_RMERR
// of xa_commit is a heuristic rollback, as the specification has it; after XAER_RMFAIL
// the thread calls xa_close and xa_open and asks xa_recover.
//
// Not done: dynamic registration (TMREGISTER; name the library's static switch), TMASYNC,
// suspended and joined branches.
//
// A call that hangs cannot be ended safely: it keeps its thread, and Close. After
// `hang_after` it is logged as an error (and again when it comes back), counted in Stats,
// and whoever waits for it or behind it is told that nobody can tell yet: a PREPARE is
// UNAVAILABLE, COMMIT and ROLLBACK are to be repeated, LookUp is kUnknown. What comes
// back late is the answer of the next such request. Execute and CommitOnePhase wait:
// nothing can be said of them that stays true.
#ifndef PARTICIPANT_RESOURCES_XA_XA_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_XA_XA_RESOURCE_MANAGER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/xa/calls.h"
#include "participant/resources/xa/evidence_log.h"
#include "participant/resources/xa/hang_watch.h"
#include "participant/resources/xa/thread_of_control.h"
#include "participant/resources/xa/work.h"
#include "participant/resources/xa/xa.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::xa {

// Loads both, and the work function's companions (work.h) if there are any, for as long
// as the process lives. The second library may be the first, or empty for it. NOT_FOUND:
// a library or a symbol, in the loader's words.
[[nodiscard]] absl::StatusOr<XaLibrary> LoadSwitch(const std::string& library,
                                                   const std::string& switch_symbol,
                                                   const std::string& work_library,
                                                   const std::string& work_symbol);

struct XaOptions {
  // The resource's name in the cluster: part of every branch id.
  std::string resource;
  std::string open_info;
  std::string close_info;
  // A folder for the evidence.
  std::string dir;
  // Branches at work at one time; and threads that end prepared ones.
  uint32_t threads = 8;
  uint32_t settle_threads = 2;
  // Branches that have not voted; those beyond `threads` wait in Execute.
  uint32_t max_branches = 1000;
  // So long may a call of the switch take before it counts as hanging.
  Duration hang_after = Duration::Seconds(10);
};

// Thread-safe. Callbacks come on those threads, or on the calling one.
class XaResourceManager final : public ResourceManager {
 public:
  XaResourceManager(XaLibrary library, XaOptions options, FileEnv* env = PosixFileEnv());
  ~XaResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "xa"; }
  [[nodiscard]] std::string store_id() const override { return evidence_.store_id(); }
  // Whether branches of one transaction share their locks is each database's own affair.
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }

  // Of the folder of the evidence: what lies behind the switch has none of its own, so
  // that an old copy of it is not told from it.
  [[nodiscard]] uint64_t generation() const override { return first_generation_; }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;

  // INVALID_ARGUMENT: an option. FAILED_PRECONDITION: the switch is of another version,
  // or registers dynamically; the evidence is another's. UNAVAILABLE: xa_open or
  // xa_recover failed.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;
  // RESOURCE_EXHAUSTED: too many branches, or no room for evidence. INVALID_ARGUMENT:
  // an isolation was named; a switch has none.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  // Takes opaque work only.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  // Behind an Execute that runs; one that waits for a thread is called back.
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

  // Flushes of the evidence so far.
  [[nodiscard]] uint64_t flush_count() { return evidence_.flush_count(); }
  // From Recover until Close.
  [[nodiscard]] XaStats Stats() { return watch_->Stats(); }

 private:
  struct Branch {
    ThreadOfControl* thread = nullptr;
    bool started = false;    // xa_start; its thread's
    bool uncertain = false;  // PREPARE was not answered
    // What a PREPARE that was given up has come back with; the thread's.
    std::optional<PrepareResult> late_vote;
  };
  // An end of a prepared branch that was given up: no second one beside it.
  struct Hanging {
    std::optional<FinishResult> late;  // it has come back with this
  };
  using BranchPtr = std::shared_ptr<Branch>;
  struct Waiting {
    BranchId id;
    BranchPtr branch;
    const wire::ExecuteRequest* request;
    Callback<wire::ExecuteReply> done;
  };

  [[nodiscard]] absl::Status Check() const;
  void RecoverHere(Callback<absl::StatusOr<std::vector<BranchId>>> done);
  [[nodiscard]] BranchPtr Find(const BranchId& id);
  // The branch's thread, or a free one for it.
  [[nodiscard]] ThreadOfControl* TakeThread(Branch* branch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The branch is over, or prepared: its thread is another's.
  void EndWork(const BranchId& id);
  void PostExecute(Waiting call, ThreadOfControl* thread);
  void ExecuteHere(Waiting call);
  [[nodiscard]] wire::ExecuteReply Work(const Waiting& call, bool* over);
  [[nodiscard]] ThreadOfControl* SettleThread();
  // On its thread. Without an answer (`uncertain`) PREPARE comes again.
  [[nodiscard]] PrepareResult PrepareHere(const BranchId& id, Branch* branch);
  // One answer to who waits, by the thread or by the watch.
  template <class T>
  struct Waiter;
  using FinishWaiter = std::shared_ptr<Waiter<FinishResult>>;
  void Settle(const BranchId& id, Callback<FinishResult> done,
              FinishResult (Calls::*end)(ThreadOfControl*, const BranchId&, bool*));
  void SettleHere(const BranchId& id, ThreadOfControl* thread,
                  FinishResult (Calls::*end)(ThreadOfControl*, const BranchId&, bool*),
                  const FinishWaiter& waiter);

  const XaLibrary library_;
  const XaOptions options_;
  const OpenInfo open_info_;
  EvidenceLog evidence_;
  uint64_t first_generation_ = 0;
  Calls calls_;
  std::vector<std::unique_ptr<ThreadOfControl>> threads_;
  std::vector<std::unique_ptr<ThreadOfControl>> settle_threads_;
  std::unique_ptr<HangWatch> watch_;

  Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  size_t next_settle_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<ThreadOfControl*> free_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<BranchId, BranchPtr> branches_ ABSL_GUARDED_BY(mutex_);
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<BranchId> heuristic_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<BranchId, Hanging> hanging_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_XA_RESOURCE_MANAGER_H_
