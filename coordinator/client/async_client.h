// The client library without threads of its own: all calls are made on an event loop and
// answered by a callback. client.h is the blocking interface to it. Programs that keep
// hundreds of transactions in flight use this one.
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
#include "coordinator/base/lifetime.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/cluster_lookup.h"
#include "coordinator/client/context.h"
#include "coordinator/client/coordinators.h"
#include "coordinator/client/gtid_pool.h"
#include "coordinator/client/link.h"
#include "coordinator/client/outcome.h"
#include "coordinator/client/resolver.h"
#include "coordinator/client/rolled_back_gtids.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

struct ClientOptions {
  // Client addresses of coordinator nodes. Name all of them: a node that answers names
  // at most the leader.
  std::vector<std::string> coordinators;
  // How long a call waits for an answer before it is repeated at another node.
  Duration call_timeout = Duration::Seconds(2);
  // How long Commit repeats its request before it returns kUnknown; also for Begin.
  Duration time_limit = Duration::Seconds(30);
  // The coordinator aborts a transaction whose branches have not all voted in this time.
  Duration commit_timeout = Duration::Seconds(10);
  // How long one Execute may take, including the wait for locks.
  Duration execute_timeout = Duration::Seconds(10);
  // How many gtids are fetched at once.
  int32_t gtid_block = 256;
};

struct TransactionOptions {
  // kParallel takes one round less.
  CommitMode mode = CommitMode::kDecided;
  // When locks collide, the older transaction wins. This one counts as old as `age`: a
  // retry names the first attempt here. None: its own gtid.
  Gtid age{};
  // The isolation level of a resource's branch, by the resource's name and in the
  // resource's own terms. A resource that is not named here uses its default, or what the
  // options of the first call say.
  std::map<std::string, std::string> isolation{};
  // The limit from Begin to the decision. A call is given at most the time that is left;
  // when none is left, the transaction can only be rolled back (AbortCause::kTimedOut).
  // Zero: no limit except those of the single calls. Coordinators and participants forget
  // a gtid that is never committed about ten minutes after it was handed out.
  Duration time_limit{};
};

class AsyncClient;

// One global transaction. For the loop's thread, and not after its AsyncClient's end.
// Each resource takes one Execute at a time. Calls in the wrong order are refused and
// change nothing: the status is FAILED_PRECONDITION, a reply's code is CONDITION_FAILED,
// a text is empty, a CommitResult has FAILED_PRECONDITION in `work`.
class AsyncTransaction : public std::enable_shared_from_this<AsyncTransaction> {
 public:
  using ExecuteCallback = absl::AnyInvocable<void(const wire::ExecuteReply&)>;
  using CommitCallback = absl::AnyInvocable<void(const CommitResult&)>;

  [[nodiscard]] const Gtid& gtid() const { return gtid_; }

  // Does work at a resource; the first call there starts a branch. `work` has kv, sql or
  // opaque set. With context.deadline_ms, this is the time for the call. After any code
  // but OK, CONDITION_FAILED, INVALID and NOT_FOUND the transaction can only be rolled
  // back, and Commit aborts it.
  void Execute(const std::string& resource, wire::ExecuteRequest work,
               ExecuteCallback done);

  // Adds work that Commit does first, at all resources at once. Resources that can do so
  // (PostgreSQL, MariaDB) prepare in the same call, so that the coordinator need not ask
  // them. Each resource gets one call with all of its work.
  //   INVALID_ARGUMENT     kv, sql and opaque work are mixed, or there are two pieces of
  //                        opaque work, for one resource
  //   FAILED_PRECONDITION  the transaction has ended, or was joined
  absl::Status AtCommit(const std::string& resource, wire::ExecuteRequest work);

  // Asks for the id of a branch that the application runs on a connection of its own, and
  // for the statements to use there: the reply has `branch` and `application_managed`, or
  // neither. The
  // transaction keeps nothing of it.
  void StartApplicationManaged(const std::string& resource, wire::StartOptions options,
                               ExecuteCallback done);
  // Adds such branches, which are prepared now, or may be. From then on only the
  // coordinators can end the transaction.
  void AddPrepared(std::vector<BranchId> branches);
  // Whether this is a part of a caller's transaction.
  [[nodiscard]] bool joined() const { return joined_; }
  // Why the transaction can only be rolled back. Empty: it may commit.
  [[nodiscard]] const std::string& doomed() const { return doom_detail_; }
  // The cause of the abort that will follow. kNone: it may commit.
  [[nodiscard]] AbortCause doom_cause() const { return doomed_; }

  // Ends the transaction, once all calls under way have been answered. A second call
  // returns how it has ended, or kUnknown while that is not known. A transaction with one
  // branch that was never shared commits in one phase, at the branch's resource. Work of
  // AtCommit that is not OK aborts the transaction: kConflict when it lost against
  // another transaction, kRolledBack when a condition did not hold or the work was wrong,
  // otherwise kRefused.
  void Commit(CommitCallback done);
  // The outcome is kAborted with kRolledBack, unless commit was requested before.
  void Rollback(std::string_view reason, CommitCallback done);
  // For a transaction that is dropped without an end: rolls it back, except the branches
  // that CarryBack or Enlist has handed over.
  void Abandon();

  // The text with which another service can work in this transaction. From then on the
  // transaction commits in two phases, even with a single branch.
  [[nodiscard]] std::string Share();
  // Adds the branches in a text that a callee's CarryBack() has made. The same text may
  // be merged again; that changes nothing.
  //   INVALID_ARGUMENT  the text is not of this transaction
  //   ABORTED           the callee's work has lost a conflict
  //   UNAVAILABLE       the callee's work has failed in another way
  // After the last two the transaction can only be rolled back.
  absl::Status Merge(std::string_view carried_back);

  // For a transaction that was joined: the text with its branches, for the caller's
  // Merge. The branches now belong to the caller and outlive this object; Rollback still
  // rolls them back. After work that dooms the transaction, or while a call is under way,
  // they are rolled back instead, and the text says so: the caller's Merge fails, and its
  // commit aborts.
  [[nodiscard]] std::string CarryBack();
  // The same where the caller cannot carry the branches: makes them known to the
  // coordinator. OK means that this is log-committed, before the commit request; the
  // branches then outlive this object as above.
  //   FAILED_PRECONDITION  too late: tell the caller that this work is not part of the
  //                        transaction
  //   ABORTED              work has failed, so that the transaction can only be rolled
  //                        back
  //   UNAVAILABLE          it is not known whether the branches are enlisted
  // After an error the branches are rolled back: the caller's commit aborts, or does not
  // include them.
  void Enlist(absl::AnyInvocable<void(const absl::Status&)> done);

 private:
  static constexpr char kCommittedByCaller[] =
      "a joined transaction is committed by its caller";
  friend class AsyncClient;
  struct Branch {
    std::string address;   // of its participant
    bool started = false;  // false: `id` is not known yet
    BranchId id;
    int64_t calls = 0;         // number of the last call
    bool calling = false;      // a call is under way
    bool handed_over = false;  // the caller owns it and ends it
    bool prepared = false;     // has voted PREPARED in the reply to its work
  };

  AsyncTransaction(AsyncClient* client, ClusterId cluster, Gtid gtid,
                   TransactionOptions options, bool joined);
  void FillStartOptions(const std::string& resource, wire::ExecuteRequest* work) const;
  void ExecuteAt(const std::string& resource, wire::ExecuteRequest work,
                 ExecuteCallback done);
  // `work` must have passed CheckWork.
  void StartCall(const std::string& resource, wire::ExecuteRequest work,
                 ExecuteCallback done);
  // OK, or why no work may begin now.
  [[nodiscard]] wire::Result CheckWork(const std::string& resource) const;
  void OnExecuted(const std::string& resource, const wire::ExecuteReply& reply);
  void EndCall();
  // FAILED_PRECONDITION when the transaction has ended or is ending.
  [[nodiscard]] absl::Status CheckActive() const;
  void Doom(AbortCause cause, std::string detail);
  // The time for a call: `asked`, but not beyond the transaction's own limit.
  [[nodiscard]] Duration TimeFor(Duration asked) const;
  // How the transaction has ended, for a call that comes too late.
  [[nodiscard]] CommitResult Ended() const;
  // Returns a callback that keeps the result for Ended() and then calls `done`.
  [[nodiscard]] CommitCallback Keeping(CommitCallback done);
  void CommitWhenIdle(CommitCallback done);
  [[nodiscard]] std::vector<BranchId> AllBranches() const;
  void DoLastWork(CommitCallback done);
  void CommitAfterWork(CommitCallback done);
  // Whether branches are or may be prepared, so that only coordinators can end it.
  [[nodiscard]] bool may_be_prepared() const {
    return application_prepared_ || asked_to_prepare_;
  }
  void CommitTwoPhase(CommitCallback done);
  void AbortUnbegun(const std::string& why, CommitCallback done);
  void EndByRollback(std::string_view reason, CommitCallback done);
  // As EndByRollback; the outcome kAborted then has this cause and detail.
  void RollbackBecause(AbortCause cause, std::string detail, CommitCallback done);
  void RollbackAtCoordinator(std::string_view reason, CommitCallback done);
  void RollbackAtResources();
  void RollbackAtResource(const Branch& branch);
  void HandOver(const std::vector<BranchId>& branches);
  [[nodiscard]] CommitResult Aborted(AbortCause cause, std::string detail) const;

  AsyncClient* const client_;  // outlives it
  const ClusterId cluster_;    // 0: not known, because the caller's context did not say
  const Gtid gtid_;
  const TransactionOptions options_;
  const bool joined_;         // a part of a caller's transaction
  const Timestamp deadline_;  // of TransactionOptions::time_limit; infinite without
  bool shared_ = false;       // others may know it, so it commits in two phases
  bool ending_ = false;       // commit was requested
  bool ended_ = false;        // no call may change it any more
  int calls_under_way_ = 0;   // at its branches
  absl::AnyInvocable<void()> when_idle_;  // the commit, which waits for these calls
  std::optional<CommitResult> end_;       // how it has ended; nullopt: not known yet
  // Some of carried_ are application-managed: prepared, and they have not voted.
  bool application_prepared_ = false;
  bool asked_to_prepare_ = false;  // work at commit has asked for votes
  // Why it can only abort; kNone while it may commit.
  AbortCause doomed_ = AbortCause::kNone;
  std::string doom_detail_;                      // the reason; empty while it may commit
  wire::Code::type doom_code_ = wire::Code::OK;  // of the reply that has doomed it
  std::map<std::string, Branch> branches_;       // by resource
  std::vector<BranchId> carried_;  // of callees, or on the application's connections
  std::map<std::string, wire::ExecuteRequest> last_work_;  // of AtCommit, by resource
};

// For the loop's thread. After its end no method of its transactions may be called, and
// calls that are under way are not answered any more.
class AsyncClient {
 public:
  AsyncClient(rpc::EventLoop* loop, LinkProvider* links, ClientOptions options);
  AsyncClient(const AsyncClient&) = delete;
  AsyncClient& operator=(const AsyncClient&) = delete;

  using TransactionPtr = std::shared_ptr<AsyncTransaction>;
  // UNAVAILABLE: no leader was found in time; nothing was begun.
  void Begin(TransactionOptions options,
             absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done);
  // Takes part in a caller's transaction, which the caller commits.
  //   INVALID_ARGUMENT     `context` is not the text of Share()
  //   FAILED_PRECONDITION  it is from another cluster, where the same gtid names another
  //                        transaction
  //   UNAVAILABLE          no coordinator has said which cluster this one is
  void Join(std::string_view context,
            absl::AnyInvocable<void(absl::StatusOr<TransactionPtr>)> done);
  // Asks for a transaction's outcome, as both Client::Ask do. A transaction that this
  // client has rolled back lately without the coordinators is answered kAborted.
  void Ask(const Gtid& gtid, absl::AnyInvocable<void(const CommitResult&)> done);
  void Ask(const CommitResult& result,
           absl::AnyInvocable<void(const CommitResult&)> done);

  [[nodiscard]] rpc::EventLoop* loop() { return loop_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  [[nodiscard]] Coordinators& coordinators() { return coordinators_; }

 private:
  friend class AsyncTransaction;

  rpc::EventLoop* const loop_;  // outlives it
  LinkProvider* const links_;   // outlives it
  const ClientOptions options_;
  Coordinators coordinators_;
  ClusterLookup cluster_;
  GtidPool gtids_;     // for Begin
  Resolver resolver_;  // addresses of resources
  RolledBackGtids rolled_back_;
  Lifetime lifetime_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_ASYNC_CLIENT_H_
