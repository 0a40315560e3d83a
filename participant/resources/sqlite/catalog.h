// The tables of the file as capture, replay and the statement check need them: columns,
// primary keys, unique keys, references. Read anew when SQLite's schema version moves.
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
  std::string quoted;
  Affinity affinity = Affinity::kBlob;
  bool generated = false;  // STORED: in the record, but not ours to set
  bool in_primary_key = false;
  Collation collation = Collation::kBinary;  // its own; a key may have another
  // A row from before ALTER TABLE ADD COLUMN shows NULL in the pre-update hook where
  // SQL shows the default, so an old NULL here may not be one.
  bool default_not_null = false;
};

// A PRIMARY KEY or UNIQUE index: the tuples that it holds are locked.
struct UniqueKey {
  std::string prefix;  // of its lock keys
  std::vector<int>
      columns;  // with a probe only as many as there are: -2 is an expression
  std::vector<Collation> collations;
  bool coarse = false;           // the tuples cannot be known: lock the table
  uint32_t sql_fingerprint = 0;  // of its index's SQL
  // Of a partial index, or one on expressions: a row has a tuple in it, or has none, and
  // any column can have a part in that. Null: the tuple is those columns.
  std::unique_ptr<IndexProbe> probe;
};

// A foreign key, seen from its child.
struct ForeignKey {
  std::string prefix;                 // of the lock keys of the parent's tuples
  std::string parent_key;             // lock key of the parent table
  std::vector<int> columns;           // of the child
  std::vector<Collation> collations;  // of the parent: comparison is done by it
  bool coarse = false;  // tuples cannot be matched byte by byte: lock the parent table
};

// The same, seen from its parent.
struct ReferencedKey {
  std::string prefix;
  std::string child_key;     // lock key of the child table
  std::vector<int> columns;  // of the parent
  std::vector<Collation> collations;
};

struct Table {
  std::string name;
  std::string quoted;
  std::string lock_key;
  std::vector<Column> columns;
  std::vector<int> primary_key;        // columns, in key order
  std::vector<UniqueKey> unique_keys;  // the primary key first
  // The primary key is SQLite's rowid, an integer; otherwise an index of its own.
  bool key_is_rowid = true;
  std::vector<ForeignKey> foreign_keys;
  std::vector<ReferencedKey> referenced;
  // Replaying into it must not fire triggers or foreign-key actions once more.
  bool has_side_effects = false;
  bool is_view = false;
  // Not empty: writing in a branch is refused, and this is why.
  std::string refusal;
  // Of the first n columns' names, for n = 0, 1, ….
  std::vector<uint32_t> fingerprints;
  // Of the unique keys and the references from and to it: of all that decides what a
  // change locks.
  uint32_t keys_fingerprint = 0;
};

class Catalog {
 public:
  // Reads it all from the open file. Pointers to tables are valid until the next Load.
  [[nodiscard]] absl::Status Load(Database* db);

  // In a transaction of `db`: loads anew when the schema is not the one that was loaded.
  // True when it is not the one in *seen either, which then follows; statements that
  // were made from the catalog are then to be forgotten. Ends the process (FatalIoError)
  // when the schema cannot be read.
  [[nodiscard]] bool Refresh(Database* db, int64_t* seen);

  // Counts the times that it was loaded.
  [[nodiscard]] uint64_t loads() const { return loads_; }

  // The key that stands for a whole table.
  [[nodiscard]] static std::string LockKeyOf(std::string_view table);

  // Null when there is none. Names are compared as SQLite does, without case.
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

  uint64_t loads_ = 0;
  int64_t version_ = -1;  // SQLite's, which moves with every change of the schema
  absl::flat_hash_map<std::string, std::unique_ptr<Table>> tables_;  // by lower-case name
};

// Ours: not for users.
[[nodiscard]] bool IsReservedName(std::string_view table);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_CATALOG_H_
