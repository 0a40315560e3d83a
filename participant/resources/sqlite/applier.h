// Makes a branch's row changes again, from its redo.
//
// Every step must find exactly the row that it started from: an UPDATE or DELETE gives
// the primary key and the old values. When it does not find this row, another program has
// written without our locks; the caller then undoes the branch's steps, keeps the branch
// and raises an alarm. Triggers and foreign-key actions must be off on the connection,
// since their changes are in the redo already.
#ifndef PARTICIPANT_RESOURCES_SQLITE_APPLIER_H_
#define PARTICIPANT_RESOURCES_SQLITE_APPLIER_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/byte_codec.h"
#include "participant/resources/sqlite/catalog.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/redo.h"

namespace concordat::participant::sqlite {

struct ApplyResult {
  int rc = SQLITE_OK;    // SQLite's result of the step that failed
  std::string conflict;  // not empty: a row or table is not as the branch left it

  [[nodiscard]] bool ok() const { return rc == SQLITE_OK && conflict.empty(); }
};

class Applier {
 public:
  Applier(Database* db, const Catalog* catalog) : db_(db), catalog_(catalog) {}

  // Stops at the first step that fails. The steps before it have been executed.
  [[nodiscard]] ApplyResult Apply(const std::vector<Redo>& calls);

  // Returns why the locks that were taken with these changes may be wrong now: another
  // program has changed the keys of a table. Empty: the locks are right.
  [[nodiscard]] std::string WhyLocksAreStale(const std::vector<Redo>& calls) const;

  // Has a table in the redo triggers or foreign keys?
  [[nodiscard]] bool HasSideEffects(const std::vector<Redo>& calls) const;

  // Must be called before the catalog is loaded again.
  void Forget() { statements_.clear(); }

 private:
  [[nodiscard]] ApplyResult ApplyCall(const Redo& call);
  [[nodiscard]] ApplyResult Resolve(const RedoTable& wanted, const Table** table) const;
  [[nodiscard]] ApplyResult ApplyWhole(char step, const Table& table, size_t columns,
                                       ByteReader* in);
  [[nodiscard]] ApplyResult ApplyUpdate(const Table& table, size_t columns,
                                        ByteReader* in);
  [[nodiscard]] ApplyResult Run(char step, const Table& table, Statement* statement);
  // Null, with the error in `result`, when the statement cannot be prepared.
  [[nodiscard]] Statement* Get(char step, const Table& table, size_t columns,
                               const std::string& mask, ApplyResult* result);

  Database* const db_;  // not owned; triggers and foreign keys are off
  const Catalog* const catalog_;
  // Prepared statements by their SQL.
  absl::flat_hash_map<std::string, Statement> statements_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_APPLIER_H_
