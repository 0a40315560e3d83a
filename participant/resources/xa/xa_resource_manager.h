// A resource manager for libraries that export an X/Open switch (xa_switch_t): everything
// that was made for a transaction monitor.
//
//   auto library = xa::LoadSwitch("/usr/lib/libqueue.so", "queue_switch",
//                                 "/usr/lib/libqueue_work.so", "queue_work");
//   xa::XaOptions options;
//   options.resource = "queue";
//   options.open_info = "…";                        // passed to xa_open
//   options.dir = "/var/lib/queue-evidence";        // the evidence, see below
//   auto manager = std::make_unique<xa::XaResourceManager>(*library, options);
//
// XA has no verb for the work itself: a function of yours does it (work.h), with the
// resource manager's own calls, on the thread that the branch is associated with. So a
// branch has a thread that has called xa_open from its first Execute to its PREPARE, as a
// branch of a database has a connection. When all threads are in use, other
// branches wait.
//
//   Execute         [xa_start], the work function
//   Prepare         xa_end(TMSUCCESS), xa_prepare
//   Commit          xa_commit       } on other threads, which active branches never use
//   Rollback        xa_rollback     }
//   CommitOnePhase  xa_end, xa_prepare, evidence flushed, xa_commit
//   Recover         xa_recover; branches that were decided in one phase are committed
//
// Evidence. After a lost answer, a switch cannot tell whether xa_commit with TMONEPHASE
// has committed. So a one-phase commit consists of two phases, with the decision between
// them in a log of ours, in `dir`. It costs one flush more than the resource manager's
// own two phases. A branch that was prepared and is not there any more (XAER_NOTA) has
// been committed, by XA's rule that branches ended heuristically are kept until
// xa_forget. xa_forget is called when the coordinators have recorded the heuristic
// outcome, that is, when the watermark has passed the transaction. Until then xa_recover
// lists the branch, and it is reported again.
//
// The codes: XA_RB* is CONFLICT in Execute and REFUSED in Prepare. XAER_RMERR of
// xa_commit is a heuristic rollback, as the specification says. After XAER_RMFAIL the
// thread calls xa_close, xa_open and xa_recover.
//
// Not supported: dynamic registration (TMREGISTER; name the library's static switch),
// TMASYNC, suspended and joined branches.
//
// A call that hangs cannot be ended safely: it keeps its thread, and Close waits for it.
// After `hang_after` it is logged as an error (and logged again when it returns) and
// counted in Stats. Callers that wait for it, or for a task after it, are told that the
// result is not known yet: a PREPARE is UNAVAILABLE, COMMIT and ROLLBACK must be
// repeated, LookUp is kUnknown. What the call returns late is the answer to the next such
// request. Execute and CommitOnePhase wait, since no answer about them would remain true.
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

// Loads both libraries, and the functions that belong to the work function (work.h) if
// they exist, until the end of the process. The second library may be the first one, or
// empty, which means the first one. NOT_FOUND: a library or a symbol is missing; the text
// comes from the loader.
[[nodiscard]] absl::StatusOr<XaLibrary> LoadSwitch(const std::string& library,
                                                   const std::string& switch_symbol,
                                                   const std::string& work_library,
                                                   const std::string& work_symbol);

struct XaOptions {
  // The resource's name in the cluster, which is part of every branch id.
  std::string resource;
  std::string open_info;   // passed to xa_open, at most 255 characters
  std::string close_info;  // passed to xa_close, at most 255 characters
  // A folder for the evidence.
  std::string dir;
  // How many branches are active at one time, and how many threads end prepared ones.
  uint32_t threads = 8;
  uint32_t settle_threads = 2;
  // How many branches may not have voted yet. Those above `threads` wait in Execute.
  uint32_t max_branches = 1000;
  // How long a call of the switch may take before it counts as hanging.
  Duration hang_after = Duration::Seconds(10);
};

// Thread-safe. Callbacks run on the branches' threads or on the calling thread.
class XaResourceManager final : public ResourceManager {
 public:
  XaResourceManager(XaLibrary library, XaOptions options, FileEnv* env = PosixFileEnv());
  ~XaResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "xa"; }
  [[nodiscard]] std::string store_id() const override { return evidence_.store_id(); }
  // True, because each database decides whether branches of one transaction share locks.
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }

  // The generation of the folder of the evidence. The data of the library has none, so an
  // older copy of it is not recognized.
  [[nodiscard]] uint64_t generation() const override { return first_generation_; }
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;

  // INVALID_ARGUMENT: a bad option. FAILED_PRECONDITION: the switch has another version,
  // or registers dynamically; or the evidence belongs to another resource. UNAVAILABLE:
  // xa_open or xa_recover failed.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;
  // RESOURCE_EXHAUSTED: there are too many branches, or there is no room for evidence.
  // INVALID_ARGUMENT: the branch names an isolation; a switch has none.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  // Accepts only opaque work.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& /*branch*/) override {}
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  // Waits for an Execute that runs; one that waits for a thread is called back.
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

  // Number of flushes of the evidence so far.
  [[nodiscard]] uint64_t flush_count() { return evidence_.flush_count(); }
  // May be called from Recover until Close.
  [[nodiscard]] XaStats Stats() { return watch_->Stats(); }

 private:
  struct Branch {
    ThreadOfControl* thread = nullptr;  // null: no work yet
    bool started = false;               // xa_start was called; used on its thread
    bool uncertain = false;             // PREPARE was not answered
    // The result of a PREPARE that was given up and has returned late; used on the
    // thread.
    std::optional<PrepareResult> late_vote;
  };
  // The end of a prepared branch that was given up: no second call may be made beside it.
  struct Hanging {
    std::optional<FinishResult> late;  // the result, when the call has returned
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
  // Returns the branch's thread, or gives it a free one. Null: all are in use.
  [[nodiscard]] ThreadOfControl* TakeThread(Branch* branch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The branch has ended or is prepared: its thread is free for another branch.
  void EndWork(const BranchId& id);
  void PostExecute(Waiting call, ThreadOfControl* thread);
  void ExecuteHere(Waiting call);
  [[nodiscard]] wire::ExecuteReply Work(const Waiting& call, bool* over);
  [[nodiscard]] ThreadOfControl* SettleThread();
  // Called on the branch's thread. If there is no answer (`uncertain`), PREPARE comes
  // again.
  [[nodiscard]] PrepareResult PrepareHere(const BranchId& id, Branch* branch);
  // Ensures one answer for a caller: by the thread, or by the watch when it gives up.
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
  std::vector<std::unique_ptr<ThreadOfControl>> threads_;  // they run active branches
  std::vector<std::unique_ptr<ThreadOfControl>>
      settle_threads_;                // they end prepared branches
  std::unique_ptr<HangWatch> watch_;  // notices calls that hang; null before Recover

  Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;       // between Recover and Close
  size_t next_settle_ ABSL_GUARDED_BY(mutex_) = 0;  // which of settle_lanes_ is next
  std::vector<ThreadOfControl*> free_ ABSL_GUARDED_BY(mutex_);  // threads of no branch
  // Those that have not voted, and those that are voting.
  absl::flat_hash_map<BranchId, BranchPtr> branches_ ABSL_GUARDED_BY(mutex_);
  // Execute calls that wait for a thread.
  std::deque<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  // To be forgotten when the watermark has passed them.
  absl::flat_hash_set<BranchId> heuristic_ ABSL_GUARDED_BY(mutex_);
  // Ends of prepared branches that were given up.
  absl::flat_hash_map<BranchId, Hanging> hanging_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_XA_RESOURCE_MANAGER_H_
