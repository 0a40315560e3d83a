// Runs a branch's calls in a transaction that is always rolled back.
//
//   scratch.BeginPhase();                        // sees what is committed now
//   CallResult r = scratch.Run(branch, request); // any number, of any branches
//   scratch.EndPhase();
//
// At the beginning of a call the branch's earlier changes are replayed, so that the
// branch sees them; at its end everything is undone. What the call changed, and the keys
// to lock, are in the result. The scratch has a connection of its own, with triggers,
// foreign keys, the pre-update hook and the authorizer on. For the writer's thread.
#ifndef PARTICIPANT_RESOURCES_SQLITE_SCRATCH_H_
#define PARTICIPANT_RESOURCES_SQLITE_SCRATCH_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "participant/resources/sqlite/applier.h"
#include "participant/resources/sqlite/branch.h"
#include "participant/resources/sqlite/capture.h"
#include "participant/resources/sqlite/sql_runner.h"

namespace concordat::participant::sqlite {

struct CallResult {
  RunResult end;                         // how the call ended
  std::vector<wire::SqlResult> rows;     // one for each statement
  Captured captured;                     // valid when end.code is OK
  std::vector<std::string> tables_read;  // the tables and views that it read
  int64_t last_insert_rowid = 0;         // after the call
};

class Scratch {
 public:
  // The catalog must outlive the scratch. For `must_yield` see SqlRunner.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Scratch>> Open(
      const std::string& path, const SqliteOptions& options, Catalog* catalog,
      std::function<bool()> must_yield);

  // SQLITE_DONE on success. SQLITE_BUSY: another program holds the file for long.
  int BeginPhase();
  void EndPhase();
  // When end.yielded is true, nothing has been done.
  [[nodiscard]] CallResult Run(const Branch& branch, const wire::ExecuteRequest& request);

  // True: the whole call is known to only read. Never true for a new statement.
  [[nodiscard]] bool KnownToRead(const wire::ExecuteRequest& request);
  [[nodiscard]] std::vector<std::string> TablesReadBy(
      const wire::ExecuteRequest& request) const {
    return runner_.TablesReadBy(request.sql);
  }

 private:
  Scratch(std::unique_ptr<Database> db, const SqliteOptions& options, Catalog* catalog,
          std::function<bool()> must_yield);
  void RunInSavepoint(const Branch& branch, const wire::ExecuteRequest& request,
                      CallResult* result);
  [[nodiscard]] absl::Status Prepare();
  [[nodiscard]] RunResult Replay(const Branch& branch);
  void SetSideEffects(bool on);
  void RunStatements(const wire::ExecuteRequest& request, CallResult* result);
  void CheckEnd(CallResult* result);

  std::unique_ptr<Database> db_;
  const SqliteOptions& options_;
  Catalog* const catalog_;
  int64_t seen_schema_ = -1;  // see Catalog::Refresh
  StatementCheck check_;      // of db_
  Capture capture_;
  SqlRunner runner_;  // runs the user's statements
  Applier applier_;   // replays the branch's earlier changes
  Statement begin_, rollback_, savepoint_, to_savepoint_, release_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_SCRATCH_H_
