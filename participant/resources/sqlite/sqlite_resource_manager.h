// A SQLite file as a resource manager.
//
//   SqliteOptions options;
//   options.schema_sql = "CREATE TABLE IF NOT EXISTS account("
//                        "id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)";
//   SqliteResourceManager bank("/var/lib/bank/bank.db", options);
//   bank.Recover(cluster, [](auto prepared) { ... });
//
// SQLite has no PREPARE. A branch runs in a scratch transaction that is always rolled
// back; the pre-update hook records the rows that it changes and the keys that they
// lock. Prepare writes that record (the redo) into a table of the same file; Commit
// replays it, deletes it and writes the branch's evidence in one SQLite transaction.
// One thread writes the file, and puts all that is queued into one transaction with
// one flush. The parts, from the outside in:
//
//   writer        the thread: queue, branches, who runs, who waits
//   durable_batch many prepares, commits and rollbacks in one transaction
//   scratch       runs statements in a branch     reader_pool  reads beside the writer
//   sql_runner    statement -> rows               statement_check  what is refused
//   capture       changed rows -> redo and locks  apply        redo -> changed rows
//   lock_table    who holds which key             catalog      tables, keys, references
//   store         the file and our tables in it   file_guard   one process a file
//
// What holds, whatever the isolation:
//   - A changed row, each of its UNIQUE tuples, and the parent rows that it refers to
//     are locked from the statement to the end of the branch, also across a restart.
//     So UPDATE t SET x=x-? WHERE id=? AND x>=? is exact. Older transactions (by
//     StartOptions.age) take locks from younger ones that have not prepared (CONFLICT
//     there) and otherwise wait, at most lock_wait.
//   - A prepared branch can be committed, as long as no other program writes to the file.
//   - Prepares and commits do not wait for calls that take long (call_scheduler.h).
//   - A statement sees what is committed in the file and the branch's own changes.
// StartOptions.isolation:
//   "read-committed" (default)  reads lock nothing and never wait. What a branch read
//       may be changed by others before it ends: a balance that is read in one call
//       and written as a constant in the next one can overwrite another's change, and
//       two branches can each rely on a row that the other changes. After COMMITTED,
//       a read may for a moment still see the state before, until Commit has come here.
//   "serializable"  every table that is read, by UPDATE too, is locked as a whole
//       against writers until Prepare. Serializable, and slow where many write.
// To lock one row in any isolation, change it: UPDATE t SET id=id WHERE id=? RETURNING *.
//
// Refused in a branch, with INVALID: schema changes, PRAGMA, ATTACH, transaction
// control, VACUUM; writes to tables without a PRIMARY KEY, to virtual tables, to tables
// with VIRTUAL generated columns, and to rows with a NULL in the primary key; deferred
// foreign keys that are not satisfied at the end of a call; everything about our own
// concordat_ tables. A constraint that fails gives CONDITION_FAILED. In both cases all
// of the call is undone and the branch lives on.
//
// docs/resource-managers.md has the whole story.
#ifndef PARTICIPANT_RESOURCES_SQLITE_SQLITE_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_SQLITE_SQLITE_RESOURCE_MANAGER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "coordinator/base/clock.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant {

struct SqliteOptions {
  // Run at each start, in one transaction, before branches are served; the only way
  // in for CREATE TABLE and the like. Make it repeatable (IF NOT EXISTS).
  std::string schema_sql;
  // What a branch gets that names no isolation.
  std::string default_isolation = "read-committed";
  // SQLite's own default is off; here references are checked, and locked.
  bool foreign_keys = true;
  // How long an Execute waits for a lock before its branch gives up with CONFLICT.
  Duration lock_wait = Duration::Seconds(5);
  // How long the statements of one call may run; TIMED_OUT then.
  Duration statement_time = Duration::Seconds(10);
  // Limits: the changes of one branch, the rows one call returns, open branches.
  uint64_t max_branch_bytes = uint64_t{64} << 20;
  uint64_t max_result_bytes = kMaxAnswerBytes;
  uint32_t max_branches = 20000;
  // Threads for calls that only read, in branches that have changed nothing. 0: the
  // writer does it all.
  uint32_t reader_threads = 4;
  // Page cache of each connection.
  uint32_t cache_kib = 65536;
  // Write-ahead pages after which they are moved into the main file.
  uint32_t checkpoint_pages = 4000;
  // SQLite's name of the VFS to use; its default when empty.
  std::string vfs;
};

namespace sqlite {
class Writer;
}

// Thread-safe. The callbacks are called on the writer's or a reader's thread and must
// not block it.
class SqliteResourceManager final : public ResourceManager {
 public:
  SqliteResourceManager(std::string path, SqliteOptions options);
  ~SqliteResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "sqlite"; }
  [[nodiscard]] std::string store_id() const override;
  [[nodiscard]] uint64_t generation() const override;
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;

  // Creates the file when it is not there. FAILED_PRECONDITION: another process serves
  // the file, it belongs to another cluster, its format is of another version, it is
  // not in UTF-8, or it cannot be put into WAL mode. INVALID_ARGUMENT: not a database,
  // or schema_sql or an option is wrong. DATA_LOSS: a prepared branch cannot be read.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;

  // RESOURCE_EXHAUSTED: too many branches, or the disk was full a moment ago;
  // INVALID_ARGUMENT: unknown isolation; UNAVAILABLE: not open.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& branch) override;
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  // kRetry with a detail, and an error event, when the rows are not as the branch left
  // them (somebody wrote to the file past us): the branch is kept, nothing is changed.
  // kHeuristicHazard for a branch that is not there and has no evidence.
  void Commit(const BranchId& branch, Callback<FinishResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;
  void Rollback(const BranchId& branch, Callback<FinishResult> done) override;
  void LookUp(const BranchId& branch, Callback<Evidence> done) override;
  void ForgetBelow(const Gtid& watermark) override;
  void Close() override;

 private:
  const std::string path_;
  const SqliteOptions options_;
  std::unique_ptr<sqlite::Writer> writer_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_SQLITE_SQLITE_RESOURCE_MANAGER_H_
