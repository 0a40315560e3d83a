// The client library: change several databases at once, all or nothing.
//
//   auto client = Client::Connect({.coordinators = {"127.0.0.1:7001",
//   "127.0.0.1:7002"}}); if (!client.ok()) … CommitResult result =
//   (*client)->Run([](Transaction& t) -> absl::Status {
//     auto debit = t.Kv("bank-a", {AddIfAtLeast("alice", -500, 0)});
//     if (!debit.ok()) return debit.status();
//     return t.Kv("bank-b", {Add("bob", 500)}).status();
//   });
//   if (result.outcome == Outcome::kUnknown) result = (*client)->Ask(result);  // later
//
// The client finds the leader, follows elections and repeats requests with the same
// gtid, so an election costs time and aborts nothing. A Client is thread-safe and
// has one thread of its own; a Transaction belongs to one thread at a time.
//
// Statuses of the work in a transaction, and what the caller then knows:
//   ABORTED              lost against another transaction; it is rolled back, run it
//                        again (Run does)
//   FAILED_PRECONDITION  a condition did not hold (overdraft, compare-and-set, a
//                        constraint); that call did nothing, the transaction lives
//   INVALID_ARGUMENT     the call itself is wrong; it did nothing
//   NOT_FOUND            no such resource; nothing was done
//   UNAVAILABLE          the resource cannot be reached; nothing of the transaction
//                        will be committed
//   RESOURCE_EXHAUSTED   overloaded, or its disk is full; the same
//   INTERNAL             the resource failed, in its own words; the same
//   DEADLINE_EXCEEDED    the call took longer than it may; the same
// A statement that fails with FAILED_PRECONDITION or INVALID_ARGUMENT leaves the
// transaction alive, unlike in PostgreSQL: Commit then commits the rest. Return the
// status from Run's function, or call Rollback, if that is not wanted.
//
// Across services: a transaction can go with a call to another service, which works in
// it through a client of its own, and hands its branches back with the answer. Context
// and branches are short printable texts; carry them as you carry your calls.
//
//   // service A, the caller: commits
//   CommitResult result = client->Run([&](Transaction& t) -> absl::Status {
//     auto debit = t.Kv("bank-a", {Add("alice", -5)});
//     if (!debit.ok()) return debit.status();
//     auto branches = CallServiceB(t.Share());
//     if (!branches.ok()) return branches.status();
//     return t.Merge(*branches);
//   });
//   // service B, the callee: what it answers to CallServiceB
//   auto joined = client->Join(context);
//   if (!joined.ok()) return joined.status();
//   auto credit = joined->Kv("bank-b", {Add("bob", 5)});
//   if (!credit.ok()) return credit.status();
//   return joined->CarryBack();
//
// Where the answer cannot carry branches, the callee calls joined->Enlist() before it
// answers, and the caller does not Merge. A branch that was handed over either way
// stays when B's object goes; one that was not is rolled back with it. If the caller
// never commits, the resource rolls it back when nobody has called for its idle time
// (30 s unless configured): B works, and A commits, within that time.
//
// Limits. A transaction has at most 128 branches, those of other services included;
// Commit aborts one with more (kRefused, and the detail says so). Its gtid lives for at
// least a minute after Begin, and for ten unless the coordinators hold millions of
// outcomes. Commit aborts a transaction that has outlived it (kRefused); one that was
// shared ends kUnknown.
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

// One global transaction, for one thread at a time. Destroyed without Commit or
// Rollback, it is rolled back; of a joined one, what was not handed over is.
//
// Calls in the wrong order are refused and change nothing: work, Merge or Enlist after
// the end or in an object that was moved from, any call on the thread of the client's own
// loop, or after the Client. Where a status is returned it is FAILED_PRECONDITION; a text
// is empty; a CommitResult has FAILED_PRECONDITION in `work`, and its outcome is what is
// known of the transaction.
class Transaction {
 public:
  Transaction(Transaction&&) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // For logs, and for Client::Ask. Stays when the transaction has ended.
  [[nodiscard]] const Gtid& gtid() const { return gtid_; }

  // Operations at a KV resource, in order; one result each.
  [[nodiscard]] absl::StatusOr<std::vector<wire::KvResult>> Kv(
      const std::string& resource, std::vector<wire::KvOperation> operations);
  // One SQL statement with its parameters.
  [[nodiscard]] absl::StatusOr<wire::SqlResult> Sql(const std::string& resource,
                                                    wire::SqlStatement statement);
  // Anything: kv, sql or opaque work, with the resource's own reply. With
  // work.context.deadline_ms set, this call has that time instead of
  // ClientOptions::execute_timeout; the branch is rolled back when it is over.
  [[nodiscard]] wire::ExecuteReply Execute(const std::string& resource,
                                           wire::ExecuteRequest work);

  // Work that Commit does first, at all the resources named at once: for work whose
  // answers nobody needs before the commit. It saves round trips: PostgreSQL and MariaDB
  // prepare in the same step, and when all branches have, one write at the coordinators
  // is enough.
  //
  //   t.AtCommit("bank-a", Sql("UPDATE account SET balance=balance-5 WHERE …"));
  //   t.AtCommit("bank-b", Sql("UPDATE account SET balance=balance+5 WHERE …"));
  //   CommitResult result = t.Commit();
  //
  // Work that is not OK aborts the transaction, and the result says which: kConflict when
  // it lost against another transaction (Run runs it again), kRolledBack when a condition
  // did not hold or the work was wrong (the detail has the resource's words), else
  // kRefused. A branch that is prepared keeps what it wrote locked while others still
  // wait for locks; MariaDB gives up its read locks then (docs/resource-managers.md).
  // Errors: INVALID_ARGUMENT, kv, sql and opaque work for one resource do not mix, nor do
  // two pieces of opaque work; FAILED_PRECONDITION, a joined transaction.
  absl::Status AtCommit(const std::string& resource, wire::SqlStatement statement);
  absl::Status AtCommit(const std::string& resource,
                        std::vector<wire::KvOperation> operations);
  absl::Status AtCommit(const std::string& resource, wire::ExecuteRequest work);

  // For libraries that run a branch on a connection of the application's own, like
  // postgresql/enlist.h. A name for such a branch, and what to say on the connection;
  // the branch is the transaction's only when AddApplicationManaged has brought its
  // connection. FAILED_PRECONDITION: the transaction was joined. INVALID_ARGUMENT: the
  // resource is of a kind that cannot do this, or the participant is too old to.
  struct ApplicationManagedStart {
    BranchId branch;
    wire::ApplicationManagedBranch sql;
  };
  [[nodiscard]] absl::StatusOr<ApplicationManagedStart> StartApplicationManaged(
      const std::string& resource, Duration grace_period, const std::string& isolation);
  void AddApplicationManaged(const BranchId& branch,
                             std::unique_ptr<ApplicationConnection> connection);

  // Ends the transaction. Waits through elections up to ClientOptions::time_limit, then
  // says kUnknown. Called again, either one says how the transaction has ended.
  CommitResult Commit();
  CommitResult Rollback(std::string_view reason = "");

  // For another service to Join: see context.h. From then on committed in two phases.
  [[nodiscard]] std::string Share();
  // INVALID_ARGUMENT: the text is not of this transaction. ABORTED: work of the callee
  // lost a conflict; UNAVAILABLE: it failed in another way. After these two this
  // transaction can only be rolled back, whether its caller looks or not.
  absl::Status Merge(std::string_view carried_back);
  // In a transaction that was joined: hand the branches back to the caller (Merge); or,
  // after work that failed, the word that the caller's transaction has to abort …
  [[nodiscard]] std::string CarryBack();
  // … or make them known to the coordinator, before answering the caller. OK: they will
  // commit or roll back with the caller's. FAILED_PRECONDITION: too late, commit was
  // asked for before. ABORTED: work had failed before. UNAVAILABLE: it is not known.
  // After an error the branches are rolled back; tell the caller that this work is
  // missing.
  absl::Status Enlist();

 private:
  friend class Client;
  Transaction(std::shared_ptr<LoopHandle> loop, AsyncClient::TransactionPtr transaction);
  // FAILED_PRECONDITION: no call can be made, at this object or on this thread.
  [[nodiscard]] absl::Status Usable() const;
  // start(transaction, setter) on the loop.
  template <class T, class Start>
  [[nodiscard]] Awaited<T> OnLoop(Start start);
  template <class Ender>
  CommitResult End(Ender end);
  CommitResult RollbackAfter(const absl::Status& worked);
  // False: not all of them are prepared, and `result` is the transaction's.
  [[nodiscard]] bool PrepareApplicationManaged(CommitResult* result);
  void RollBackApplicationManaged();

  struct ApplicationManaged {
    BranchId branch;
    std::unique_ptr<ApplicationConnection> connection;
  };
  std::shared_ptr<LoopHandle> loop_;
  AsyncClient::TransactionPtr transaction_;  // null: moved from
  Gtid gtid_;
  bool over_ = false;  // Commit or Rollback has ended it
  std::vector<ApplicationManaged> application_managed_;
};

struct RunOptions {
  TransactionOptions transaction{};
  // Tries after conflicts, the first one included; some seconds in all, with the pauses
  // between. The older transaction wins, but clients take gtids in blocks: one with a
  // newer block can lose to one with an older block many times.
  int max_attempts = 100;
  // Of those, tries after something was away or overloaded: a resource, its participant,
  // a vote that did not come in time. With the pauses between, some seconds in all.
  int max_away_attempts = 8;
  // No try begins later than this after the first one.
  Duration time_limit = Duration::Seconds(60);
};

class Client {
 public:
  // Does not wait for a connection: a cluster that cannot be reached shows at Begin.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Client>> Connect(
      ClientOptions options);
  // For a process that embeds the coordinator: on its loop, with its links. To be
  // destroyed while the loop runs, or by its thread.
  static std::unique_ptr<Client> Over(rpc::EventLoop* loop, LinkProvider* links,
                                      ClientOptions options);
  // Not on the thread of its own loop. Transactions that have not ended can not be ended
  // any more: their resources roll them back when nobody has called for the idle time.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // UNAVAILABLE: no leader was found in time; nothing was begun.
  [[nodiscard]] absl::StatusOr<Transaction> Begin(TransactionOptions options = {});

  // Runs the work and commits. What may go well another time runs again from the start,
  // after a pause, as old as the first try; nothing of the try before is left then:
  //   kConflict                       work that was ABORTED, or locks that were lost
  //   after
  //                                   the last call
  //   kLost, kTimedOut at the commit, a participant was restarted or is slow; it is not
  //   work that was UNAVAILABLE or    reached, recovers, or is overloaded: fewer tries,
  //   RESOURCE_EXHAUSTED              with longer pauses (max_away_attempts)
  // Everything else is returned at once: a vote that was REFUSED (a deferred constraint,
  // a right), work that took too long (DEADLINE_EXCEEDED), and any other status of the
  // work, which rolls back. `work` in the result is the last status of the work.
  CommitResult Run(const std::function<absl::Status(Transaction&)>& work,
                   RunOptions options = {});

  // Takes part in the transaction of a caller that sent Share(). The caller commits.
  // INVALID_ARGUMENT: that is no context. FAILED_PRECONDITION: it is of another cluster,
  // where its gtid is another transaction. UNAVAILABLE: no coordinator answered.
  // Each service has branches of its own, which do not see each other's changes. At a
  // database (PostgreSQL, MariaDB, an X/Open switch) a transaction has one branch at a
  // time: a second service's call there is refused at once (INTERNAL), as it could wait
  // for the locks of the first, and so for its own transaction; the transaction aborts.
  [[nodiscard]] absl::StatusOr<Transaction> Join(std::string_view context);

  // What became of a transaction? Asks the coordinators, and decides nothing. They know
  // what was committed in two phases: a transaction of several branches, or one that
  // was shared. kUnknown: not decided yet, forgotten, nobody could be asked, or it was
  // committed in one phase, in which coordinators have no part. The detail says which.
  [[nodiscard]] CommitResult Ask(const Gtid& gtid);
  // What became of a commit that ended kUnknown? `result` is what Commit, Run or Ask
  // returned; one that is known is returned as it is.
  //   in two phases     as Ask(result.gtid)
  //   in one phase      asks the resource, which keeps the outcome with its data. The
  //                     commit is repeated: a branch that is still there is committed
  //                     now. kUnknown again: the resource does not answer, or the
  //                     outcome is older than what it keeps (as long as coordinators
  //                     keep outcomes, ten minutes unless configured)
  // Only `result` can be asked about in one phase, the gtid alone does not tell where.
  // Write down result.one_phase_branch to ask after a restart: a CommitResult with that
  // and kUnknown is enough.
  [[nodiscard]] CommitResult Ask(const CommitResult& result);

  // How many times another node than before has answered, which is mostly a new leader.
  // Tries at nodes that do not answer, or do not lead, do not count.
  [[nodiscard]] uint64_t leader_changes();

  // For programs that mix both interfaces; use it on its loop only.
  [[nodiscard]] AsyncClient* async() { return async_.get(); }

 private:
  explicit Client(rpc::EventLoop* loop);
  [[nodiscard]] absl::StatusOr<Transaction> Made(
      Awaited<absl::StatusOr<AsyncClient::TransactionPtr>> begun);
  // One try of Run.
  CommitResult RunOnce(const std::function<absl::Status(Transaction&)>& work,
                       RunOptions* options);

  rpc::EventLoop* const event_loop_;
  const std::shared_ptr<LoopHandle> loop_;   // closed with this object
  std::unique_ptr<rpc::LoopThread> thread_;  // none when embedded
  std::unique_ptr<LinkProvider> own_links_;
  std::unique_ptr<AsyncClient> async_;
};

// The status that a reply's result stands for; OK for OK. See the top of this file.
[[nodiscard]] absl::Status ToStatus(const wire::Result& result);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_CLIENT_H_
