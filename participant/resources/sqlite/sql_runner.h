// Runs a user's statements on one connection. It compiles them once and keeps them,
// checks them, binds their parameters and collects their rows.
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

// How the statements of a call ended. If the code is not OK, nothing of the call may
// stay.
struct RunResult {
  wire::Code::type code = wire::Code::OK;
  std::string message;  // empty when the code is OK
  // True: the statement itself ended the SQLite transaction (OR ROLLBACK), so the branch
  // has ended.
  bool rolled_back = false;
  // True: stopped because others wait; nothing is wrong with the call.
  bool yielded = false;
};

// True: the branch is rolled back after such an answer.
[[nodiscard]] inline bool EndsBranch(wire::Code::type code) {
  return code == wire::Code::RESOURCE_ERROR || code == wire::Code::TIMED_OUT ||
         code == wire::Code::CONFLICT;
}

// A compiled statement and its properties.
struct UserStatement {
  Statement statement;
  bool read_only = false;
  int parameters = 0;  // how many must be bound
  std::vector<std::string> tables_read;
};

class SqlRunner {
 public:
  // `must_yield` is called on this thread while statements run; true stops them. If it is
  // empty, they are stopped only at the deadline.
  SqlRunner(Database* db, StatementCheck* check, const SqliteOptions& options,
            std::function<bool()> must_yield);
  SqlRunner(const SqlRunner&) = delete;
  SqlRunner& operator=(const SqlRunner&) = delete;
  ~SqlRunner();

  // The limits of time and size apply between StartCall and EndCall. The call is stopped
  // at `deadline`, or after options.statement_time.
  void StartCall(Timestamp deadline);
  void EndCall() { deadline_ = Timestamp::Infinite(); }

  // Returns the compiled statement; null, with the reason in `result`, when it may not
  // run. Valid until the next Get or Forget.
  [[nodiscard]] const UserStatement* Get(const std::string& sql, RunResult* result);
  // Runs the statement to its end.
  [[nodiscard]] RunResult Run(const UserStatement& user, const wire::SqlStatement& call,
                              wire::SqlResult* rows);

  // True: all of these statements have been compiled before, and they only read.
  [[nodiscard]] bool KnownToRead(const std::vector<wire::SqlStatement>& statements) const;
  // The tables and views that these statements read, as far as the statements are known.
  [[nodiscard]] std::vector<std::string> TablesReadBy(
      const std::vector<wire::SqlStatement>& statements) const;

  // Returns what a result code of a step means for the call.
  [[nodiscard]] RunResult Failed(int rc) const;

  // Discards all statements. Called when the schema has changed.
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
  const std::function<bool()> must_yield_;  // see the constructor; may be empty
  const SystemClock clock_;
  Timestamp started_;                           // when the call under way began
  Timestamp deadline_ = Timestamp::Infinite();  // infinite: no call is under way
  bool yielded_ = false;        // the call under way was stopped because others wait
  uint64_t result_bytes_ = 0;   // of the call under way
  uint64_t result_values_ = 0;  // of the call under way
  absl::flat_hash_map<std::string, Kept> kept_;  // by SQL
  std::list<std::string> used_;                  // most recently used first
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_SQL_RUNNER_H_
