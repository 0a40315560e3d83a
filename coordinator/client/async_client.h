// The client library without threads of its own: everything happens on an event loop
// and ends in a callback. client.h puts a blocking interface in front of it; programs
// that keep hundreds of transactions in flight use this one.
//
//   AsyncClient client(loop, &links, options);
//   client.Begin({}, [work](absl::StatusOr<std::shared_ptr<AsyncTransaction>> txn) {
//     if (!txn.ok()) return;
//     (*txn)->Execute("bank-a", work, [](const wire::ExecuteReply& reply) { … });
//     (*txn)->Commit([](const CommitResult& result) { … });  // when that is answered
//   });
#ifndef COORDINATOR_CLIENT_ASYNC_CLIENT_H_
#define COORDINATOR_CLIENT_ASYNC_CLIENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/cluster_lookup.h"
#include "coordinator/client/context.h"
#include "coordinator/client/coordinators.h"
#include "coordinator/client/gtid_pool.h"
#include "coordinator/client/link.h"
#include "coordinator/client/outcome.h"
#include "coordinator/client/resolver.h"
#include "coordinator/client/rolled_back.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

struct ClientOptions {
  // Client addresses of coordinator nodes; one that answers is enough, the others
  // are learnt from it only if it knows who leads: name them all.
  std::vector<std::string> coordinators;
  // How long a call waits for an answer before it is repeated elsewhere.
  Duration call_timeout = Duration::Seconds(2);
  // How long Commit goes on asking before it says UNKNOWN; also for Begin.
  Duration time_limit = Duration::Seconds(30);
  // The coordinator aborts a transaction whose branches have not all voted by then.
  Duration commit_timeout = Duration::Seconds(10);
  // How long one Execute may take, waiting for locks included.
  Duration execute_timeout = Duration::Seconds(10);
  // Gtids fetched at once.
  int32_t gtid_block = 256;
};

struct TransactionOptions {
  // kParallel takes one round less.
  CommitMode mode = CommitMode::kDecided;
  // Counts as old as this transaction when locks collide; a retry names the first try.
  Gtid age{};
  // The level that a resource's branch gets, by the resource's name and in its own
  // words. A resource that is not named here: its default, or what the first call's
  // options say.
  std::map<std::string, std::string> isolation{};
  // From Begin to the decision. Calls that would take longer are given what is left, and
  // when it is over the transaction can only be rolled back (AbortCause::kTimedOut).
  // Zero: no limit but those of the single calls. Coordinators and participants forget a
  // gtid that is never committed about ten minutes after it was handed out.
  Duration time_limit{};
};

class AsyncClient;

// One global transaction. Loop thread only, and not after its AsyncClient. One Execute at
// a time for each resource. Calls that come in the wrong order are refused, and change
// nothing: FAILED_PRECONDITION as a status, CONDITION_FAILED as a reply's code, an empty
// text, or a CommitResult whose `work` says so.
class AsyncTransaction : public std::enable_shared_from_this<AsyncTransaction> {
 public:
  using ExecuteCallback = absl::AnyInvocable<void(const wire::ExecuteReply&)>;
  using CommitCallback = absl::AnyInvocable<void(const CommitResult&)>;

  [[nodiscard]] const Gtid& gtid() const { return gtid_; }

  // Works at a resource; the first call there starts a branch. `work` has kv, sql or
  // opaque set; with context.deadline_ms that is the time for this call. After anything
  // but OK, CONDITION_FAILED, INVALID and NOT_FOUND the transaction can only be rolled
  // back, and Commit aborts it.
  void Execute(const std::string& resource, wire::ExecuteRequest work,
               ExecuteCallback done);

  // Work that Commit does first: at all the resources named at once, and prepared in the
  // same step where the resource can do that (PostgreSQL, MariaDB), so that the
  // coordinator need not ask. One call at each resource; more work there is added to it.
  // INVALID_ARGUMENT: kv, sql and opaque do not mix, and opaque work is not added to;
  // FAILED_PRECONDITION: the transaction has ended, or was joined.
  absl::Status AtCommit(const std::string& resource, wire::ExecuteRequest work);

  // A name for a branch that the application runs on a connection of its own, and how:
  // the reply has `branch` and `application_managed`, or neither. Nothing is kept of it
  // here.
  void StartApplicationManaged(const std::string& resource, wire::StartOptions options,
                               ExecuteCallback done);
  // Such branches, which are prepared now, or may be. From then on the transaction ends
  // through the coordinators.
  void AddPrepared(std::vector<BranchId> branches);
  // Works in a caller's transaction.
  [[nodiscard]] bool joined() const { return joined_; }
  // It can only be rolled back, and is: why. Empty: it may commit.
  [[nodiscard]] const std::string& doomed() const { return doom_detail_; }
  // What its abort will be put down to; kNone: it may commit.
  [[nodiscard]] AbortCause doom_cause() const { return doomed_; }

  // Ends the transaction, when the calls that are under way have been answered. Called
  // again, it says how it has ended, or, while that is not known, kUnknown. With one
  // branch, and the context never handed out, the branch commits in one phase at its
  // resource. Work of AtCommit that is not OK aborts it: kConflict when it lost against
  // another transaction, kRolledBack when a condition did not hold or the work was wrong,
  // else kRefused.
  void Commit(CommitCallback done);
  // The outcome is kAborted with kRolledBack, unless commit was asked for before.
  void Rollback(std::string_view reason, CommitCallback done);
  // What happens to a transaction that is dropped without an end: it is rolled back,
  // but for the branches that CarryBack or Enlist handed over.
  void Abandon();

  // The text that lets another service work in this transaction. From then on it is
  // committed in two phases whatever its branches.
  [[nodiscard]] std::string Share();
  // Branches that a callee carried back (its CarryBack()). INVALID_ARGUMENT when the
  // text is not of this transaction. Merging a text again changes nothing. ABORTED,
  // UNAVAILABLE: the callee's work has lost a conflict, or failed in another way: this
  // transaction can only be rolled back now.
  absl::Status Merge(std::string_view carried_back);

  // For a transaction that was joined: its branches, for the caller to Merge. They are
  // the caller's now, and outlive this object; Rollback still rolls them back. After
  // work that dooms the transaction, or while a call is under way, they are rolled back
  // instead, and the text says so: the caller's Merge fails, and its commit aborts.
  [[nodiscard]] std::string CarryBack();
  // Or, where the caller cannot carry them: makes them known to the coordinator. OK
  // only when that is log-committed and before the commit request: the branches then
  // outlive this object as above. FAILED_PRECONDITION when it is too late, and the
  // caller must be told that this work is not part of the transaction; ABORTED when
  // work had failed so that the transaction can only be rolled back; UNAVAILABLE when
  // it is not known. After an error the branches are rolled back: the caller's commit
  // aborts, or does not have them.
  void Enlist(absl::AnyInvocable<void(const absl::Status&)> done);

 private:
  static constexpr char kCommittedByCaller[] =
      "a joined transaction is committed by its caller";
  friend class AsyncClient;
  struct Branch {
    std::string address;
    bool started = false;
    BranchId id;
    int64_t calls = 0;
    bool calling = false;      // a call is under way
    bool handed_over = false;  // to the caller, who ends it
    bool prepared = false;     // has voted so, unasked
  };

  AsyncTransaction(AsyncClient* client, ClusterId cluster, Gtid gtid,
                   TransactionOptions options, bool joined);
  void FillStartOptions(const std::string& resource, wire::ExecuteRequest* work) const;
  void ExecuteAt(const std::string& resource, wire::ExecuteRequest work,
                 ExecuteCallback done);
  // `work` has passed the checks of Execute.
  void StartCall(const std::string& resource, wire::ExecuteRequest work,
                 ExecuteCallback done);
  // Why no work may begin now; OK: it may.
  [[nodiscard]] wire::Result CheckWork(const std::string& resource) const;
  void OnExecuted(const std::string& resource, const wire::ExecuteReply& reply);
  void EndCall();
  // FAILED_PRECONDITION when it has ended, or is ending.
  [[nodiscard]] absl::Status CheckActive() const;
  void Doom(AbortCause cause, std::string detail);
  // For work: at most until the transaction's own limit.
  [[nodiscard]] Duration TimeFor(Duration asked) const;
  // Says how it has ended, to a call that comes too late.
  [[nodiscard]] CommitResult Ended() const;
  // Keeps the result for Ended().
  [[nodiscard]] CommitCallback Keeping(CommitCallback done);
  void CommitWhenIdle(CommitCallback done);
  [[nodiscard]] std::vector<BranchId> AllBranches() const;
  void DoLastWork(CommitCallback done);
  void CommitAfterWork(CommitCallback done);
  // Some of its branches are, or may be, prepared: only coordinators end it.
  [[nodiscard]] bool may_be_prepared() const {
    return application_prepared_ || asked_to_prepare_;
  }
  void CommitTwoPhase(CommitCallback done);
  void AbortUnbegun(const std::string& why, CommitCallback done);
  void EndByRollback(std::string_view reason, CommitCallback done);
  // The outcome kAborted then has this cause and detail.
  void RollbackBecause(AbortCause cause, std::string detail, CommitCallback done);
  void RollbackAtCoordinator(std::string_view reason, CommitCallback done);
  void RollbackAtResources();
  void RollbackAtResource(const Branch& branch);
  void HandOver(const std::vector<BranchId>& branches);
  [[nodiscard]] CommitResult Aborted(AbortCause cause, std::string detail) const;

  AsyncClient* const client_;
  const ClusterId cluster_;  // 0: not known, of a joined one whose context lacks it
  const Gtid gtid_;
  const TransactionOptions options_;
  const bool joined_;
  const Timestamp deadline_;
  bool shared_ = false;
  bool ending_ = false;  // commit was asked for
  bool ended_ = false;
  int calls_under_way_ = 0;
  absl::AnyInvocable<void()> when_idle_;  // the commit, which waits for them
  std::optional<CommitResult> end_;
  // Some of carried_ are application-managed: prepared, and they have not voted.
  bool application_prepared_ = false;
  bool asked_to_prepare_ = false;
  // Why it can only abort; kNone while it may commit.
  AbortCause doomed_ = AbortCause::kNone;
  std::string doom_detail_;
  wire::Code::type doom_code_ = wire::Code::OK;  // of the reply that has doomed it
  std::map<std::string, Branch> branches_;
  std::vector<BranchId> carried_;
  std::map<std::string, wire::ExecuteRequest> last_work_;
};

// Loop thread only. No method of a transaction may be called after it; what is under way
// when it goes is not called back.
class AsyncClient {
 public:
  AsyncClient(rpc::EventLoop* loop, LinkProvider* links, ClientOptions options);
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  using TransactionPtr = std::shared_ptr<AsyncTransaction>;
  // UNAVAILABLE when no leader was found in time; nothing was begun.
  void Begin(TransactionOptions options,
             absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done);
  // Takes part in a caller's transaction; the caller commits it. INVALID_ARGUMENT: that
  // is no context. FAILED_PRECONDITION: it is of another cluster, where the same gtid
  // is another transaction's. UNAVAILABLE: nobody has said which cluster this one is.
  void Join(std::string_view context,
            absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done);
  // What became of it? See Client::Ask, both of them. A transaction that this client has
  // rolled back without the coordinators is known to be aborted, if that is not long ago.
  void Ask(const Gtid& gtid, absl::AnyInvocable<void(const CommitResult&)> done);
  void Ask(const CommitResult& result,
           absl::AnyInvocable<void(const CommitResult&)> done);

  [[nodiscard]] rpc::EventLoop* loop() { return loop_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  [[nodiscard]] Coordinators& coordinators() { return coordinators_; }

 private:
  friend class AsyncTransaction;

  rpc::EventLoop* const loop_;
  LinkProvider* const links_;
  const ClientOptions options_;
  Coordinators coordinators_;
  ClusterLookup cluster_;
  GtidPool gtids_;
  Resolver resolver_;
  RolledBackGtids rolled_back_;
  // Answers that come after this object find it gone.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_ASYNC_CLIENT_H_
