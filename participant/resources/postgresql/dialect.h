// PostgreSQL's dialect, which uses the database's own two-phase commit.
//
// After PREPARE TRANSACTION the database keeps the branch, and the session is free. These
// are the statements, each line one round trip:
//
//     Execute         BEGIN, the statements         (later calls: SAVEPOINT first)
//     Prepare         the evidence, PREPARE TRANSACTION                 one flush
//     Commit          COMMIT PREPARED                                   one flush
//   or
//     CommitOnePhase  the evidence, COMMIT                              one flush
//   or, for a branch that has written nothing (it has no transaction id)
//     Prepare, CommitOnePhase   COMMIT                                  no flush
//
// pg_stat_activity says whether a backend is gone, and pg_prepared_xacts which branches
// are prepared.
//
// Errors: CONDITION_FAILED also for RAISE. CONFLICT is 40001 (serialization failure),
// 40P01 (deadlock) and 55P03 (lock time-out). RESOURCE_ERROR is 57014 (somebody
// interrupted the statement), and the classes 58 and XX, the server's own errors. 57014
// is TIMED_OUT when the statement ran too long.
//
// These are refused in a branch with INVALID: transaction control, SET (but not SET LOCAL
// and SET CONSTRAINTS), LISTEN and NOTIFY, temporary tables, COPY, PREPARE and EXECUTE,
// cursors, several statements in one text, and the evidence table.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_DIALECT_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_DIALECT_H_

#include <memory>
#include <string>
#include <string_view>

#include "participant/resources/database/dialect.h"

namespace concordat::participant::postgresql {

// `url`: as MakePostgresql takes it.
[[nodiscard]] std::unique_ptr<database::Dialect> MakeDialect(std::string url,
                                                             DatabaseOptions options);

// "BEGIN ISOLATION LEVEL …". Empty stands for read-committed. INVALID_ARGUMENT: there is
// no such isolation level.
[[nodiscard]] absl::StatusOr<std::string> BeginSql(std::string_view isolation);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_DIALECT_H_
