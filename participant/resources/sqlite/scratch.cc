#include "participant/resources/sqlite/scratch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/sqlite/store.h"

namespace concordat::participant::sqlite {

absl::StatusOr<std::unique_ptr<Scratch>> Scratch::Open(const std::string& path,
                                                       const SqliteOptions& options,
                                                       Catalog* catalog,
                                                       std::function<bool()> must_yield) {
  absl::StatusOr<std::unique_ptr<Database>> db =
      Database::Open(path, SQLITE_OPEN_READWRITE, options.vfs);
  if (!db.ok()) return db.status();
  if (absl::Status s = ConfigureConnection(db->get(), options); !s.ok()) return s;
  std::unique_ptr<Scratch> scratch(
      new Scratch(*std::move(db), options, catalog, std::move(must_yield)));
  if (absl::Status s = scratch->Prepare(); !s.ok()) return s;
  return scratch;
}

Scratch::Scratch(std::unique_ptr<Database> db, const SqliteOptions& options,
                 Catalog* catalog, std::function<bool()> must_yield)
    : db_(std::move(db)),
      options_(options),
      catalog_(catalog),
      check_(db_.get(), catalog),
      capture_(db_.get(), catalog),
      runner_(db_.get(), &check_, options, std::move(must_yield)),
      applier_(db_.get(), catalog) {}

absl::Status Scratch::Prepare() {
  absl::Status s = db_->Exec(
      absl::StrCat("PRAGMA foreign_keys=", options_.foreign_keys ? "ON" : "OFF"));
  if (!s.ok()) return s;
  const std::pair<Statement*, const char*> all[] = {
      {&begin_, "BEGIN IMMEDIATE"},    {&rollback_, "ROLLBACK"},
      {&savepoint_, "SAVEPOINT call"}, {&to_savepoint_, "ROLLBACK TO call"},
      {&release_, "RELEASE call"},
  };
  for (const auto& [statement, sql] : all) {
    absl::StatusOr<Statement> prepared = db_->Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  return absl::OkStatus();
}

int Scratch::BeginPhase() {
  const int rc = begin_.RunToEnd();
  if (rc == SQLITE_DONE && catalog_->Refresh(db_.get(), &seen_schema_)) {
    runner_.Forget();
    applier_.Forget();
    db_->ConnectVirtualTables();
  }
  return rc;
}

void Scratch::EndPhase() {
  if (db_->in_transaction()) rollback_.RunToEnd();
}

bool Scratch::KnownToRead(const wire::ExecuteRequest& request) {
  return runner_.KnownToRead(request.sql);
}

CallResult Scratch::Run(const Branch& branch, const wire::ExecuteRequest& request) {
  CallResult result;
  // An earlier call may have ended the transaction (OR ROLLBACK, full disk, time limit).
  // It contained only scratch work.
  int rc = db_->in_transaction() ? SQLITE_DONE : begin_.RunToEnd();
  if (rc == SQLITE_DONE) rc = savepoint_.RunToEnd();
  if (rc != SQLITE_DONE) {
    result.end = {wire::Code::OVERLOADED,
                  absl::StrCat("the file cannot be locked: ", sqlite3_errstr(rc)), false};
    return result;
  }
  runner_.StartCall(branch.deadline);
  RunInSavepoint(branch, request, &result);
  runner_.EndCall();
  if (db_->in_transaction()) {
    to_savepoint_.RunToEnd();
    release_.RunToEnd();
  }
  return result;
}

void Scratch::RunInSavepoint(const Branch& branch, const wire::ExecuteRequest& request,
                             CallResult* result) {
  result->end = Replay(branch);
  if (result->end.code != wire::Code::OK) return;
  sqlite3_set_last_insert_rowid(db_->handle(), branch.last_insert_rowid);
  const uint64_t max = options_.max_branch_bytes;
  capture_.Begin(max - std::min(max, branch.redo_bytes));
  RunStatements(request, result);
  CheckEnd(result);
  result->captured = capture_.Take();
  result->last_insert_rowid = sqlite3_last_insert_rowid(db_->handle());
}

RunResult Scratch::Replay(const Branch& branch) {
  if (!branch.HasChanges()) return {};
  const bool side_effects = applier_.HasSideEffects(branch.redo);
  if (side_effects) SetSideEffects(false);
  const ApplyResult applied = applier_.Apply(branch.redo);
  if (side_effects) SetSideEffects(true);
  if (applied.ok()) return {};
  if (Classify(applied.rc) == Failure::kInterrupted) return runner_.Failed(applied.rc);
  return {wire::Code::RESOURCE_ERROR,
          absl::StrCat("the branch's own changes cannot be made again: ",
                       applied.conflict.empty() ? sqlite3_errstr(applied.rc)
                                                : applied.conflict.c_str()),
          true};
}

// This makes SQLite compile again each statement that is used next, so it is done only
// where a table needs it. (PRAGMA foreign_keys does nothing within a transaction.)
void Scratch::SetSideEffects(bool on) {
  sqlite3_db_config(db_->handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, on ? 1 : 0, nullptr);
  sqlite3_db_config(db_->handle(), SQLITE_DBCONFIG_ENABLE_FKEY,
                    on && options_.foreign_keys ? 1 : 0, nullptr);
}

void Scratch::RunStatements(const wire::ExecuteRequest& request, CallResult* result) {
  result->rows.resize(request.sql.size());
  for (size_t i = 0; i < request.sql.size(); ++i) {
    const UserStatement* statement = runner_.Get(request.sql[i].sql, &result->end);
    if (statement != nullptr) {
      result->tables_read.insert(result->tables_read.end(),
                                 statement->tables_read.begin(),
                                 statement->tables_read.end());
      result->end = runner_.Run(*statement, request.sql[i], &result->rows[i]);
    }
    if (result->end.code == wire::Code::OK) continue;
    result->end.message = absl::StrCat("statement ", i + 1, ": ", result->end.message);
    return;
  }
}

void Scratch::CheckEnd(CallResult* result) {
  if (result->end.code != wire::Code::OK) return;
  const Captured& captured = capture_.so_far();
  if (!captured.refusal.empty()) {
    result->end = {wire::Code::INVALID, captured.refusal, false};
    return;
  }
  // SQLite counts open references only until the transaction ends, which is here.
  int open_references = 0;
  int highest = 0;
  sqlite3_db_status(db_->handle(), SQLITE_DBSTATUS_DEFERRED_FKS, &open_references,
                    &highest, 0);
  if (open_references != 0) {
    result->end = {wire::Code::CONDITION_FAILED,
                   "FOREIGN KEY constraint failed: deferred references must be satisfied "
                   "at the end of the call; send the statements in one call",
                   false};
  }
}

}  // namespace concordat::participant::sqlite
