// A PostgreSQL database as a resource manager: the database's own two-phase commit.
//
//   PostgresqlOptions options;
//   options.resource = "bank-a";       // the name under which a participant serves it
//   PostgresqlResourceManager bank("postgresql://app@db/bank", options);
//   bank.Recover(cluster, [](auto prepared) { ... });
//
// A branch is a transaction on a connection of its own, from its first statement to
// PREPARE TRANSACTION; from there on the database keeps it, and the connection is free.
// The branch's evidence is a row of concordat.branches, written in the branch itself, so
// that it is there exactly if the branch was committed. What goes over the wire, each
// line one round trip (libpq's pipeline mode):
//
//     Execute         BEGIN, the statements         (later calls: SAVEPOINT first)
//     Prepare         the evidence, PREPARE TRANSACTION                 one flush
//     Commit          COMMIT PREPARED                                   one flush
//   or
//     CommitOnePhase  the evidence, COMMIT                              one flush
//   or, for a branch that has written nothing (it was given no transaction id)
//     Prepare, CommitOnePhase   COMMIT                                  no flush
//
// What is lost with a connection is found out, never guessed: the old backend is ended
// and seen to be gone (pg_stat_activity), and only then pg_prepared_xacts and the
// evidence are read. Until that has been possible the answer is kUnavailable, kRetry or
// kUnknown. "Prepared transaction does not exist" proves nothing either: the evidence
// says what became of it.
//
// The parts, from the outside in:
//
//   engine        what the verbs do, on one loop thread      start_check  may it be
//   served branch_work   branches that have a connection            settler      those
//   prepared guard         one process a resource; ends old backends  pool connections
//   connection    one connection, batches in pipeline mode   value, statement_check, sql
//
// A call's statements are all done or all undone: when one fails, the call is undone
// and the branch lives on (CONDITION_FAILED for constraints and RAISE, INVALID for the
// statement itself, OVERLOADED for the server's limits). Ends the branch: CONFLICT
// (40001 serialization failure, 40P01 deadlock, 55P03 lock time-out), BRANCH_GONE (the
// connection was lost), TIMED_OUT (57014 the statement ran too long) and RESOURCE_ERROR
// (57014 somebody has interrupted it; 58 and XX, the server's own errors).
//
// StartOptions.isolation: "read-committed" (default), "repeatable-read",
// "serializable"; they are PostgreSQL's own, for this database alone.
// docs/resource-managers.md says what a reader across databases can see.
//
// Refused in a branch, with INVALID: transaction control, SET (but SET LOCAL, SET
// CONSTRAINTS), LISTEN and NOTIFY, temporary tables, COPY, PREPARE and EXECUTE, cursors,
// several statements in one, the evidence table.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant {

struct PostgresqlOptions {
  // The resource's name in the cluster. Part of every branch id, and so of the names of
  // prepared transactions: branches of other names are left alone.
  std::string resource;
  // What a branch gets that names no isolation.
  std::string default_isolation = "read-committed";
  // Connections for branches at work, one each, and for settling prepared ones. The
  // server needs max_connections for both and two more, and max_prepared_transactions
  // for the branches that are in doubt at one time.
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
  // lock_timeout and statement_timeout of the sessions.
  Duration lock_wait = Duration::Seconds(5);
  Duration statement_time = Duration::Seconds(10);
  // A commit, rollback or look-up that cannot be carried out is tried again for so long
  // before it is given back with kRetry or kUnknown.
  Duration settle_patience = Duration::Seconds(3);
  // Between looks at what is prepared in the database: see OnFound.
  Duration scan_interval = Duration::Seconds(5);
  // Limits: the rows one call returns, branches that are not prepared.
  uint64_t max_result_bytes = kMaxAnswerBytes;
  uint32_t max_branches = 20000;
};

// Takes our own parameters out of a URL, into `options`, and returns the rest for libpq:
//   isolation=read-committed | repeatable-read | serializable
//   max_connections=N  settle_connections=N  lock_wait_ms=N  statement_time_ms=N
// INVALID_ARGUMENT: a value is not what it should be. A password is better kept out of
// the URL, which others may see: passfile=FILE, or the user's ~/.pgpass.
[[nodiscard]] absl::StatusOr<std::string> ParsePostgresqlUrl(const std::string& url,
                                                             PostgresqlOptions* options);

// Since the start. For operators, and for tests that count what a branch costs.
struct PostgresqlStats {
  uint64_t connects = 0;       // connections that were made
  uint64_t statements = 0;     // statements sent, ours and the users'
  uint64_t round_trips = 0;    // batches sent: each is waited for once
  uint64_t lost_ends = 0;      // connections lost in the middle of PREPARE or COMMIT
  uint64_t prepared_here = 0;  // prepared transactions of this resource, last seen
  // Of other clusters, other resources, and of operators.
  uint64_t prepared_by_others = 0;
};

// What a look at pg_prepared_xacts found in this database.
struct PreparedScan {
  std::vector<FoundBranch> ours;    // of this cluster and resource
  std::vector<std::string> others;  // their gids; left alone
};

// The SQL that makes what Concordat keeps in the database, owned by a role that nobody
// logs in as, and gives `role`, under which the resource will be served, the rights to
// use it (empty: shows them as comments). Repeatable; brings what an earlier version has
// made up to date. To be run once a database, by a superuser, or by somebody who may
// create roles and schemas. Commands show it before they run it.
[[nodiscard]] std::string PostgresqlInitSql(const std::string& role = "");
// Runs it at `url`, in one transaction. Blocks. The error has the server's words.
[[nodiscard]] absl::Status RunPostgresqlInit(const std::string& url,
                                             const std::string& role = "");

namespace postgresql {
class Engine;
}

// Thread-safe. The callbacks are called on a thread of its own and must not block it.
class PostgresqlResourceManager final : public ResourceManager {
 public:
  // `url`: as libpq takes it, "postgresql://user@host:port/database?sslmode=…" or
  // "host=… dbname=…". Several hosts are possible, for a primary that moves.
  PostgresqlResourceManager(std::string url, PostgresqlOptions options);
  ~PostgresqlResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "postgresql"; }
  [[nodiscard]] std::string store_id() const override;
  [[nodiscard]] uint64_t generation() const override;
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;
  // By COMMIT PREPARED and ROLLBACK PREPARED in any session.
  [[nodiscard]] bool can_be_settled_elsewhere() const override { return true; }
  [[nodiscard]] bool one_branch_a_transaction() const override { return true; }
  [[nodiscard]] std::string unavailable() const override;

  // What a look at pg_prepared_xacts finds: branches that applications have prepared on
  // connections of their own, those of an earlier incarnation that a backend prepared
  // late, or that a failover or a restored copy has brought. At the start also the first
  // kind, which Recover has listed, for their ages.
  void OnFound(FoundCallback found) override;
  // Ends the backends that an earlier process of this resource has left behind.
  // INVALID_ARGUMENT: the URL, an option. FAILED_PRECONDITION, with what to change: the
  // server is too old or a standby, max_prepared_transactions is 0, the evidence table
  // is missing or wrong, rights are missing, or another process serves the resource.
  // UNAVAILABLE: not reached within start_patience.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;

  // RESOURCE_EXHAUSTED: too many branches; INVALID_ARGUMENT: unknown isolation;
  // UNAVAILABLE: not recovered, closed, or another process has taken the resource over.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  // The errors are those of Start.
  absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& branch, const StartOptions& options) override;
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

  // Looks at pg_prepared_xacts. After Recover. UNAVAILABLE: the server is not reached.
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  [[nodiscard]] PostgresqlStats Stats() const;

 private:
  std::unique_ptr<postgresql::Engine> engine_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
