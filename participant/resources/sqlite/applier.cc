#include "participant/resources/sqlite/applier.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace concordat::participant::sqlite {

namespace {

// Bounds the statements for unusual sets of changed columns.
constexpr size_t kMaxStatements = 500;

bool InMask(const std::string& mask, size_t column) {
  return (mask[column / 8] >> (column % 8) & 1) != 0;
}

// The old value must still be there. An old NULL of a column with a default may stand for
// that default (see catalog.h).
std::string Compare(const Column& column, int parameter) {
  if (column.default_not_null) {
    return absl::StrCat("(", column.quoted, " COLLATE BINARY IS ?", parameter, " OR ?",
                        parameter, " IS NULL)");
  }
  return absl::StrCat(column.quoted, " COLLATE BINARY IS ?", parameter);
}

// A row is named by its primary key, which is compared with the collation of the key's
// index: with the column's own collation, two rows can be equal that the key
// distinguishes, and the other way round. Values that the key calls equal must also still
// be the same text.
std::string NameRow(const Table& table, size_t position_in_key, int parameter) {
  const auto column = static_cast<size_t>(table.primary_key[position_in_key]);
  const std::string& name = table.columns[column].quoted;
  if (table.key_is_rowid) return absl::StrCat(name, "=?", parameter);
  const Collation collation = table.unique_keys.front().collations[position_in_key];
  std::string condition =
      absl::StrCat(name, " COLLATE ", NameOf(collation), "=?", parameter);
  if (collation != Collation::kBinary) {
    absl::StrAppend(&condition, " AND ", name, " COLLATE BINARY IS ?", parameter);
  }
  return condition;
}

size_t PositionInKey(const Table& table, size_t column) {
  const auto at = std::find(table.primary_key.begin(), table.primary_key.end(),
                            static_cast<int>(column));
  return static_cast<size_t>(at - table.primary_key.begin());
}

// The conflict clause is OR ABORT: what the schema says about conflicts (ON CONFLICT
// REPLACE) was done when the statements ran, and is in the redo. A conflict now is a row
// of another program.
//
// The parameters are numbered in the order of the values in the redo.
std::string InsertSql(const Table& table, size_t columns) {
  std::vector<std::string> names;
  std::vector<std::string> values;
  for (size_t i = 0; i < columns; ++i) {
    if (table.columns[i].generated) continue;
    names.push_back(table.columns[i].quoted);
    values.push_back(absl::StrCat("?", values.size() + 1));
  }
  return absl::StrCat("INSERT OR ABORT INTO main.", table.quoted, "(",
                      absl::StrJoin(names, ","), ") VALUES(", absl::StrJoin(values, ","),
                      ")");
}

std::string DeleteSql(const Table& table, size_t columns) {
  std::vector<std::string> conditions;
  int parameter = 0;
  for (size_t i = 0; i < columns; ++i) {
    const Column& column = table.columns[i];
    if (column.generated) continue;
    ++parameter;
    conditions.push_back(column.in_primary_key
                             ? NameRow(table, PositionInKey(table, i), parameter)
                             : Compare(column, parameter));
  }
  return absl::StrCat("DELETE FROM main.", table.quoted, " WHERE ",
                      absl::StrJoin(conditions, " AND "));
}

std::string UpdateSql(const Table& table, size_t columns, const std::string& mask) {
  std::vector<std::string> conditions;
  std::vector<std::string> changes;
  int parameter = 0;
  for (size_t i = 0; i < table.primary_key.size(); ++i) {
    conditions.push_back(NameRow(table, i, ++parameter));
  }
  for (size_t i = 0; i < columns; ++i) {
    if (!InMask(mask, i)) continue;
    const Column& column = table.columns[i];
    ++parameter;
    if (!column.in_primary_key) conditions.push_back(Compare(column, parameter));
    changes.push_back(absl::StrCat(column.quoted, "=?", ++parameter));
  }
  return absl::StrCat("UPDATE OR ABORT main.", table.quoted, " SET ",
                      absl::StrJoin(changes, ","), " WHERE ",
                      absl::StrJoin(conditions, " AND "));
}

ApplyResult Damaged() {
  return {SQLITE_OK, "the recorded changes of the branch are damaged"};
}

}  // namespace

bool Applier::HasSideEffects(const std::vector<Redo>& calls) const {
  for (const Redo& call : calls) {
    for (const RedoTable& wanted : call.tables) {
      const Table* table = catalog_->Find(wanted.name);
      if (table != nullptr && table->has_side_effects) return true;
    }
  }
  return false;
}

std::string Applier::WhyLocksAreStale(const std::vector<Redo>& calls) const {
  for (const Redo& call : calls) {
    for (const RedoTable& wanted : call.tables) {
      const Table* table = nullptr;
      const ApplyResult found = Resolve(wanted, &table);
      if (!found.ok()) return found.conflict;
      if (table->keys_fingerprint == wanted.keys_fingerprint) continue;
      return absl::StrCat("the unique keys or references of table ", wanted.name,
                          " were changed by another program while the branch was at "
                          "work; run the transaction again");
    }
  }
  return "";
}

ApplyResult Applier::Apply(const std::vector<Redo>& calls) {
  for (const Redo& call : calls) {
    if (ApplyResult result = ApplyCall(call); !result.ok()) return result;
  }
  return {};
}

ApplyResult Applier::Resolve(const RedoTable& wanted, const Table** table) const {
  *table = catalog_->Find(wanted.name);
  if (*table == nullptr || !(*table)->refusal.empty()) {
    return {SQLITE_OK, absl::StrCat("table ", wanted.name, " is not there any more")};
  }
  // Columns that were added after the others do not matter.
  const auto& fingerprints = (*table)->fingerprints;
  if (wanted.columns >= fingerprints.size() ||
      fingerprints[wanted.columns] != wanted.fingerprint) {
    return {SQLITE_OK, absl::StrCat("the columns of table ", wanted.name,
                                    " are not those that the branch changed")};
  }
  return {};
}

ApplyResult Applier::ApplyCall(const Redo& call) {
  std::vector<const Table*> tables(call.tables.size());
  for (size_t i = 0; i < tables.size(); ++i) {
    if (ApplyResult r = Resolve(call.tables[i], &tables[i]); !r.ok()) return r;
  }
  ByteReader in(call.bytes);
  for (uint64_t i = 0; i < call.steps; ++i) {
    const auto step = static_cast<char>(in.U8());
    const uint64_t number = in.Varint();
    if (!in.ok() || number >= tables.size()) return Damaged();
    const size_t columns = call.tables[number].columns;
    ApplyResult r = step == 'U' ? ApplyUpdate(*tables[number], columns, &in)
                                : ApplyWhole(step, *tables[number], columns, &in);
    if (!r.ok()) return r;
  }
  return in.complete() ? ApplyResult() : Damaged();
}

ApplyResult Applier::ApplyWhole(char step, const Table& table, size_t columns,
                                ByteReader* in) {
  if (step != 'I' && step != 'D') return Damaged();
  ApplyResult result;
  Statement* statement = Get(step, table, columns, "", &result);
  if (statement == nullptr) return result;
  int parameter = 0;
  for (size_t i = 0; i < columns; ++i) {
    if (table.columns[i].generated) continue;
    BindValue(statement->get(), ++parameter, DecodeValue(in));
  }
  if (!in->ok()) return Damaged();
  return Run(step, table, statement);
}

ApplyResult Applier::ApplyUpdate(const Table& table, size_t columns, ByteReader* in) {
  std::vector<ValueView> key;
  for (size_t i = 0; i < table.primary_key.size(); ++i) key.push_back(DecodeValue(in));
  std::string mask;
  for (size_t i = 0; i < (columns + 7) / 8; ++i) {
    mask.push_back(static_cast<char>(in->U8()));
  }
  if (!in->ok()) return Damaged();
  ApplyResult result;
  Statement* statement = Get('U', table, columns, mask, &result);
  if (statement == nullptr) return result;
  int parameter = 0;
  for (const ValueView& value : key) BindValue(statement->get(), ++parameter, value);
  for (size_t i = 0; i < columns; ++i) {
    if (!InMask(mask, i)) continue;
    BindValue(statement->get(), ++parameter, DecodeValue(in));  // old
    BindValue(statement->get(), ++parameter, DecodeValue(in));  // new
  }
  if (!in->ok()) return Damaged();
  return Run('U', table, statement);
}

ApplyResult Applier::Run(char step, const Table& table, Statement* statement) {
  const int rc = statement->RunToEnd();
  if (Classify(rc) == Failure::kConstraint) {
    return {SQLITE_OK, absl::StrCat("a change of ", table.name,
                                    " collides: ", sqlite3_errmsg(db_->handle()))};
  }
  if (rc != SQLITE_DONE) return {rc, ""};
  if (step != 'I' && sqlite3_changes(db_->handle()) != 1) {
    return {SQLITE_OK, absl::StrCat("a row of ", table.name,
                                    " is not as the branch left it; another program "
                                    "has written to the file")};
  }
  return {};
}

Statement* Applier::Get(char step, const Table& table, size_t columns,
                        const std::string& mask, ApplyResult* result) {
  std::string key(1, step);
  key.append(mask);
  key.append(table.name);
  key.append(reinterpret_cast<const char*>(&columns), sizeof(columns));
  const auto found = statements_.find(key);
  if (found != statements_.end()) return &found->second;
  if (statements_.size() >= kMaxStatements) statements_.clear();
  const std::string sql = step == 'I'   ? InsertSql(table, columns)
                          : step == 'D' ? DeleteSql(table, columns)
                                        : UpdateSql(table, columns, mask);
  absl::StatusOr<Statement> statement = db_->Prepare(sql);
  if (!statement.ok()) {
    *result = {SQLITE_OK, std::string(statement.status().message())};
    return nullptr;
  }
  return &statements_.emplace(std::move(key), *std::move(statement)).first->second;
}

}  // namespace concordat::participant::sqlite
