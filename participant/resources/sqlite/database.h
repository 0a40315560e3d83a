// A SQLite connection and its statements. They close themselves. For one thread.
#ifndef PARTICIPANT_RESOURCES_SQLITE_DATABASE_H_
#define PARTICIPANT_RESOURCES_SQLITE_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace concordat::participant::sqlite {

// What a result code of SQLite means to the caller.
enum class Failure : uint8_t {
  kNone,        // OK, ROW or DONE
  kFull,        // the disk (or a size limit) is full; nothing was promised
  kBusy,        // another program holds the file's lock
  kConstraint,  // a constraint refused the row
  kInterrupted,
  kStorage,  // a read, write or flush failed, or the file is damaged
  kOther,    // the statement is wrong
};
[[nodiscard]] Failure Classify(int rc);

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* stmt) : stmt_(stmt, &sqlite3_finalize) {}

  [[nodiscard]] sqlite3_stmt* get() const { return stmt_.get(); }
  explicit operator bool() const { return stmt_ != nullptr; }

  // Steps the statement to its end and resets it. Returns the extended result code,
  // SQLITE_DONE on success.
  int RunToEnd();

  void BindInt(int index, int64_t value) {
    sqlite3_bind_int64(stmt_.get(), index, value);
  }
  // `bytes` must be valid until the statement has run.
  void BindText(int index, std::string_view bytes);
  void BindBlob(int index, std::string_view bytes);

  [[nodiscard]] int64_t Int(int column) const {
    return sqlite3_column_int64(stmt_.get(), column);
  }
  [[nodiscard]] std::string Text(int column) const;
  [[nodiscard]] bool IsNull(int column) const {
    return sqlite3_column_type(stmt_.get(), column) == SQLITE_NULL;
  }

 private:
  std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> stmt_{nullptr, &sqlite3_finalize};
};

class Database {
 public:
  // Opens the file with SQLite's flags; the busy handler waits 5 s. The message of an
  // error names the file.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Database>> Open(
      const std::string& path, int flags, const std::string& vfs);
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  [[nodiscard]] sqlite3* handle() const { return db_; }

  // Prepares a statement that will be kept. Only for our own SQL, which must be right.
  [[nodiscard]] absl::StatusOr<Statement> Prepare(std::string_view sql);
  // Runs any number of statements that return no rows.
  [[nodiscard]] absl::Status Exec(const std::string& sql);
  // Returns the first column of the first row, as text.
  [[nodiscard]] absl::StatusOr<std::string> QueryText(std::string_view sql);

  // Changes whenever any program creates, alters or drops a table. -1: it cannot be read.
  [[nodiscard]] int64_t SchemaVersion();

  // The first use of a virtual table on a connection is reported to the authorizer like
  // CREATE TABLE. So this function uses each of them once, before users do.
  void ConnectVirtualTables();

  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  [[nodiscard]] std::string_view error_message() const { return sqlite3_errmsg(db_); }
  // Returns the last error as a status; `doing` says what was being done.
  [[nodiscard]] absl::Status LastError(int rc, std::string_view doing) const;

 private:
  explicit Database(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  sqlite3* db_ = nullptr;     // owned; null: not open
  Statement schema_version_;  // of SchemaVersion
};

// Returns "name", with the quotes in it doubled.
[[nodiscard]] std::string QuoteName(std::string_view name);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_DATABASE_H_
