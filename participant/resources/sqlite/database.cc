#include "participant/resources/sqlite/database.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/text.h"

namespace concordat::participant::sqlite {

namespace {

// How long to wait for another program's lock on the file.
constexpr int kBusyTimeoutMs = 5000;

}  // namespace

Failure Classify(int rc) {
  switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return Failure::kNone;
    case SQLITE_FULL:
      return Failure::kFull;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Failure::kBusy;
    case SQLITE_CONSTRAINT:
      return Failure::kConstraint;
    case SQLITE_INTERRUPT:
      return Failure::kInterrupted;
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
      return Failure::kStorage;
    default:
      return Failure::kOther;
  }
}

int Statement::RunToEnd() {
  int rc = SQLITE_ROW;
  while (rc == SQLITE_ROW) rc = sqlite3_step(stmt_.get());
  sqlite3_reset(stmt_.get());
  return rc;
}

void Statement::BindText(int index, std::string_view bytes) {
  sqlite3_bind_text64(stmt_.get(), index, bytes.data(), bytes.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void Statement::BindBlob(int index, std::string_view bytes) {
  // A null pointer would bind NULL.
  const char* data = bytes.data() == nullptr ? "" : bytes.data();
  sqlite3_bind_blob64(stmt_.get(), index, data, bytes.size(), SQLITE_STATIC);
}

std::string Statement::Text(int column) const {
  const void* data = sqlite3_column_blob(stmt_.get(), column);
  const int size = sqlite3_column_bytes(stmt_.get(), column);
  return data == nullptr
             ? std::string()
             : std::string(static_cast<const char*>(data), static_cast<size_t>(size));
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path,
                                                         int flags,
                                                         const std::string& vfs) {
  std::unique_ptr<Database> db(new Database(path));
  // One thread uses a connection, so SQLite's own mutexes are not needed.
  const int rc = sqlite3_open_v2(path.c_str(), &db->db_, flags | SQLITE_OPEN_NOMUTEX,
                                 vfs.empty() ? nullptr : vfs.c_str());
  if (rc != SQLITE_OK) return db->LastError(rc, "open");
  sqlite3_extended_result_codes(db->db_, 1);
  sqlite3_busy_timeout(db->db_, kBusyTimeoutMs);
  return db;
}

Database::~Database() {
  schema_version_ = Statement();
  sqlite3_close_v2(db_);
}

absl::StatusOr<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* stmt = nullptr;
  const int rc = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT, &stmt, nullptr);
  if (rc != SQLITE_OK) return LastError(rc, sql);
  return Statement(stmt);
}

absl::Status Database::Exec(const std::string& sql) {
  const int rc = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return rc == SQLITE_OK ? absl::OkStatus() : LastError(rc, sql);
}

absl::StatusOr<std::string> Database::QueryText(std::string_view sql) {
  absl::StatusOr<Statement> statement = Prepare(sql);
  if (!statement.ok()) return statement.status();
  const int rc = sqlite3_step(statement->get());
  if (rc != SQLITE_ROW) return LastError(rc, sql);
  return statement->Text(0);
}

int64_t Database::SchemaVersion() {
  if (!schema_version_) {
    absl::StatusOr<Statement> statement = Prepare("PRAGMA schema_version");
    if (!statement.ok()) return -1;
    schema_version_ = *std::move(statement);
  }
  int64_t version = -1;
  if (sqlite3_step(schema_version_.get()) == SQLITE_ROW) version = schema_version_.Int(0);
  sqlite3_reset(schema_version_.get());
  return version;
}

void Database::ConnectVirtualTables() {
  absl::StatusOr<Statement> names =
      Prepare("SELECT name FROM pragma_table_list WHERE type='virtual'");
  // Table-valued functions that SQLite includes are virtual tables, too.
  std::vector<std::string> uses = {"json_each('[]')", "json_tree('[]')"};
  while (names.ok() && sqlite3_step(names->get()) == SQLITE_ROW) {
    uses.push_back(QuoteName(names->Text(0)));
  }
  // A virtual table that cannot be connected fails when a user names it.
  for (const std::string& use : uses) {
    (void)Prepare(absl::StrCat("SELECT 1 FROM ", use, " LIMIT 0"));
  }
}

absl::Status Database::LastError(int rc, std::string_view doing) const {
  const std::string text =
      absl::StrCat(path_, ": ", ToAbsl(doing.substr(0, 200)), ": ",
                   db_ != nullptr ? sqlite3_errmsg(db_) : sqlite3_errstr(rc),
                   " (SQLite result ", rc, ")");
  switch (Classify(rc)) {
    case Failure::kFull:
      return absl::ResourceExhaustedError(text);
    case Failure::kBusy:
      return absl::FailedPreconditionError(text);
    case Failure::kStorage:
      return (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_CANTOPEN
                 ? absl::InvalidArgumentError(text)
                 : absl::DataLossError(text);
    default:
      return absl::InvalidArgumentError(text);
  }
}

std::string QuoteName(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  quoted += '"';
  return quoted;
}

}  // namespace concordat::participant::sqlite
