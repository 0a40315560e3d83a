// MariaDB's dialect, which uses the server's own XA.
//
// While the session that prepared a branch lives, the server answers XAER_NOTA for the
// branch to all other sessions. These are the statements, each line one round trip (a
// packet of several statements, of which the server skips the rest when one fails):
//
//     Execute         SET TRANSACTION, XA START, the statements  (later: SAVEPOINT first)
//     Prepare         INSERT evidence, XA END, XA PREPARE                 one flush
//     Commit          XA COMMIT                                           one flush
//     Rollback        XA ROLLBACK      no flush: after a crash the branch may be prepared
//                                      again. Then it is found (OnFound), and rolled back
//                                      when the coordinator has answered
//   or
//     CommitOnePhase  INSERT evidence, XA END, XA COMMIT ONE PHASE        one flush
//   or, for a branch that has written nothing (the session counts the rows it writes)
//     Prepare, CommitOnePhase   SHOW STATUS                               no flush
//                               XA END, XA COMMIT ONE PHASE
//
// With a binary log each of these flushes is two: one of that log and one of InnoDB's.
// Each commit is then followed, in the same packet, by FLUSH LOCAL ENGINE LOGS. Without
// it, a branch that was answered as committed may be prepared again after a crash
// (FlushCommits).
//
// The server's list of sessions says whether a session is gone, and XA RECOVER which
// branches are prepared.
//
// Errors: CONDITION_FAILED also for SIGNAL. CONFLICT is 1213 (deadlock) and 1205 (lock
// time-out). TIMED_OUT is 1969. RESOURCE_ERROR is 1317 (somebody interrupted the
// statement), or the branch wrote to a table that cannot roll back.
//
// These are refused in a branch with INVALID: transaction control, all statements before
// which MariaDB commits implicitly (all of DDL), SET, USE, PREPARE and EXECUTE, HANDLER,
// LOAD, and several statements in one text. The server itself refuses access to
// Concordat's tables, to which only a role has rights (schema.h).
#ifndef PARTICIPANT_RESOURCES_MARIADB_DIALECT_H_
#define PARTICIPANT_RESOURCES_MARIADB_DIALECT_H_

#include <memory>
#include <string>
#include <string_view>

#include "participant/resources/database/dialect.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"

namespace concordat::participant::mariadb {

// `url`: as MakeMariadb takes it.
[[nodiscard]] std::unique_ptr<database::Dialect> MakeDialect(const std::string& url,
                                                             MariadbOptions options);

// "SET TRANSACTION ISOLATION LEVEL …". Empty stands for repeatable-read.
// INVALID_ARGUMENT: there is no such isolation level.
[[nodiscard]] absl::StatusOr<std::string> IsolationSql(std::string_view isolation);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_DIALECT_H_
