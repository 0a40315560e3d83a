// A user's statements on one connection: compiled once and kept, checked, given their
// parameters, and their rows collected.
#ifndef PARTICIPANT_SQLITE_SQL_RUNNER_H_
#define PARTICIPANT_SQLITE_SQL_RUNNER_H_

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/system_clock.h"
#include "participant/sdk/resource_manager.h"
#include "participant/sqlite/database.h"
#include "participant/sqlite/sqlite_resource_manager.h"
#include "participant/sqlite/statement_check.h"

namespace concordat::participant::sqlite {

// How the statements of a call ended. On anything but OK nothing of the call may stay.
struct RunResult {
  wire::Code::type code = wire::Code::OK;
  std::string message;
  // The statement ended the SQLite transaction by its own words (OR ROLLBACK): the
  // branch is over.
  bool rolled_back = false;
};

// A compiled statement, and what is known of it.
struct UserStatement {
  Statement statement;
  bool read_only = false;
  int parameters = 0;
  std::vector<std::string> tables_read;
};

class SqlRunner {
 public:
  SqlRunner(Database* db, StatementCheck* check, const SqliteOptions& options);
  SqlRunner(const SqlRunner&) = delete;
  SqlRunner& operator=(const SqlRunner&) = delete;
  ~SqlRunner();

  // The time and size limits hold between these.
  void StartCall();
  void EndCall() { deadline_ = Timestamp::Infinite(); }

  // The compiled statement; null, with the reason in `result`, when it may not run.
  // Valid until the next Get or Forget.
  [[nodiscard]] const UserStatement* Get(const std::string& sql, RunResult* result);
  // Runs it to its end.
  [[nodiscard]] RunResult Run(const UserStatement& user, const wire::SqlStatement& call,
                              wire::SqlResult* rows);

  // Whether all of these have been compiled before, and only read.
  [[nodiscard]] bool KnownToRead(const std::vector<wire::SqlStatement>& statements) const;

  // When the schema has changed.
  void Forget();

 private:
  struct Kept {
    UserStatement statement;
    std::list<std::string>::iterator place;  // in used_
  };
  [[nodiscard]] const UserStatement* Compile(const std::string& sql, RunResult* result);
  [[nodiscard]] RunResult Bind(const UserStatement& user,
                               const wire::SqlStatement& call) const;
  [[nodiscard]] bool CollectRow(sqlite3_stmt* stmt, wire::SqlResult* rows);
  [[nodiscard]] RunResult Failed(int rc) const;

  Database* const db_;
  StatementCheck* const check_;
  const SqliteOptions& options_;
  const SystemClock clock_;
  Timestamp deadline_ = Timestamp::Infinite();
  uint64_t result_bytes_ = 0;
  uint64_t result_values_ = 0;
  absl::flat_hash_map<std::string, Kept> kept_;
  std::list<std::string> used_;  // most recently used first
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_SQLITE_SQL_RUNNER_H_
