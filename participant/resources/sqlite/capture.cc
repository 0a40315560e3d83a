#include "participant/resources/sqlite/capture.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace concordat::participant::sqlite {

namespace {

bool AnyNull(const std::vector<ValueView>& row, const std::vector<int>& columns) {
  for (const int column : columns) {
    if (row[static_cast<size_t>(column)].is_null()) return true;
  }
  return false;
}

// See Column::default_not_null.
bool AnyUncertain(const Table& table, const std::vector<ValueView>& row) {
  for (size_t i = 0; i < row.size(); ++i) {
    if (table.columns[i].default_not_null && row[i].is_null()) return true;
  }
  return false;
}

std::string TupleKey(const std::string& prefix, const std::vector<ValueView>& row,
                     const std::vector<int>& columns,
                     const std::vector<Collation>& collations) {
  std::string key = prefix;
  for (size_t i = 0; i < columns.size(); ++i) {
    AppendKeyValue(row[static_cast<size_t>(columns[i])], collations[i], &key);
  }
  return key;
}

}  // namespace

Capture::Capture(Database* db, const Catalog* catalog) : db_(db), catalog_(catalog) {
  sqlite3_preupdate_hook(db->handle(), &Capture::OnChange, this);
}

Capture::~Capture() { sqlite3_preupdate_hook(db_->handle(), nullptr, nullptr); }

void Capture::Begin(size_t max_bytes) {
  max_bytes_ = max_bytes;
  captured_ = Captured();
  tables_.clear();
  lock_bytes_ = 0;
  recording_ = true;
}

Captured Capture::Take() {
  recording_ = false;
  captured_.redo.bytes = steps_.Take();
  steps_ = ByteWriter();
  return std::exchange(captured_, Captured());
}

void Capture::OnChange(void* self, sqlite3* /*db*/, int operation, const char* schema,
                       const char* table, sqlite3_int64 /*old_rowid*/,
                       sqlite3_int64 /*new_rowid*/) {
  auto* capture = static_cast<Capture*>(self);
  if (capture->recording_) capture->Record(operation, schema, table);
}

void Capture::Record(int operation, std::string_view schema, const char* table_name) {
  // AUTOINCREMENT's counter follows by itself when the row is inserted again.
  if (absl::StartsWith(table_name, "sqlite_")) return;
  if (!captured_.refusal.empty()) return;
  const Table* table = Writable(schema, table_name);
  if (table == nullptr || !ReadRow(operation, *table)) return;

  const bool has_old = operation != SQLITE_INSERT;
  const bool has_new = operation != SQLITE_DELETE;
  const uint64_t number = TableNumber(*table);
  if (operation == SQLITE_UPDATE) {
    RecordUpdate(*table);
  } else {
    const char step = has_new ? 'I' : 'D';
    steps_.U8(static_cast<uint8_t>(step));
    steps_.Varint(number);
    for (size_t i = 0; i < table->columns.size(); ++i) {
      if (table->columns[i].generated) continue;
      EncodeValue(has_new ? new_row_[i] : old_row_[i], &steps_);
    }
    ++captured_.redo.steps;
  }
  LockUniqueKeys(*table, has_old, has_new);
  LockReferences(*table, has_old, has_new);
  if (bytes() > max_bytes_) {
    captured_.refusal = "the changes of the branch exceed max_branch_bytes";
  }
}

const Table* Capture::Writable(std::string_view schema, const char* table_name) {
  const Table* table = schema == "main" ? catalog_->Find(table_name) : nullptr;
  if (table == nullptr) {
    captured_.refusal =
        absl::StrCat("table ", table_name, " cannot be written in a branch");
    return nullptr;
  }
  if (!table->refusal.empty()) {
    captured_.refusal = table->refusal;
    return nullptr;
  }
  const auto count = static_cast<size_t>(sqlite3_preupdate_count(db_->handle()));
  if (count != table->columns.size()) {
    captured_.refusal =
        absl::StrCat("table ", table_name, " was changed while it was used; try again");
    return nullptr;
  }
  return table;
}

bool Capture::ReadRow(int operation, const Table& table) {
  const size_t count = table.columns.size();
  old_row_.resize(count);
  new_row_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    sqlite3_value* value = nullptr;
    const int column = static_cast<int>(i);
    int rc = SQLITE_OK;
    if (operation != SQLITE_INSERT) {
      rc = sqlite3_preupdate_old(db_->handle(), column, &value);
      if (rc == SQLITE_OK) old_row_[i] = View(value);
    }
    if (rc == SQLITE_OK && operation != SQLITE_DELETE) {
      rc = sqlite3_preupdate_new(db_->handle(), column, &value);
      if (rc == SQLITE_OK) new_row_[i] = View(value);
    }
    if (rc != SQLITE_OK) {
      captured_.refusal =
          absl::StrCat("cannot read the changed row of ", table.name, ": result ", rc);
      return false;
    }
  }
  const std::vector<ValueView>& row = operation == SQLITE_DELETE ? old_row_ : new_row_;
  if (AnyNull(row, table.primary_key) ||
      (operation == SQLITE_UPDATE && AnyNull(old_row_, table.primary_key))) {
    captured_.refusal = absl::StrCat(
        "a row of ", table.name,
        " has a NULL in its PRIMARY KEY: such a row cannot be named, so it cannot be "
        "written in a branch");
    return false;
  }
  return true;
}

uint64_t Capture::TableNumber(const Table& table) {
  for (size_t i = 0; i < tables_.size(); ++i) {
    if (tables_[i] == &table) return i;
  }
  tables_.push_back(&table);
  captured_.redo.tables.push_back({table.name,
                                   static_cast<uint32_t>(table.columns.size()),
                                   table.fingerprints.back(), table.keys_fingerprint});
  Want(table.lock_key, LockMode::kWrite);
  return tables_.size() - 1;
}

void Capture::RecordUpdate(const Table& table) {
  const uint64_t number = TableNumber(table);
  std::string mask((table.columns.size() + 7) / 8, '\0');
  bool any = false;
  for (size_t i = 0; i < table.columns.size(); ++i) {
    // An old NULL may stand for the default; a new NULL in its place is then a change.
    const bool same = old_row_[i] == new_row_[i] && !IsUncertain(table.columns[i], i);
    if (table.columns[i].generated || same) continue;
    mask[i / 8] = static_cast<char>(mask[i / 8] | (1 << (i % 8)));
    any = true;
  }
  if (!any) return;  // nothing to replay; the row is locked even so
  steps_.U8('U');
  steps_.Varint(number);
  for (const int column : table.primary_key) {
    EncodeValue(old_row_[static_cast<size_t>(column)], &steps_);
  }
  for (const char byte : mask) steps_.U8(static_cast<uint8_t>(byte));
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if ((mask[i / 8] >> (i % 8) & 1) == 0) continue;
    EncodeValue(old_row_[i], &steps_);
    EncodeValue(new_row_[i], &steps_);
  }
  ++captured_.redo.steps;
}

bool Capture::Changed(const std::vector<int>& columns) const {
  for (const int column : columns) {
    const auto i = static_cast<size_t>(column);
    if (!(old_row_[i] == new_row_[i])) return true;
  }
  return false;
}

bool Capture::IsUncertain(const Column& column, size_t index) const {
  return column.default_not_null && old_row_[index].is_null();
}

bool Capture::UncertainOld(const Table& table, const std::vector<int>& columns,
                           bool has_old) const {
  if (!has_old) return false;
  for (const int column : columns) {
    const auto i = static_cast<size_t>(column);
    if (IsUncertain(table.columns[i], i)) return true;
  }
  return false;
}

void Capture::LockUniqueKeys(const Table& table, bool has_old, bool has_new) {
  for (size_t k = 0; k < table.unique_keys.size(); ++k) {
    const UniqueKey& key = table.unique_keys[k];
    if (key.probe != nullptr && !key.coarse) {
      LockProbed(table, key, has_old, has_new);
      continue;
    }
    if (key.coarse || UncertainOld(table, key.columns, has_old)) {
      Want(table.lock_key, LockMode::kExclusive);
      continue;
    }
    // An unchanged tuple stays in the index, where others conflict with it, and its row
    // is locked by the primary key, which comes first.
    if (k > 0 && has_old && has_new && !Changed(key.columns)) continue;
    if (has_old && !AnyNull(old_row_, key.columns)) {
      Want(TupleKey(key.prefix, old_row_, key.columns, key.collations),
           LockMode::kExclusive);
    }
    if (has_new && !AnyNull(new_row_, key.columns) &&
        (!has_old || Changed(key.columns))) {
      Want(TupleKey(key.prefix, new_row_, key.columns, key.collations),
           LockMode::kExclusive);
    }
  }
}

// A change of any column can bring a row into such an index or take it out.
void Capture::LockProbed(const Table& table, const UniqueKey& key, bool has_old,
                         bool has_new) {
  std::string old_key;
  std::string new_key;
  bool known = !has_old || !AnyUncertain(table, old_row_);
  if (known && has_old) known = ProbedKey(key, old_row_, &old_key);
  if (known && has_new) known = ProbedKey(key, new_row_, &new_key);
  if (!known) return Want(table.lock_key, LockMode::kExclusive);
  // A tuple that stays is in the file, where others conflict with it.
  if (old_key == new_key) return;
  if (!old_key.empty()) Want(std::move(old_key), LockMode::kExclusive);
  if (!new_key.empty()) Want(std::move(new_key), LockMode::kExclusive);
}

bool Capture::ProbedKey(const UniqueKey& key, const std::vector<ValueView>& row,
                        std::string* lock_key) {
  const InIndex in_index = key.probe->Look(row, &tuple_);
  if (in_index != InIndex::kYes) return in_index == InIndex::kNo;
  std::string whole = key.prefix;
  for (size_t i = 0; i < tuple_.size(); ++i) {
    if (tuple_[i].is_null()) return true;  // equal to nothing
    AppendKeyValue(tuple_[i], key.collations[i], &whole);
  }
  *lock_key = std::move(whole);
  return true;
}

void Capture::LockReferences(const Table& table, bool has_old, bool has_new) {
  for (const ForeignKey& key : table.foreign_keys) {
    // A child row that is deleted, or keeps its parent, needs no lock: a branch that
    // wants to delete the parent row sees the child row in the file.
    if (!has_new || (has_old && !Changed(key.columns))) continue;
    if (AnyNull(new_row_, key.columns)) continue;  // MATCH SIMPLE: refers to no row
    Want(key.coarse ? key.parent_key
                    : TupleKey(key.prefix, new_row_, key.columns, key.collations),
         LockMode::kKeep);
  }
  if (!has_old) return;
  for (const ReferencedKey& key : table.referenced) {
    const bool uncertain = UncertainOld(table, key.columns, true);
    if (has_new && !uncertain && !Changed(key.columns)) continue;
    if (uncertain) {
      Want(key.child_key, LockMode::kKeep);
    } else if (!AnyNull(old_row_, key.columns)) {
      Want(TupleKey(key.prefix, old_row_, key.columns, key.collations),
           LockMode::kExclusive);
    }
  }
}

void Capture::Want(std::string key, LockMode mode) {
  lock_bytes_ += key.size();
  captured_.locks.push_back({std::move(key), mode});
}

}  // namespace concordat::participant::sqlite
