// Records what statements change, with SQLite's pre-update hook
// (www.sqlite.org/c3ref/preupdate_blobwrite.html). SQLite calls it before each row
// change, in order, also for changes by triggers, foreign-key actions and REPLACE.
//
//   capture.Begin(limit);
//   …                                     // step the statements
//   Captured captured = capture.Take();
//   if (!captured.refusal.empty()) UndoTheCall(captured.refusal);
//
// The session extension uses the same hook. It is not used here: it prepares several
// statements again for each branch, drops the unchanged columns that unique tuples need,
// and merges the changes of a row, which loses the order that makes replay safe.
#ifndef PARTICIPANT_RESOURCES_SQLITE_CAPTURE_H_
#define PARTICIPANT_RESOURCES_SQLITE_CAPTURE_H_

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/byte_codec.h"
#include "participant/resources/sqlite/catalog.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/lock_table.h"
#include "participant/resources/sqlite/redo.h"

namespace concordat::participant::sqlite {

struct Captured {
  Redo redo;                    // the changes
  std::vector<LockWant> locks;  // may name a key twice
  // Why a change is not allowed in a branch; empty: all changes are allowed.
  std::string refusal;
};

class Capture {
 public:
  // Sets the hook on the connection. It stays until the end of the connection, because
  // statements that are prepared without a hook may truncate a table without calling it.
  Capture(Database* db, const Catalog* catalog);
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  ~Capture();

  // Refuses changes that need more than `max_bytes`.
  void Begin(size_t max_bytes);
  // Ends the recording.
  [[nodiscard]] Captured Take();
  [[nodiscard]] const Captured& so_far() const { return captured_; }
  // What the recording takes in memory so far.
  [[nodiscard]] size_t bytes() const { return lock_bytes_ + steps_.str().size(); }

 private:
  static void OnChange(void* self, sqlite3* db, int operation, const char* schema,
                       const char* table, sqlite3_int64 old_rowid,
                       sqlite3_int64 new_rowid);
  void Record(int operation, std::string_view schema, const char* table_name);
  [[nodiscard]] const Table* Writable(std::string_view schema, const char* table_name);
  [[nodiscard]] bool ReadRow(int operation, const Table& table);
  [[nodiscard]] uint64_t TableNumber(const Table& table);
  void RecordUpdate(const Table& table);
  void LockUniqueKeys(const Table& table, bool has_old, bool has_new);
  void LockProbed(const Table& table, const UniqueKey& key, bool has_old, bool has_new);
  // Sets *lock_key to the lock key of the row's tuple in the index; empty: the row has no
  // tuple there that could conflict with others. False: the tuple cannot be known.
  [[nodiscard]] bool ProbedKey(const UniqueKey& key, const std::vector<ValueView>& row,
                               std::string* lock_key);
  void LockReferences(const Table& table, bool has_old, bool has_new);
  [[nodiscard]] bool Changed(const std::vector<int>& columns) const;
  // True: the old value may be the column's default; see Column::default_not_null.
  [[nodiscard]] bool IsUncertain(const Column& column, size_t index) const;
  [[nodiscard]] bool UncertainOld(const Table& table, const std::vector<int>& columns,
                                  bool has_old) const;
  void Want(std::string key, LockMode mode);

  Database* const db_;
  const Catalog* const catalog_;
  bool recording_ = false;            // between Begin and Take
  Captured captured_;                 // of the recording under way
  ByteWriter steps_;                  // the redo's steps
  size_t lock_bytes_ = 0;             // of the keys in captured_.locks
  size_t max_bytes_ = 0;              // above this a change is refused
  std::vector<const Table*> tables_;  // the tables in captured_.redo.tables
  std::vector<ValueView> old_row_;    // of the change that is being recorded
  std::vector<ValueView> new_row_;    // of the change that is being recorded
  std::vector<ValueView> tuple_;      // of the index that is being looked at
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_CAPTURE_H_
