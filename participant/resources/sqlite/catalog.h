// The tables of the file as capture, replay and the statement check need them: columns,
// primary keys, unique keys, references. It is loaded again when SQLite's schema version
// changes.
#ifndef PARTICIPANT_RESOURCES_SQLITE_CATALOG_H_
#define PARTICIPANT_RESOURCES_SQLITE_CATALOG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/index_probe.h"
#include "participant/resources/sqlite/value.h"

namespace concordat::participant::sqlite {

// SQLite's type affinity (www.sqlite.org/datatype3.html, section 3.1).
enum class Affinity : uint8_t { kBlob, kText, kNumeric, kInteger, kReal };
[[nodiscard]] Affinity AffinityOf(std::string_view declared_type);

struct Column {
  std::string name;
  std::string quoted;  // the name in quotes, for SQL
  Affinity affinity = Affinity::kBlob;
  bool generated = false;  // STORED: it is in the record, but cannot be set
  bool in_primary_key = false;
  Collation collation = Collation::kBinary;  // the column's own; a key may have another
  // True: the default is not NULL. For a row from before ALTER TABLE ADD COLUMN, the
  // pre-update hook shows NULL where SQL shows the default, so an old NULL may stand for
  // the default.
  bool default_not_null = false;
};

// A PRIMARY KEY or UNIQUE index. The tuples that it holds are locked.
struct UniqueKey {
  std::string prefix;  // of the lock keys of its tuples
  std::vector<int>
      columns;  // with a probe only as many as there are: -2 is an expression
  std::vector<Collation> collations;
  bool coarse = false;           // the tuples cannot be known: lock the table
  uint32_t sql_fingerprint = 0;  // of the SQL that made the index
  // For a partial index, or one on expressions: a row may have a tuple in it or not, and
  // this may depend on any column. Null: the tuple consists of `columns`.
  std::unique_ptr<IndexProbe> probe;
};

// A foreign key, for its child table.
struct ForeignKey {
  std::string prefix;                 // of the lock keys of the parent's tuples
  std::string parent_key;             // lock key of the parent table
  std::vector<int> columns;           // of the child
  std::vector<Collation> collations;  // of the parent, which decides comparisons
  bool coarse = false;  // tuples cannot be matched byte by byte: lock the parent table
};

// A foreign key, for its parent table.
struct ReferencedKey {
  std::string prefix;        // of the lock keys of the parent's tuples
  std::string child_key;     // lock key of the child table
  std::vector<int> columns;  // of the parent
  std::vector<Collation> collations;
};

struct Table {
  std::string name;
  std::string quoted;
  std::string lock_key;  // of the whole table
  std::vector<Column> columns;
  std::vector<int> primary_key;        // indexes of columns, in key order
  std::vector<UniqueKey> unique_keys;  // the primary key first
  // True: the primary key is SQLite's rowid, an integer. False: it is an index of its
  // own.
  bool key_is_rowid = true;
  std::vector<ForeignKey> foreign_keys;
  // The foreign keys of other tables that refer to this one.
  std::vector<ReferencedKey> referenced;
  // True: a replay into the table must not fire triggers or foreign-key actions again.
  bool has_side_effects = false;
  bool is_view = false;  // only its INSTEAD OF triggers change anything
  // Why writing the table in a branch is refused; empty: it is allowed.
  std::string refusal;
  // Fingerprints of the names of the first n columns, for n = 0, 1, ….
  std::vector<uint32_t> fingerprints;
  // Fingerprint of the unique keys and of the references from and to the table: of
  // everything that decides what a change locks.
  uint32_t keys_fingerprint = 0;
};

class Catalog {
 public:
  // Reads everything from the open file. Pointers to tables are valid until the next
  // Load.
  [[nodiscard]] absl::Status Load(Database* db);

  // Must be called in a transaction of `db`. Loads the catalog again when the schema has
  // changed since it was loaded. Returns true when the schema has also changed since
  // *seen, and sets *seen; the caller must then discard statements that were made from
  // the catalog. Ends the process (FatalIoError) when the schema cannot be read.
  [[nodiscard]] bool Refresh(Database* db, int64_t* seen);

  // How many times the catalog was loaded.
  [[nodiscard]] uint64_t loads() const { return loads_; }

  // The lock key of a whole table.
  [[nodiscard]] static std::string LockKeyOf(std::string_view table);

  // Null: there is no such table. Names are compared without case, as SQLite does.
  [[nodiscard]] const Table* Find(std::string_view name) const;

 private:
  [[nodiscard]] absl::Status LoadTables(Database* db);
  [[nodiscard]] absl::Status LoadColumns(Database* db, Table* table);
  [[nodiscard]] absl::Status LoadUniqueKeys(Database* db, Table* table);
  [[nodiscard]] absl::Status LoadIndex(Database* db, const std::string& index,
                                       bool is_partial, Table* table, UniqueKey* key);
  void OpenProbe(Database* db, const std::string& index, size_t record_columns,
                 Table* table, UniqueKey* key);
  [[nodiscard]] absl::Status LoadForeignKeys(Database* db, Table* child);
  [[nodiscard]] absl::Status LoadTriggers(Database* db);
  void AddForeignKey(Table* child, std::string_view parent_name,
                     const std::vector<std::string>& from, std::vector<std::string> to);

  uint64_t loads_ = 0;  // see loads()
  // SQLite's schema version; it grows with every change of the schema.
  int64_t version_ = -1;
  absl::flat_hash_map<std::string, std::unique_ptr<Table>> tables_;  // by lower-case name
};

// True: the table is one of our own, which users may not use.
[[nodiscard]] bool IsReservedName(std::string_view table);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_CATALOG_H_
