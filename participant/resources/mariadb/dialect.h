// MariaDB's dialect: the server's own XA.
//
// While the session that prepared a branch lives, the server tells all others XAER_NOTA
// for it. What goes over the wire, each line one round trip (one packet, several
// statements; when one fails the server skips the rest):
//
//     Execute         SET TRANSACTION, XA START, the statements  (later: SAVEPOINT first)
//     Prepare         INSERT evidence, XA END, XA PREPARE                 one flush
//     Commit          XA COMMIT                                           one flush
//     Rollback        XA ROLLBACK      no flush: after a crash it may be prepared again,
//                                      is found (OnFound), asks, and is rolled back
//   or
//     CommitOnePhase  INSERT evidence, XA END, XA COMMIT ONE PHASE        one flush
//   or, for a branch that has written nothing (the session counts rows written)
//     Prepare, CommitOnePhase   SHOW STATUS                               no flush
//                               XA END, XA COMMIT ONE PHASE
//
// With a binary log each flush is one of that log and one of InnoDB's, and each commit is
// followed, in the same packet, by FLUSH LOCAL ENGINE LOGS: without it a branch that was
// answered as committed may be prepared again after a crash (FlushCommits).
//
// The server's list of sessions says whether a session is gone, and XA RECOVER what is
// prepared.
//
// Errors: CONDITION_FAILED also for SIGNAL; CONFLICT is 1213 deadlock and 1205 lock
// time-out; TIMED_OUT is 1969; RESOURCE_ERROR is 1317 (somebody has interrupted it), or a
// table was written that cannot roll back.
//
// Refused in a branch, with INVALID: transaction control, everything that MariaDB commits
// implicitly for (all of DDL), SET, USE, PREPARE and EXECUTE, HANDLER, LOAD, several
// statements in one. Concordat's tables are refused by the server: only a role has rights
// to them (schema.h).
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

// "SET TRANSACTION ISOLATION LEVEL …"; of "", repeatable-read. INVALID_ARGUMENT: not an
// isolation level.
[[nodiscard]] absl::StatusOr<std::string> IsolationSql(std::string_view isolation);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_DIALECT_H_
