#include "participant/resources/sqlite/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::sqlite {

namespace {

std::string Lower(std::string_view name) {
  return absl::AsciiStrToLower(absl::string_view(name.data(), name.size()));
}

std::string TableKey(std::string_view lower_name) {
  return absl::StrCat("T", absl::string_view(lower_name.data(), lower_name.size()));
}

// The FNV-1a hash.
uint32_t Mix(uint32_t hash, std::string_view text) {
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return (hash ^ 0xffU) * 16777619U;
}

void SetFingerprints(Table* table) {
  uint32_t hash = 2166136261U;
  table->fingerprints.assign(1, hash);
  for (const Column& column : table->columns) {
    hash = Mix(hash, Lower(column.name));
    table->fingerprints.push_back(hash);
  }
}

uint32_t MixColumns(uint32_t hash, const std::vector<int>& columns,
                    const std::vector<Collation>& collations) {
  for (const int column : columns) hash = Mix(hash, absl::StrCat(column));
  for (const Collation c : collations) hash = Mix(hash, NameOf(c));
  return hash;
}

void SetKeysFingerprint(Table* table) {
  uint32_t hash = 2166136261U;
  for (const UniqueKey& key : table->unique_keys) {
    hash = MixColumns(Mix(hash, key.prefix), key.columns, key.collations);
    hash = Mix(hash, absl::StrCat(key.sql_fingerprint, key.coarse));
  }
  for (const ForeignKey& key : table->foreign_keys) {
    hash = MixColumns(Mix(hash, key.prefix), key.columns, key.collations);
    hash = Mix(hash, absl::StrCat(key.parent_key, key.coarse));
  }
  // They come in the order of a hash table, which must not matter.
  for (const ReferencedKey& key : table->referenced) {
    hash +=
        MixColumns(Mix(Mix(0, key.prefix), key.child_key), key.columns, key.collations);
  }
  table->keys_fingerprint = hash;
}

int FindColumn(const Table& table, std::string_view name) {
  const std::string wanted = Lower(name);
  for (size_t i = 0; i < table.columns.size(); ++i) {
    if (Lower(table.columns[i].name) == wanted) return static_cast<int>(i);
  }
  return -1;
}

// Reads all rows of one of SQLite's pragma functions for one table.
template <class OnRow>
absl::Status ForEachRow(Database* db, std::string_view sql, std::string_view argument,
                        OnRow on_row) {
  absl::StatusOr<Statement> statement = db->Prepare(sql);
  if (!statement.ok()) return statement.status();
  if (sqlite3_bind_parameter_count(statement->get()) > 0) {
    statement->BindText(1, argument);
  }
  int rc;
  while ((rc = sqlite3_step(statement->get())) == SQLITE_ROW) on_row(*statement);
  return rc == SQLITE_DONE ? absl::OkStatus() : db->LastError(rc, sql);
}

// Returns the collations, by column, of a parent's key over exactly these columns: of a
// primary key or unique index that has every row and compares as its columns do. SQLite
// looks up the parent in such an index (www.sqlite.org/foreignkeys.html, section 3).
// Empty: there is none.
std::vector<Collation> CollationsOf(const Table& table, const std::vector<int>& columns) {
  for (const UniqueKey& key : table.unique_keys) {
    if (key.coarse || key.probe != nullptr || key.columns.size() != columns.size()) {
      continue;
    }
    std::vector<Collation> collations;
    for (const int column : columns) {
      const auto at = std::find(key.columns.begin(), key.columns.end(), column);
      if (at == key.columns.end()) break;
      const Collation collation =
          key.collations[static_cast<size_t>(at - key.columns.begin())];
      if (collation != table.columns[static_cast<size_t>(column)].collation) break;
      collations.push_back(collation);
    }
    if (collations.size() == columns.size()) return collations;
  }
  return {};
}

}  // namespace

Affinity AffinityOf(std::string_view declared_type) {
  const std::string type = Lower(declared_type);
  const auto has = [&type](const char* part) { return absl::StrContains(type, part); };
  if (has("int")) return Affinity::kInteger;
  if (has("char") || has("clob") || has("text")) return Affinity::kText;
  if (has("blob") || type.empty()) return Affinity::kBlob;
  if (has("real") || has("floa") || has("doub")) return Affinity::kReal;
  return Affinity::kNumeric;
}

bool IsReservedName(std::string_view table) {
  return absl::StartsWithIgnoreCase(absl::string_view(table.data(), table.size()),
                                    "concordat_");
}

const Table* Catalog::Find(std::string_view name) const {
  const auto it = tables_.find(Lower(name));
  return it == tables_.end() ? nullptr : it->second.get();
}

std::string Catalog::LockKeyOf(std::string_view table) { return TableKey(Lower(table)); }

bool Catalog::Refresh(Database* db, int64_t* seen) {
  const int64_t now = db->SchemaVersion();
  if (now != version_) {
    const absl::Status s = Load(db);
    if (!s.ok()) FatalIoError(absl::StrCat("reading the schema: ", s.message()));
  }
  return std::exchange(*seen, now) != now;
}

absl::Status Catalog::Load(Database* db) {
  version_ = db->SchemaVersion();
  ++loads_;
  tables_.clear();
  if (absl::Status s = LoadTables(db); !s.ok()) return s;
  for (auto& [lower, table] : tables_) {
    if (absl::Status s = LoadColumns(db, table.get()); !s.ok()) return s;
    if (absl::Status s = LoadUniqueKeys(db, table.get()); !s.ok()) return s;
    SetFingerprints(table.get());
  }
  for (auto& [lower, table] : tables_) {
    if (absl::Status s = LoadForeignKeys(db, table.get()); !s.ok()) return s;
  }
  for (auto& [lower, table] : tables_) SetKeysFingerprint(table.get());
  return LoadTriggers(db);
}

absl::Status Catalog::LoadTables(Database* db) {
  return ForEachRow(
      db, "SELECT name, type FROM pragma_table_list WHERE schema='main'", "",
      [this](const Statement& row) {
        auto table = std::make_unique<Table>();
        table->name = row.Text(0);
        const std::string lower = Lower(table->name);
        const std::string type = row.Text(1);
        if (absl::StartsWith(lower, "sqlite_") || IsReservedName(lower)) return;
        table->quoted = QuoteName(table->name);
        table->lock_key = TableKey(lower);
        table->is_view = type == "view";
        if (type == "virtual" || type == "shadow") {
          table->refusal = absl::StrCat(
              "table ", table->name, " is ",
              type == "virtual" ? "a virtual table" : "part of a virtual table",
              ": changes of virtual tables cannot be captured, so it cannot be written "
              "in a branch");
        }
        tables_[lower] = std::move(table);
      });
}

absl::Status Catalog::LoadColumns(Database* db, Table* table) {
  if (table->is_view || !table->refusal.empty()) return absl::OkStatus();
  std::vector<std::pair<int64_t, int>> primary_key;
  absl::Status s = ForEachRow(
      db, "SELECT name, type, dflt_value, pk, hidden FROM pragma_table_xinfo(?1)",
      table->name, [table, &primary_key](const Statement& row) {
        Column column;
        column.name = row.Text(0);
        column.quoted = QuoteName(column.name);
        column.affinity = AffinityOf(row.Text(1));
        column.default_not_null =
            !row.IsNull(2) && !absl::EqualsIgnoreCase(row.Text(2), "NULL");
        column.in_primary_key = row.Int(3) > 0;
        column.generated = row.Int(4) == 3;
        if (row.Int(4) == 2) {
          table->refusal = absl::StrCat(
              "table ", table->name, " has the VIRTUAL generated column ", column.name,
              ": its changes cannot be captured exactly; make the column STORED");
        }
        if (column.in_primary_key) {
          primary_key.emplace_back(row.Int(3), static_cast<int>(table->columns.size()));
        }
        table->columns.push_back(std::move(column));
      });
  if (!s.ok()) return s;
  for (Column& column : table->columns) {
    const char* collation = nullptr;
    sqlite3_table_column_metadata(db->handle(), "main", table->name.c_str(),
                                  column.name.c_str(), nullptr, &collation, nullptr,
                                  nullptr, nullptr);
    if (collation != nullptr) column.collation = ParseCollation(collation);
  }
  std::sort(primary_key.begin(), primary_key.end());
  for (const auto& [order, column] : primary_key) table->primary_key.push_back(column);
  if (table->primary_key.empty() && table->refusal.empty()) {
    table->refusal = absl::StrCat(
        "table ", table->name,
        " has no PRIMARY KEY: its rows cannot be named, so it cannot be written in a "
        "branch; declare one");
  }
  return absl::OkStatus();
}

absl::Status Catalog::LoadUniqueKeys(Database* db, Table* table) {
  if (table->is_view || !table->refusal.empty()) return absl::OkStatus();
  const std::string lower = Lower(table->name);
  UniqueKey primary;
  primary.prefix = absl::StrCat("R", lower, absl::string_view("\0\0", 2));
  primary.columns = table->primary_key;
  primary.collations.assign(primary.columns.size(), Collation::kBinary);
  table->unique_keys.push_back(std::move(primary));

  struct Index {
    std::string name;
    bool is_primary;
    bool is_partial;
  };
  std::vector<Index> indexes;
  absl::Status s = ForEachRow(
      db, "SELECT name, origin, partial FROM pragma_index_list(?1) WHERE \"unique\"",
      table->name, [&indexes](const Statement& row) {
        indexes.push_back({row.Text(0), row.Text(1) == "pk", row.Int(2) != 0});
      });
  if (!s.ok()) return s;
  for (const Index& index : indexes) {
    UniqueKey key;
    key.prefix = absl::StrCat("R", lower, absl::string_view("\0", 1), index.name,
                              absl::string_view("\0", 1));
    s = LoadIndex(db, index.name, index.is_partial, table, &key);
    if (!s.ok()) return s;
    if (index.is_primary) {
      key.prefix = table->unique_keys.front().prefix;
      table->unique_keys.front() = std::move(key);
      table->key_is_rowid = false;
    } else {
      table->unique_keys.push_back(std::move(key));
    }
  }
  return absl::OkStatus();
}

absl::Status Catalog::LoadIndex(Database* db, const std::string& index, bool is_partial,
                                Table* table, UniqueKey* key) {
  size_t record_columns = 0;
  bool on_expression = false;
  absl::Status s =
      ForEachRow(db, "SELECT cid, coll, key FROM pragma_index_xinfo(?1) ORDER BY seqno",
                 index, [&](const Statement& row) {
                   ++record_columns;
                   if (row.Int(2) == 0)
                     return;  // the rest of the record, which identifies the row
                   key->columns.push_back(static_cast<int>(row.Int(0)));
                   key->collations.push_back(ParseCollation(row.Text(1)));
                   key->coarse |= key->collations.back() == Collation::kUnknown;
                   on_expression |= row.Int(0) < 0;
                 });
  if (s.ok() && (is_partial || on_expression)) {
    OpenProbe(db, index, record_columns, table, key);
  }
  return s;
}

void Catalog::OpenProbe(Database* db, const std::string& index, size_t record_columns,
                        Table* table, UniqueKey* key) {
  ProbeSource source;
  source.table = table->quoted;
  source.index = index;
  source.key_columns = key->columns.size();
  source.other_columns = record_columns - key->columns.size();
  for (const Column& column : table->columns) {
    source.columns.push_back(column.generated ? "" : column.quoted);
  }
  const auto sql_of = [db](const char* type, const std::string& name, std::string* sql) {
    return ForEachRow(
        db,
        absl::StrCat("SELECT sql FROM sqlite_schema WHERE type='", type, "' AND name=?1"),
        name, [sql](const Statement& row) { *sql = row.Text(0); });
  };
  absl::Status s = sql_of("table", table->name, &source.table_sql);
  if (s.ok()) s = sql_of("index", index, &source.index_sql);
  key->sql_fingerprint = Mix(2166136261U, source.index_sql);
  absl::StatusOr<std::unique_ptr<IndexProbe>> probe =
      s.ok() ? IndexProbe::Open(source) : s;
  if (probe.ok()) {
    key->probe = *std::move(probe);
    return;
  }
  key->coarse = true;
  if (!absl::IsFailedPrecondition(probe.status())) return;
  table->refusal = absl::StrCat(
      "table ", table->name, " cannot be written in a branch: ", probe.status().message(),
      ", which a row does not keep; give the table an INTEGER PRIMARY KEY and use that");
}

absl::Status Catalog::LoadForeignKeys(Database* db, Table* child) {
  if (child->is_view || !child->refusal.empty()) return absl::OkStatus();
  int64_t last_id = -1;
  std::string parent;
  std::vector<std::string> from;
  std::vector<std::string> to;
  const auto finish = [&] {
    if (last_id >= 0) AddForeignKey(child, parent, from, to);
    from.clear();
    to.clear();
  };
  absl::Status s = ForEachRow(
      db,
      "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1) "
      "ORDER BY id, seq",
      child->name, [&](const Statement& row) {
        if (row.Int(0) != last_id) finish();
        last_id = row.Int(0);
        parent = row.Text(1);
        from.push_back(row.Text(2));
        if (!row.IsNull(3)) to.push_back(row.Text(3));
      });
  if (s.ok()) finish();
  return s;
}

void Catalog::AddForeignKey(Table* child, std::string_view parent_name,
                            const std::vector<std::string>& from,
                            std::vector<std::string> to) {
  const std::string lower_parent = Lower(parent_name);
  ForeignKey key;
  key.parent_key = TableKey(lower_parent);
  key.coarse = true;
  for (const std::string& column : from)
    key.columns.push_back(FindColumn(*child, column));
  child->has_side_effects = true;

  const auto found = tables_.find(lower_parent);
  Table* parent = found == tables_.end() ? nullptr : found->second.get();
  if (parent == nullptr || parent->columns.empty()) {
    child->foreign_keys.push_back(std::move(key));
    return;
  }
  parent->has_side_effects = true;
  if (to.empty()) {  // REFERENCES parent: this means its primary key
    for (const int column : parent->primary_key) {
      to.push_back(parent->columns[static_cast<size_t>(column)].name);
    }
  }
  ReferencedKey referenced;
  referenced.child_key = child->lock_key;
  key.prefix = absl::StrCat("K", lower_parent, absl::string_view("\0", 1));
  bool same_affinity = to.size() == from.size();
  for (size_t i = 0; i < to.size(); ++i) {
    const int column = FindColumn(*parent, to[i]);
    if (column < 0 || !same_affinity || key.columns[i] < 0) {
      same_affinity = false;
      break;
    }
    referenced.columns.push_back(column);
    absl::StrAppend(&key.prefix, Lower(to[i]), ",");
    same_affinity = parent->columns[static_cast<size_t>(column)].affinity ==
                    child->columns[static_cast<size_t>(key.columns[i])].affinity;
  }
  if (same_affinity) {
    key.collations = CollationsOf(*parent, referenced.columns);
    key.coarse = key.collations.empty();
  }
  key.prefix.push_back('\0');
  if (!key.coarse) {
    referenced.prefix = key.prefix;
    referenced.collations = key.collations;
    parent->referenced.push_back(std::move(referenced));
  }
  child->foreign_keys.push_back(std::move(key));
}

absl::Status Catalog::LoadTriggers(Database* db) {
  return ForEachRow(db, "SELECT tbl_name FROM sqlite_schema WHERE type='trigger'", "",
                    [this](const Statement& row) {
                      const auto it = tables_.find(Lower(row.Text(0)));
                      if (it != tables_.end()) it->second->has_side_effects = true;
                    });
}

}  // namespace concordat::participant::sqlite
