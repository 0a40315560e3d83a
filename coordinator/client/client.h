// The client library: change several databases at once, all or nothing.
//
//   auto client = Client::Connect({.coordinators = {"10.0.0.1:7001", "10.0.0.2:7001"}});
//   if (!client.ok()) return client.status();
//   CommitResult result = (*client)->Run([](Transaction& t) -> absl::Status {
//     auto debit = t.Kv("bank-a", {AddIfAtLeast("alice", -500, 0)});
//     if (!debit.ok()) return debit.status();
//     return t.Kv("bank-b", {Add("bob", 500)}).status();
//   });
//   if (result.outcome == Outcome::kUnknown) result = (*client)->Ask(result);  // later
//
// The client finds the leader, follows elections and repeats requests with the same gtid,
// so an election costs time but aborts nothing. A Client is thread-safe and has one
// thread of its own. A Transaction may be used by one thread at a time.
//
// Statuses of the work in a transaction, and what the caller then knows:
//   ABORTED              it lost against another transaction and is rolled back; run it
//                        again, as Run does
//   FAILED_PRECONDITION  a condition did not hold (overdraft, compare-and-set, a
//                        constraint); this call did nothing, the transaction goes on
//   INVALID_ARGUMENT     the call is wrong; it did nothing, the transaction goes on
//   NOT_FOUND            no such resource; nothing was done, the transaction goes on
//   UNAVAILABLE          the resource cannot be reached; the transaction will not commit
//   RESOURCE_EXHAUSTED   the resource is overloaded or its disk is full; the transaction
//                        will not commit
//   INTERNAL             the resource failed; the message says why, and the transaction
//                        will not commit
//   DEADLINE_EXCEEDED    the call took too long; the transaction will not commit
// Unlike in PostgreSQL, a statement that fails with FAILED_PRECONDITION or
// INVALID_ARGUMENT leaves the transaction alive: Commit then commits the rest. To prevent
// that, return the status from Run's function, or call Rollback.
//
// Across services: a transaction can be passed with a call to another service, which
// works in it through a client of its own and returns its branches with the answer.
// Context and branches are short printable texts; send them as part of your own calls.
//
//   // Service A, the caller, commits:
//   CommitResult result = client->Run([&](Transaction& t) -> absl::Status {
//     auto debit = t.Kv("bank-a", {Add("alice", -5)});
//     if (!debit.ok()) return debit.status();
//     auto branches = CallServiceB(t.Share());
//     if (!branches.ok()) return branches.status();
//     return t.Merge(*branches);
//   });
//   // Service B, the callee, returns from CallServiceB:
//   auto joined = client->Join(context);
//   if (!joined.ok()) return joined.status();
//   auto credit = joined->Kv("bank-b", {Add("bob", 5)});
//   if (!credit.ok()) return credit.status();
//   return joined->CarryBack();
//
// If the answer cannot carry branches, the callee calls joined->Enlist() before it
// answers, and the caller does not Merge. A branch that was handed over in either way
// outlives the callee's object; a branch that was not is rolled back when the object is
// destroyed. If the caller never commits, the resource rolls the branch back after its
// idle time without a call (30 s unless configured). So the callee must work, and the
// caller commit, within that time.
//
// Limits. A transaction has at most 128 branches, including those of other services.
// Commit aborts one with more (kRefused, with the reason in `detail`). Its gtid is valid
// for at least a minute after Begin, and for ten unless the coordinators keep millions of
// outcomes. Commit aborts a transaction whose gtid is not valid any more (kRefused); one
// that was shared ends kUnknown.
#ifndef COORDINATOR_CLIENT_CLIENT_H_
#define COORDINATOR_CLIENT_CLIENT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/client/application_connection.h"
#include "coordinator/client/async_client.h"
#include "coordinator/client/await.h"
#include "coordinator/client/operations.h"
#include "coordinator/client/outcome.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

class Client;

// One global transaction, for one thread at a time. If it is destroyed without Commit or
// Rollback, it is rolled back; of a joined transaction, only the branches that were not
// handed over.
//
// Calls in the wrong order are refused and change nothing. These are: work, Merge or
// Enlist after the end or in an object that was moved from; any call on the thread of the
// client's own loop; any call after the Client's end. A returned status is
// FAILED_PRECONDITION, a text is empty, and a CommitResult has FAILED_PRECONDITION in
// `work`, with what is known of the transaction as its outcome.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // For logs and for Client::Ask, also after the end.
  [[nodiscard]] const Gtid& gtid() const { return gtid_; }

  // Does operations at a KV resource, in order. One result for each.
  [[nodiscard]] absl::StatusOr<std::vector<wire::KvResult>> Kv(
      const std::string& resource, std::vector<wire::KvOperation> operations);
  // Runs one SQL statement with its parameters.
  [[nodiscard]] absl::StatusOr<wire::SqlResult> Sql(const std::string& resource,
                                                    wire::SqlStatement statement);
  // Does kv, sql or opaque work, and returns the resource's own reply. If
  // work.context.deadline_ms is set, it replaces ClientOptions::execute_timeout for this
  // call; the branch is rolled back when the time is over.
  [[nodiscard]] wire::ExecuteReply Execute(const std::string& resource,
                                           wire::ExecuteRequest work);

  // Adds work that Commit does first, at all resources at once: for work whose answers
  // are not needed before the commit. It saves round trips: PostgreSQL and MariaDB
  // prepare in the same call, and when all branches are prepared, one write at the
  // coordinators is enough.
  //
  //   t.AtCommit("bank-a", Sql("UPDATE account SET balance=balance-5 WHERE …"));
  //   t.AtCommit("bank-b", Sql("UPDATE account SET balance=balance+5 WHERE …"));
  //   CommitResult result = t.Commit();
  //
  // Work that is not OK aborts the transaction. The cause is kConflict when it lost
  // against another transaction (Run runs it again), kRolledBack when a condition did not
  // hold or the work was wrong (`detail` has the resource's message), otherwise kRefused.
  // A branch that is prepared keeps its writes locked while other branches still wait for
  // locks; MariaDB releases its read locks then (docs/resource-managers.md).
  //   INVALID_ARGUMENT     kv, sql and opaque work are mixed, or there are two pieces of
  //                        opaque work, for one resource
  //   FAILED_PRECONDITION  the transaction was joined
  absl::Status AtCommit(const std::string& resource, wire::SqlStatement statement);
  absl::Status AtCommit(const std::string& resource,
                        std::vector<wire::KvOperation> operations);
  absl::Status AtCommit(const std::string& resource, wire::ExecuteRequest work);

  // For libraries that run a branch on a connection of the application's own, like
  // postgresql/enlist.h. Returns the id of such a branch and the statements to use on the
  // connection. The branch becomes part of the transaction by AddApplicationManaged.
  // FAILED_PRECONDITION: the transaction was joined. INVALID_ARGUMENT: this kind of
  // resource cannot do it, or the participant is too old.
  struct ApplicationManagedStart {
    BranchId branch;
    wire::ApplicationManagedBranch sql;  // the statements
  };
  [[nodiscard]] absl::StatusOr<ApplicationManagedStart> StartApplicationManaged(
      const std::string& resource, Duration grace_period, const std::string& isolation);
  void AddApplicationManaged(const BranchId& branch,
                             std::unique_ptr<ApplicationConnection> connection);

  // Ends the transaction. Waits through elections up to ClientOptions::time_limit, and
  // then returns kUnknown. Later calls of either function return how the transaction has
  // ended.
  CommitResult Commit();
  CommitResult Rollback(std::string_view reason = "");

  // The text with which another service can Join: see context.h. From then on the
  // transaction commits in two phases.
  [[nodiscard]] std::string Share();
  // Adds the branches that a callee's CarryBack has returned.
  //   INVALID_ARGUMENT  the text is not of this transaction
  //   ABORTED           the callee's work has lost a conflict
  //   UNAVAILABLE       the callee's work has failed in another way
  // After the last two the transaction can only be rolled back, even if the status is
  // ignored.
  absl::Status Merge(std::string_view carried_back);
  // In a transaction that was joined: the text that hands the branches over to the
  // caller, for its Merge. After work that failed, the text says that the transaction
  // must abort.
  [[nodiscard]] std::string CarryBack();
  // The same without a text: makes the branches known to the coordinator, before the
  // caller is answered. After OK they commit or roll back with the caller's branches.
  //   FAILED_PRECONDITION  too late: commit was requested before
  //   ABORTED              work had failed before
  //   UNAVAILABLE          it is not known whether the branches are enlisted
  // After an error the branches are rolled back; tell the caller that this work is not
  // part of the transaction.
  absl::Status Enlist();

 private:
  friend class Client;
  Transaction(std::shared_ptr<LoopHandle> loop, AsyncClient::TransactionPtr transaction);
  // FAILED_PRECONDITION: this object was moved from, or this thread must not wait.
  [[nodiscard]] absl::Status Usable() const;
  // Runs start(transaction, setter) on the loop and waits for the value.
  template <class T, class Start>
  [[nodiscard]] Awaited<T> OnLoop(Start start);
  template <class Ender>
  CommitResult End(Ender end);
  CommitResult RollbackAfter(const absl::Status& worked);
  // Prepares application_managed_. False: not all are prepared, and `result` is how the
  // transaction ended.
  [[nodiscard]] bool PrepareApplicationManaged(CommitResult* result);
  void RollBackApplicationManaged();

  struct ApplicationManaged {
    BranchId branch;
    std::unique_ptr<ApplicationConnection> connection;
  };
  std::shared_ptr<LoopHandle> loop_;         // of the client
  AsyncClient::TransactionPtr transaction_;  // null: moved from
  Gtid gtid_;
  bool over_ = false;  // Commit or Rollback was called
  std::vector<ApplicationManaged> application_managed_;
};

struct RunOptions {
  TransactionOptions transaction{};
  // Attempts after conflicts, including the first one. With the pauses in between they
  // take some seconds. The older transaction wins, but clients take gtids in blocks: one
  // with a newer block can lose many times to one with an older block.
  int max_attempts = 100;
  // Attempts after a resource or its participant was unavailable or overloaded, or a vote
  // did not arrive in time; they are counted apart from max_attempts and never exceed it.
  // With the pauses in between they take some seconds.
  int max_away_attempts = 8;
  // No attempt begins later than this after the first one.
  Duration time_limit = Duration::Seconds(60);
};

class Client {
 public:
  // Does not wait for a connection: if the cluster cannot be reached, Begin says so.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> Connect(
      ClientOptions options);
  // For a process that embeds the coordinator: uses its loop and its links. Must be
  // destroyed while the loop runs, or by the loop's thread.
  static std::unique_ptr<Client> Over(rpc::EventLoop* loop, LinkProvider* links,
                                      ClientOptions options);
  // Not on the thread of its own loop. Transactions that have not ended cannot be ended
  // any more: their resources roll them back after the idle time without a call.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // UNAVAILABLE: no leader was found in time; nothing was begun.
  [[nodiscard]] absl::StatusOr<Transaction> Begin(TransactionOptions options = {});

  // Runs the work and commits. After an end that may be different the next time, it runs
  // the work again from the start, after a pause, as a transaction of the same age. The
  // attempt before was rolled back completely. These ends are:
  //   kConflict                        work was ABORTED, or locks were lost after the
  //                                    last call
  //   kLost, kTimedOut at the commit,  a participant was restarted, is slow, cannot be
  //   work that was UNAVAILABLE or     reached, recovers or is overloaded: fewer attempts
  //   RESOURCE_EXHAUSTED               with longer pauses (max_away_attempts)
  // All other ends are returned at once: a vote that was REFUSED (a deferred constraint,
  // a missing right), work that took too long (DEADLINE_EXCEEDED), and any other status
  // of the work, which rolls back. `work` in the result is the last status of the work.
  CommitResult Run(const std::function<absl::Status(Transaction&)>& work,
                   RunOptions options = {});

  // Takes part in the transaction of a caller that sent its Share(). The caller commits.
  //   INVALID_ARGUMENT     `context` is not the text of Share()
  //   FAILED_PRECONDITION  it is from another cluster, where its gtid names another
  //                        transaction
  //   UNAVAILABLE          no coordinator has answered
  // Each service has branches of its own, which do not see each other's changes. At a
  // database (PostgreSQL, MariaDB, an X/Open switch) a transaction has only one branch at
  // a time: the call of a second service there is refused at once (INTERNAL), and the
  // transaction aborts. Otherwise it could wait for locks of the first branch, and so for
  // its own transaction.
  [[nodiscard]] absl::StatusOr<Transaction> Join(std::string_view context);

  // Asks the coordinators for a transaction's outcome, and decides nothing. They know the
  // outcome of commits in two phases: those of transactions with several branches, and of
  // shared ones. kUnknown: it is not decided yet, it is forgotten, no coordinator could
  // be asked, or the commit was in one phase, in which coordinators have no part.
  // `detail` says which.
  [[nodiscard]] CommitResult Ask(const Gtid& gtid);
  // Asks for the outcome of a commit that ended kUnknown. `result` is what Commit, Run or
  // Ask returned; a known outcome is returned unchanged.
  //   commit in two phases  as Ask(result.gtid)
  //   commit in one phase   asks the resource, which keeps the outcome with its data. The
  //                         commit is repeated, so a branch that still exists is
  //                         committed now. kUnknown again: the resource does not answer,
  //                         or it no longer keeps the outcome (it does as long as
  //                         coordinators keep outcomes, ten minutes unless configured)
  // After a commit in one phase the gtid alone does not say which resource to ask. To ask
  // after a restart of the client, store result.one_phase_branch: a CommitResult with
  // that branch and kUnknown is enough.
  [[nodiscard]] CommitResult Ask(const CommitResult& result);

  // How many times a node other than the last one has answered: mostly, how many new
  // leaders there were. Attempts at nodes that do not answer or do not lead do not count.
  [[nodiscard]] uint64_t leader_changes();

  // For programs that use both interfaces; only on its loop.
  [[nodiscard]] AsyncClient* async() { return async_.get(); }

 private:
  explicit Client(rpc::EventLoop* loop);
  [[nodiscard]] absl::StatusOr<Transaction> Made(
      Awaited<absl::StatusOr<AsyncClient::TransactionPtr>> begun);
  // One attempt of Run.
  CommitResult RunOnce(const std::function<absl::Status(Transaction&)>& work,
                       RunOptions* options);

  rpc::EventLoop* const event_loop_;         // thread_'s, or the caller's of Over
  const std::shared_ptr<LoopHandle> loop_;   // closed by the destructor
  std::unique_ptr<rpc::LoopThread> thread_;  // null when made by Over
  std::unique_ptr<LinkProvider> own_links_;  // null when made by Over
  std::unique_ptr<AsyncClient> async_;       // used on the loop
};

// The status for the result in a reply, as listed at the top of this file.
[[nodiscard]] absl::Status ToStatus(const wire::Result& result);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CLIENT_H_
