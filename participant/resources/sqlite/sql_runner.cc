#include "participant/resources/sqlite/sql_runner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::sqlite {

namespace {

constexpr size_t kMaxKept = 256;
constexpr size_t kMaxSqlBytes = 1 << 20;
constexpr uint64_t kShortestLimit = 1 << 20;  // also of a statement's text
// How often a running statement checks the clock, in steps of SQLite's virtual machine.
constexpr int kStepsPerLook = 4000;

wire::Value ToWire(sqlite3_stmt* stmt, int column) {
  wire::Value value;
  switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
      value.__set_integer(sqlite3_column_int64(stmt, column));
      break;
    case SQLITE_FLOAT:
      value.__set_real(sqlite3_column_double(stmt, column));
      break;
    case SQLITE_TEXT: {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(stmt, column));
      value.text.assign(text, static_cast<size_t>(sqlite3_column_bytes(stmt, column)));
      value.__isset.text = true;
      break;
    }
    case SQLITE_BLOB: {
      const auto* blob = static_cast<const char*>(sqlite3_column_blob(stmt, column));
      const int size = sqlite3_column_bytes(stmt, column);
      if (size > 0) value.blob.assign(blob, static_cast<size_t>(size));
      value.__isset.blob = true;
      break;
    }
    default:
      break;
  }
  return value;
}

uint64_t SizeOf(sqlite3_stmt* stmt, int column) {
  const int type = sqlite3_column_type(stmt, column);
  const bool has_bytes = type == SQLITE_TEXT || type == SQLITE_BLOB;
  return 16 + (has_bytes ? static_cast<uint64_t>(sqlite3_column_bytes(stmt, column)) : 0);
}

int BindWire(sqlite3_stmt* stmt, int index, const wire::Value& value) {
  if (value.__isset.integer) return sqlite3_bind_int64(stmt, index, value.integer);
  if (value.__isset.real) return sqlite3_bind_double(stmt, index, value.real);
  if (value.__isset.text) {
    return sqlite3_bind_text64(stmt, index, value.text.data(), value.text.size(),
                               SQLITE_STATIC, SQLITE_UTF8);
  }
  if (value.__isset.blob) {
    return sqlite3_bind_blob64(stmt, index, value.blob.data(), value.blob.size(),
                               SQLITE_STATIC);
  }
  return sqlite3_bind_null(stmt, index);
}

}  // namespace

SqlRunner::SqlRunner(Database* db, StatementCheck* check, const SqliteOptions& options,
                     std::function<bool()> must_yield)
    : db_(db), check_(check), options_(options), must_yield_(std::move(must_yield)) {
  sqlite3_progress_handler(
      db->handle(), kStepsPerLook,
      [](void* self) { return static_cast<SqlRunner*>(self)->MustStop() ? 1 : 0; }, this);
  // SQLite would allow values of a gigabyte. No branch can write a value longer than
  // this.
  const uint64_t longest =
      std::clamp(options.max_branch_bytes, kShortestLimit, uint64_t{1'000'000'000});
  sqlite3_limit(db->handle(), SQLITE_LIMIT_LENGTH, static_cast<int>(longest));
  // What a statement sorts or stores for itself goes to a file when it outgrows the
  // cache.
  (void)db->Exec("PRAGMA temp_store=FILE");
}

bool SqlRunner::MustStop() {
  if (deadline_ == Timestamp::Infinite()) return false;  // no user's call is under way
  if (clock_.Now() > deadline_) return true;
  yielded_ = must_yield_ != nullptr && must_yield_();
  return yielded_;
}

SqlRunner::~SqlRunner() { sqlite3_progress_handler(db_->handle(), 0, nullptr, nullptr); }

void SqlRunner::StartCall(Timestamp deadline) {
  started_ = clock_.Now();
  deadline_ = std::min(deadline, started_ + options_.statement_time);
  yielded_ = false;
  result_bytes_ = 0;
  result_values_ = 0;
}

void SqlRunner::Forget() {
  kept_.clear();
  used_.clear();
}

const UserStatement* SqlRunner::Get(const std::string& sql, RunResult* result) {
  const auto found = kept_.find(sql);
  if (found == kept_.end()) return Compile(sql, result);
  used_.splice(used_.begin(), used_, found->second.place);
  return &found->second.statement;
}

bool SqlRunner::KnownToRead(const std::vector<wire::SqlStatement>& statements) const {
  for (const wire::SqlStatement& statement : statements) {
    const auto found = kept_.find(statement.sql);
    if (found == kept_.end() || !found->second.statement.read_only) return false;
  }
  return true;
}

std::vector<std::string> SqlRunner::TablesReadBy(
    const std::vector<wire::SqlStatement>& statements) const {
  std::vector<std::string> tables;
  for (const wire::SqlStatement& statement : statements) {
    const auto found = kept_.find(statement.sql);
    if (found == kept_.end()) continue;
    const std::vector<std::string>& read = found->second.statement.tables_read;
    tables.insert(tables.end(), read.begin(), read.end());
  }
  return tables;
}

const UserStatement* SqlRunner::Compile(const std::string& sql, RunResult* result) {
  result->code = wire::Code::INVALID;
  if (sql.size() > kMaxSqlBytes) {
    result->message = "the statement is longer than 1 MiB";
    return nullptr;
  }
  check_->EnterUser();
  sqlite3_stmt* stmt = nullptr;
  const char* tail = nullptr;
  int rc = sqlite3_prepare_v3(db_->handle(), sql.c_str(), static_cast<int>(sql.size()),
                              SQLITE_PREPARE_PERSISTENT, &stmt, &tail);
  Kept kept;
  kept.statement.statement = Statement(stmt);
  kept.statement.tables_read = check_->tables_read();
  if (rc == SQLITE_OK && stmt != nullptr) {
    // A comment may follow, but not a second statement.
    sqlite3_stmt* second = nullptr;
    rc = sqlite3_prepare_v3(db_->handle(), tail, -1, 0, &second, nullptr);
    if (rc != SQLITE_OK || second != nullptr) {
      sqlite3_finalize(second);
      check_->LeaveUser();
      result->message = "one statement at a time: give each its own entry in the list";
      return nullptr;
    }
  }
  check_->LeaveUser();
  if (rc != SQLITE_OK || stmt == nullptr) {
    *result = rc == SQLITE_OK
                  ? RunResult{wire::Code::INVALID, "an empty statement", false}
                  : Failed(rc);
    if (!check_->refusal().empty()) {
      *result = {wire::Code::INVALID, check_->refusal(), false};
    }
    return nullptr;
  }
  result->code = wire::Code::OK;
  kept.statement.read_only = sqlite3_stmt_readonly(stmt) != 0;
  kept.statement.parameters = sqlite3_bind_parameter_count(stmt);
  if (kept_.size() >= kMaxKept) {
    kept_.erase(used_.back());
    used_.pop_back();
  }
  used_.push_front(sql);
  kept.place = used_.begin();
  return &kept_.insert_or_assign(sql, std::move(kept)).first->second.statement;
}

RunResult SqlRunner::Bind(const UserStatement& user,
                          const wire::SqlStatement& call) const {
  const size_t given = call.__isset.parameters ? call.parameters.size() : 0;
  if (given != static_cast<size_t>(user.parameters)) {
    return {wire::Code::INVALID,
            absl::StrCat("the statement has ", user.parameters, " parameters, ", given,
                         " were given"),
            false};
  }
  for (size_t i = 0; i < given; ++i) {
    const int rc =
        BindWire(user.statement.get(), static_cast<int>(i) + 1, call.parameters[i]);
    if (rc != SQLITE_OK) return Failed(rc);
  }
  return {};
}

// False: the answer would be too large. A row is counted before it is copied.
bool SqlRunner::CollectRow(sqlite3_stmt* stmt, wire::SqlResult* rows) {
  const int columns = sqlite3_column_count(stmt);
  result_values_ += static_cast<uint64_t>(columns);
  for (int i = 0; i < columns; ++i) result_bytes_ += SizeOf(stmt, i);
  if (result_bytes_ > options_.max_result_bytes || result_values_ > kMaxAnswerValues ||
      rows->rows.size() >= kMaxAnswerRows) {
    return false;
  }
  wire::SqlRow row;
  row.values.reserve(static_cast<size_t>(columns));
  for (int i = 0; i < columns; ++i) row.values.push_back(ToWire(stmt, i));
  rows->rows.push_back(std::move(row));
  return true;
}

RunResult SqlRunner::Run(const UserStatement& user, const wire::SqlStatement& call,
                         wire::SqlResult* rows) {
  if (RunResult bound = Bind(user, call); bound.code != wire::Code::OK) return bound;
  sqlite3_stmt* stmt = user.statement.get();
  const int columns = sqlite3_column_count(stmt);
  for (int i = 0; i < columns; ++i) rows->columns.push_back(sqlite3_column_name(stmt, i));
  rows->__isset.columns = rows->__isset.rows = columns > 0;

  check_->EnterUser();
  RunResult result;
  int rc;
  while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
    if (CollectRow(stmt, rows)) continue;
    result = {wire::Code::INVALID,
              absl::StrCat("the rows of the call exceed max_result_bytes (",
                           options_.max_result_bytes, "), ", kMaxAnswerRows, " rows or ",
                           kMaxAnswerValues, " values: ask for fewer"),
              false};
    break;
  }
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) result = Failed(rc);
  if (rc == SQLITE_DONE && !user.read_only) {
    rows->__set_changed(sqlite3_changes64(db_->handle()));
  }
  check_->LeaveUser();
  sqlite3_reset(stmt);
  return result;
}

RunResult SqlRunner::Stopped() const {
  if (yielded_) return {wire::Code::OVERLOADED, "others had to go on", false, true};
  const Duration allowed = deadline_ - started_;
  if (allowed < options_.statement_time) {
    return {
        wire::Code::TIMED_OUT,
        "the caller's deadline came while the call ran: it was stopped, and the branch "
        "is rolled back",
        true};
  }
  return {wire::Code::TIMED_OUT,
          absl::StrCat("the call ran longer than ", options_.statement_time.millis(),
                       " ms and was stopped"),
          true};
}

RunResult SqlRunner::Failed(int rc) const {
  const std::string text(db_->error_message());
  const bool lost = !db_->in_transaction();
  switch (Classify(rc)) {
    case Failure::kConstraint:
      // RAISE() in a trigger gives this, too.
      if (lost) {
        return {wire::Code::RESOURCE_ERROR,
                absl::StrCat("the statement rolled the branch back: ", text), true};
      }
      return {wire::Code::CONDITION_FAILED, text, false};
    case Failure::kFull:
      return {wire::Code::OVERLOADED, absl::StrCat("no space left: ", text), false};
    case Failure::kBusy:
      return {wire::Code::OVERLOADED,
              absl::StrCat("another program holds the file: ", text), false};
    case Failure::kInterrupted:
      return Stopped();
    case Failure::kStorage:
      return {wire::Code::RESOURCE_ERROR, text, true};
    default:
      return {wire::Code::INVALID, text, false};
  }
}

}  // namespace concordat::participant::sqlite
