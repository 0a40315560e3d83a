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
// One thread writes the file. It puts everything that is queued into one transaction with
// one flush. The parts, from the outside in:
//
//   writer          the thread: queue, branches, which call runs and which waits
//   durable_batch   many prepares, commits and rollbacks in one transaction
//   scratch         runs statements in a branch
//   reader_pool     reads in parallel to the writer
//   sql_runner      statement -> rows
//   statement_check which statements are refused
//   capture         changed rows -> redo and locks
//   apply           redo -> changed rows
//   lock_table      which branch holds which key
//   catalog         tables, keys, references
//   store           the file and our tables in it
//   file_guard      only one process for each file
//
// Guarantees in every isolation:
//   - A changed row, each of its UNIQUE tuples, and the parent rows that it refers to
//     are locked from the statement to the end of the branch, also across a restart. So
//     UPDATE t SET x=x-? WHERE id=? AND x>=? is exact. Older transactions (by
//     StartOptions.age) take locks from younger ones that have not prepared (these get
//     CONFLICT) and otherwise wait, at most lock_wait.
//   - A prepared branch can be committed as long as no other program writes to the file.
//   - Prepares and commits do not wait for long calls (call_scheduler.h).
//   - A statement sees what is committed in the file, and the branch's own changes.
// StartOptions.isolation:
//   "read-committed" (default)  Reads lock nothing and never wait. Others may change what
//       a branch has read before it ends: a balance that is read in one call and written
//       as a constant in the next one can overwrite another branch's change, and two
//       branches can each rely on a row that the other one changes. After COMMITTED, a
//       read may for a moment still see the state before, until Commit has arrived here.
//   "serializable"  Every table that is read, by UPDATE too, is locked as a whole against
//       writers until Prepare. Serializable, and slow where many branches write.
// To lock one row in any isolation, change it: UPDATE t SET id=id WHERE id=? RETURNING *.
//
// Refused in a branch, with INVALID: schema changes, PRAGMA, ATTACH, transaction control,
// VACUUM; writes to tables without a PRIMARY KEY, to virtual tables, to tables with
// VIRTUAL generated columns, and to rows with a NULL in the primary key; deferred foreign
// keys that are not satisfied at the end of a call; every use of our own concordat_
// tables. A constraint that fails gives CONDITION_FAILED. In both cases the whole call is
// undone and the branch stays active.
//
// More is in docs/resource-managers.md.
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
  // SQL that is run at each start, in one transaction, before branches are served. It is
  // the only way to run CREATE TABLE and the like. It must be repeatable (IF NOT EXISTS).
  std::string schema_sql;
  // The isolation of a branch that does not name one.
  std::string default_isolation = "read-committed";
  // SQLite's own default is off. When on, references are checked and locked.
  bool foreign_keys = true;
  // How long an Execute waits for a lock; then its branch is rolled back with CONFLICT.
  Duration lock_wait = Duration::Seconds(5);
  // How long the statements of one call may run; then the call gets TIMED_OUT.
  Duration statement_time = Duration::Seconds(10);
  // Limits of the changes of one branch, the rows that one call returns, and open
  // branches.
  uint64_t max_branch_bytes = uint64_t{64} << 20;
  uint64_t max_result_bytes = kMaxAnswerBytes;
  uint32_t max_branches = 20000;
  // Threads for calls that only read, in branches that have changed nothing. 0: the
  // writer runs these calls too.
  uint32_t reader_threads = 4;
  // Size of the page cache of each connection.
  uint32_t cache_kib = 65536;
  // When the write-ahead file has this many pages, they are moved into the main file.
  uint32_t checkpoint_pages = 4000;
  // SQLite's name of the VFS to use. Empty: SQLite's default.
  std::string vfs;
};

namespace sqlite {
class Writer;
}

// Thread-safe. Callbacks run on the writer's thread or a reader's thread and must not
// block it.
class SqliteResourceManager final : public ResourceManager {
 public:
  SqliteResourceManager(std::string path, SqliteOptions options);
  ~SqliteResourceManager() override;

  [[nodiscard]] std::string_view kind() const override { return "sqlite"; }
  [[nodiscard]] std::string store_id() const override;
  [[nodiscard]] uint64_t generation() const override;
  void SetGeneration(uint64_t generation, Callback<absl::Status> done) override;

  // Creates the file when it does not exist. FAILED_PRECONDITION: another process serves
  // the file, it belongs to another cluster, its format has another version, it is not in
  // UTF-8, or it cannot be put into WAL mode. INVALID_ARGUMENT: it is not a database, or
  // schema_sql or an option is wrong. DATA_LOSS: a prepared branch cannot be read.
  void Recover(ClusterId cluster,
               Callback<absl::StatusOr<std::vector<BranchId>>> done) override;

  // RESOURCE_EXHAUSTED: there are too many branches, or the disk was full a moment ago.
  // INVALID_ARGUMENT: unknown isolation. UNAVAILABLE: not open.
  absl::Status Start(const BranchId& branch, const StartOptions& options) override;
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done) override;
  void End(const BranchId& branch) override;
  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  // kRetry, with a detail and an error event: the rows are not as the branch left them
  // (another program has written to the file). The branch is kept, and nothing is
  // changed. kHeuristicHazard: the branch is not there and has no evidence.
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
