// A user's statements on one connection: compiled once and kept, checked, given their
// parameters, and their rows collected.
#ifndef PARTICIPANT_RESOURCES_SQLITE_SQL_RUNNER_H_
#define PARTICIPANT_RESOURCES_SQLITE_SQL_RUNNER_H_

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/sqlite_resource_manager.h"
#include "participant/resources/sqlite/statement_check.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::sqlite {

// How the statements of a call ended. On anything but OK nothing of the call may stay.
struct RunResult {
  wire::Code::type code = wire::Code::OK;
  std::string message;
  // The statement ended the SQLite transaction by its own words (OR ROLLBACK): the
  // branch is over.
  bool rolled_back = false;
  // Stopped for others' sake; nothing is wrong with it.
  bool yielded = false;
};

// The branch is rolled back after such an answer.
[[nodiscard]] inline bool EndsBranch(wire::Code::type code) {
  return code == wire::Code::RESOURCE_ERROR || code == wire::Code::TIMED_OUT ||
         code == wire::Code::CONFLICT;
}

// A compiled statement, and what is known of it.
struct UserStatement {
  Statement statement;
  bool read_only = false;
  int parameters = 0;
  std::vector<std::string> tables_read;
};

class SqlRunner {
 public:
  // `must_yield` is asked, on this thread, while statements run; true stops them. Empty:
  // they are stopped at the deadline only.
  SqlRunner(Database* db, StatementCheck* check, const SqliteOptions& options,
            std::function<bool()> must_yield);
  SqlRunner(const SqlRunner&) = delete;
  SqlRunner& operator=(const SqlRunner&) = delete;
  ~SqlRunner();

  // The time and size limits hold between these. The call is stopped at `deadline`, or
  // when options.statement_time is over.
  void StartCall(Timestamp deadline);
  void EndCall() { deadline_ = Timestamp::Infinite(); }

  // The compiled statement; null, with the reason in `result`, when it may not run.
  // Valid until the next Get or Forget.
  [[nodiscard]] const UserStatement* Get(const std::string& sql, RunResult* result);
  // Runs it to its end.
  [[nodiscard]] RunResult Run(const UserStatement& user, const wire::SqlStatement& call,
                              wire::SqlResult* rows);

  // Whether all of these have been compiled before, and only read.
  [[nodiscard]] bool KnownToRead(const std::vector<wire::SqlStatement>& statements) const;
  // The tables and views that they read, for those that are known.
  [[nodiscard]] std::vector<std::string> TablesReadBy(
      const std::vector<wire::SqlStatement>& statements) const;

  // What a step that ended with this result code says of the call.
  [[nodiscard]] RunResult Failed(int rc) const;

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
  [[nodiscard]] bool MustStop();
  [[nodiscard]] RunResult Stopped() const;

  Database* const db_;
  StatementCheck* const check_;
  const SqliteOptions& options_;
  const std::function<bool()> must_yield_;
  const SystemClock clock_;
  Timestamp started_;
  Timestamp deadline_ = Timestamp::Infinite();
  bool yielded_ = false;  // the call under way
  uint64_t result_bytes_ = 0;
  uint64_t result_values_ = 0;
  absl::flat_hash_map<std::string, Kept> kept_;
  std::list<std::string> used_;  // most recently used first
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_SQL_RUNNER_H_
