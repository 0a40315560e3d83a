#include "participant/resources/sqlite/index_probe.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace concordat::participant::sqlite {

namespace {

constexpr absl::string_view kImposter = "concordat_imposter";

// Sets *self when a statement reads the rowid of a table that has no name for it.
int NoteRowid(void* self, int action, const char* /*table*/, const char* column,
              const char* /*schema*/, const char* /*trigger*/) {
  if (action == SQLITE_READ && column != nullptr &&
      absl::EqualsIgnoreCase(column, "ROWID")) {
    *static_cast<bool*>(self) = true;
  }
  return SQLITE_OK;
}

// A table without rowid has the form of an index. All its columns are in the place of the
// primary key already, so the order of the record stays that of the index.
std::string ImposterSql(const ProbeSource& source) {
  std::vector<std::string> columns;
  for (size_t i = 0; i < source.key_columns + source.other_columns; ++i) {
    columns.push_back(absl::StrCat("c", i));
  }
  const std::string list = absl::StrJoin(columns, ",");
  return absl::StrCat("CREATE TABLE ", kImposter, "(", list, ",PRIMARY KEY(", list,
                      ")) WITHOUT ROWID");
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexProbe>> IndexProbe::Open(const ProbeSource& source) {
  absl::StatusOr<std::unique_ptr<Database>> db =
      Database::Open(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "");
  if (!db.ok()) return db.status();
  std::unique_ptr<IndexProbe> probe(new IndexProbe(*std::move(db), source));
  absl::Status s = probe->CreateTableAndIndex(source);
  if (s.ok()) s = probe->CreateImposter(source);
  if (s.ok()) s = probe->PrepareStatements(source);
  if (!s.ok()) return s;
  return probe;
}

IndexProbe::IndexProbe(std::unique_ptr<Database> db, const ProbeSource& source)
    : db_(std::move(db)), key_columns_(source.key_columns) {}

absl::Status IndexProbe::CreateTableAndIndex(const ProbeSource& source) {
  // Allows everything that the file's schema was ever allowed to say.
  sqlite3_db_config(db_->handle(), SQLITE_DBCONFIG_DQS_DDL, 1, nullptr);
  sqlite3_db_config(db_->handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  absl::Status s = db_->Exec(
      "PRAGMA journal_mode=OFF; PRAGMA foreign_keys=OFF;"
      "PRAGMA ignore_check_constraints=ON;");
  if (s.ok()) s = db_->Exec(source.table_sql);
  if (!s.ok()) return s;
  bool reads_rowid = false;
  sqlite3_set_authorizer(db_->handle(), &NoteRowid, &reads_rowid);
  s = db_->Exec(source.index_sql);
  sqlite3_set_authorizer(db_->handle(), nullptr, nullptr);
  if (s.ok() && reads_rowid) {
    return absl::FailedPreconditionError(
        absl::StrCat("index ", source.index, " depends on the hidden rowid"));
  }
  return s;
}

absl::Status IndexProbe::CreateImposter(const ProbeSource& source) {
  absl::StatusOr<Statement> insert =
      db_->Prepare("SELECT rootpage FROM sqlite_schema WHERE type='index' AND name=?1");
  if (!insert.ok()) return insert.status();
  insert->BindText(1, source.index);
  const int rc = sqlite3_step(insert->get());
  if (rc != SQLITE_ROW) return db_->LastError(rc, "find the index");
  const int64_t root = insert->Int(0);
  *insert = Statement();
  return db_->Exec(absl::StrCat(
      "PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('table','", kImposter,
      "','", kImposter, "',", root, ",'", ImposterSql(source),
      "'); PRAGMA writable_schema=RESET;"));
}

absl::Status IndexProbe::PrepareStatements(const ProbeSource& source) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (size_t i = 0; i < source.columns.size(); ++i) {
    if (source.columns[i].empty()) continue;
    given_.push_back(i);
    names.push_back(source.columns[i]);
    values.push_back(absl::StrCat("?", values.size() + 1));
  }
  const std::string insert =
      absl::StrCat("INSERT OR ABORT INTO ", source.table, "(", absl::StrJoin(names, ","),
                   ") VALUES(", absl::StrJoin(values, ","), ")");
  const std::string read = absl::StrCat("SELECT * FROM ", kImposter);
  const std::string clear = absl::StrCat("DELETE FROM ", source.table);
  for (const auto& [statement, sql] :
       {std::pair(&insert_, &insert), {&read_, &read}, {&clear_, &clear}}) {
    absl::StatusOr<Statement> prepared = db_->Prepare(*sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  return absl::OkStatus();
}

InIndex IndexProbe::Look(const std::vector<ValueView>& row,
                         std::vector<ValueView>* tuple) {
  tuple->clear();
  sqlite3_reset(read_.get());  // of the last call, whose values were still in use
  if (clear_.RunToEnd() != SQLITE_DONE) return InIndex::kUnknown;
  int parameter = 0;
  for (const size_t column : given_) {
    BindValue(insert_.get(), ++parameter, row[column]);
  }
  if (insert_.RunToEnd() != SQLITE_DONE) return InIndex::kUnknown;
  const int rc = sqlite3_step(read_.get());
  if (rc == SQLITE_DONE) return InIndex::kNo;
  if (rc != SQLITE_ROW) return InIndex::kUnknown;
  for (size_t i = 0; i < key_columns_; ++i) {
    tuple->push_back(View(sqlite3_column_value(read_.get(), static_cast<int>(i))));
  }
  return InIndex::kYes;
}

}  // namespace concordat::participant::sqlite
