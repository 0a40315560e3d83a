// A MariaDB database as a resource manager: the server's own XA.
//
//   MariadbOptions options;
//   options.resource = "bank-a";       // the name under which a participant serves it
//   MariadbResourceManager bank("mysql://app@db/bank", options);
//   bank.Recover(cluster, [](auto prepared) { ... });
//
// A branch is an XA transaction on a connection of its own, from its first statement to
// its end: while the session that prepared a branch lives, the server tells all others
// XAER_NOTA for it. The connection is given up, and the branch finished on another one,
// when branches at work need it. The branch's evidence is a row of concordat.branches,
// written in the branch itself, so that it is there exactly if the branch was committed.
// What goes over the wire, each line one round trip (one packet, several statements;
// when one fails the server skips the rest):
//
//     Execute         SET TRANSACTION, XA START, the statements  (later: SAVEPOINT first)
//     Prepare         INSERT evidence, XA END, XA PREPARE                 one flush
//     Commit          XA COMMIT                                           one flush
//     Rollback        XA ROLLBACK      no flush: after a crash it may be prepared again,
//                                      is found (OnFound), asks, and is rolled back
//   or
//     CommitOnePhase  INSERT evidence, XA END, XA COMMIT ONE PHASE        one flush
//   or, for a branch that has written nothing (the session counts rows written)
//     Prepare, CommitOnePhase   SHOW STATUS                               no flush
//                               XA END, XA COMMIT ONE PHASE
//
// With a binary log each flush is one of that log and one of InnoDB's, and each commit is
// followed, in the same packet, by FLUSH LOCAL ENGINE LOGS: without it a branch that was
// answered as committed may be prepared again after a crash (sql.h, FlushCommits).
//
// What is lost with a connection is found out, never guessed: the old session is ended
// and seen to be gone from the server's list of sessions, and only then XA
// RECOVER and the evidence are read. Until that has been possible the answer is
// kUnavailable, kRetry or kUnknown. XAER_NOTA proves nothing either: the evidence says
// what became of the branch.
//
// The parts, from the outside in:
//
//     engine: what the verbs do, on one loop thread
//     start_check: may the database be served
//     branch_work: branches at work, with a connection each
//     settler: prepared ones
//     answer_watch: batches that nobody answers
//     guard: one process a resource; ends old sessions
//     pool, connection: batches, each as one packet
//     address, value, statement_check, sql: texts
//
// A call's statements are all done or all undone: when one fails, the call is undone
// and the branch lives on (CONDITION_FAILED for constraints and SIGNAL, INVALID for the
// statement itself, OVERLOADED for the server's limits). Ends the branch: CONFLICT
// (1213 deadlock, 1205 lock time-out), BRANCH_GONE (the connection was lost), TIMED_OUT
// (1969 the statement ran too long) and RESOURCE_ERROR (1317 somebody has interrupted it,
// or a table was written that cannot roll back).
//
// StartOptions.isolation: "read-committed", "repeatable-read" (default), "serializable";
// they are InnoDB's own, for this database alone. docs/resource-managers.md says what a
// reader across databases can see.
//
// Refused in a branch, with INVALID: transaction control, everything that MariaDB commits
// implicitly for (all of DDL), SET, USE, PREPARE and EXECUTE, HANDLER, LOAD, several
// statements in one. Concordat's tables are refused by the server: only a role has rights
// to them, which a session has while our own statements run.
#ifndef PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant {

struct MariadbOptions {
  // The resource's name in the cluster. Part of every branch id, and so of the xids of
  // prepared branches: those of other names are left alone.
  std::string resource;
  // What a branch gets that names no isolation.
  std::string default_isolation = "repeatable-read";
  // Connections for branches at work and those they prepared, one each, and for settling
  // the others. The server needs max_connections for both and two more.
  uint32_t max_connections = 32;
  uint32_t settle_connections = 8;
  // A branch waits so long for a free connection: OVERLOADED then, or UNAVAILABLE when
  // the server cannot be reached. The branch lives on.
  Duration connection_wait = Duration::Seconds(5);
  Duration connect_timeout = Duration::Seconds(5);
  // Recover waits so long for a server that is not reached.
  Duration start_patience = Duration::Seconds(30);
  // Between tries to reach the server: doubled each time, with jitter.
  Duration min_back_off = Duration::Millis(50);
  Duration max_back_off = Duration::Seconds(3);
  // innodb_lock_wait_timeout and max_statement_time of the sessions, in whole seconds:
  // rounded up.
  Duration lock_wait = Duration::Seconds(5);
  Duration statement_time = Duration::Seconds(10);
  // A commit, rollback or look-up that cannot be carried out is tried again for so long
  // before it is given back with kRetry or kUnknown.
  Duration settle_patience = Duration::Seconds(3);
  // A packet of statements that has brought no answer for so long is asked after, by a
  // new connection. When the server does not answer that either, or its session is seen
  // to do nothing, the packet's connection is given up; one that works is waited for.
  Duration answer_time = Duration::Seconds(15);
  // XA RECOVER is looked at so often, for branches that turn up after the start.
  Duration scan_interval = Duration::Seconds(5);
  // Limits: the rows one call returns, branches that are not prepared.
  uint64_t max_result_bytes = kMaxAnswerBytes;
  uint32_t max_branches = 20000;
};

// Takes our own parameters out of a URL, into `options`, and returns the rest:
//   isolation=read-committed | repeatable-read | serializable
//   max_connections=N  settle_connections=N  lock_wait_ms=N  statement_time_ms=N
// INVALID_ARGUMENT: a value is not what it should be.
[[nodiscard]] absl::StatusOr<std::string> ParseMariadbUrl(const std::string& url,
                                                          MariadbOptions* options);

// Since the start. For operators, and for tests that count what a branch costs.
struct MariadbStats {
  uint64_t connects = 0;       // connections that were made
  uint64_t statements = 0;     // statements sent, ours and the users'
  uint64_t round_trips = 0;    // packets sent: each is waited for once
  uint64_t lost_ends = 0;      // branches lost in the middle of PREPARE or COMMIT
  uint64_t left_undone = 0;    // packets whose rest the server has never done
  uint64_t detached = 0;       // prepared branches that had to give up theirs
  uint64_t resets = 0;         // sessions made as new between two branches
  uint64_t prepared_here = 0;  // prepared branches of this resource, at the last look
  // Of other clusters, other resources, and of operators.
  uint64_t prepared_by_others = 0;
};

// What a look at XA RECOVER found on this server.
struct MariadbPreparedScan {
  std::vector<FoundBranch> ours;    // of this cluster and resource
  std::vector<std::string> others;  // their xids, as XA COMMIT takes them; left alone
};

// The SQL that makes Concordat's tables; repeatable. To be run once a server, by somebody
// who may create a database there. Commands show it before they run it.
[[nodiscard]] std::string MariadbInitSql();
// Runs it at `url`. Blocks. The error has the server's words.
[[nodiscard]] absl::Status RunMariadbInit(const std::string& url);

namespace mariadb {
class Engine;
}

// Thread-safe. The callbacks are called on a thread of its own and must not block it.
class MariadbResourceManager final : public ResourceManager {
 public:
  // `url`: "mysql://user:password@host:port/database", or, by a Unix socket,
  // "mysql://user@/database?socket=/path"; "mariadb://" is the same. Parameters:
  //   socket=PATH  password_file=FILE (its first line; others may see the URL)
  //   tls=verify | no-verify  tls_ca=FILE  tls_cert=FILE  tls_key=FILE
  // With any of the last line the connection is encrypted or refused.
  MariadbResourceManager(std::string url, MariadbOptions options);
  ~MariadbResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "mariadb"; }
  // Made by "concordat rm init", and kept in the table concordat.store.
  [[nodiscard]] std::string store_id() const override;
  [[nodiscard]] uint64_t generation() const override;
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // By XA COMMIT and XA ROLLBACK in any session.
  [[nodiscard]] bool can_be_settled_elsewhere() const override { return true; }
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }
  [[nodiscard]] std::string unavailable() const override;

  // Ends the sessions that an earlier process of this resource has left behind.
  // INVALID_ARGUMENT: the URL, an option. FAILED_PRECONDITION, with what to change: the
  // server is too old, read-only or in a Galera cluster, would lose what it has promised
  // in a crash, Concordat's tables or rights on them are missing, a table of the database
  // cannot roll back, or another process serves the resource. UNAVAILABLE: not reached
  // within start_patience.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;
  // What a look at XA RECOVER finds: branches of an earlier incarnation that a session
  // prepared late, or that a failover or a restored copy has brought. Their age is not
  // known.
  void OnFound(FoundCallback found) override;

  // RESOURCE_EXHAUSTED: too many branches; INVALID_ARGUMENT: unknown isolation;
  // UNAVAILABLE: not recovered, closed, or another process has taken the resource over.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& branch) override;
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

  // Looks at XA RECOVER. After Recover. UNAVAILABLE: the server is not reached.
  void Scan(Callback<absl::StatusOr<MariadbPreparedScan>> done);
  [[nodiscard]] MariadbStats Stats() const;

 private:
  std::unique_ptr<mariadb::Engine> engine_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_
