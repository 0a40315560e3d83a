// The statements that more than one part of MariaDB's resource manager uses.
#ifndef PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_
#define PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "participant/resources/database/statement.h"

namespace concordat::participant::mariadb {

// `name` in quotes, for SQL. Nothing in it is escaped: the names in a branch id consist
// of letters, digits, '-' and '_'.
[[nodiscard]] std::string Quoted(const std::string& name);

// Take the role of schema.h, and give it up.
[[nodiscard]] database::Statement TakeRole();
[[nodiscard]] database::Statement DropRole();

// Flushes InnoDB's log: when it has returned, what the log had in memory is on disk. The
// user needs RELOAD. It follows statements that read what other sessions did, because
// that can be read before those sessions flush it, and also if they never do.
[[nodiscard]] database::Statement FlushEngine();

// An expression: when the server was started, in seconds since 1970. It is exact, since
// both terms are of the moment at which the statement began. When the statement is
// interrupted, the table appears to be empty and the statement succeeds (10.11.19); the
// subquery of two rows turns that into an error.
inline constexpr char kServerStart[] =
    "COALESCE((SELECT UNIX_TIMESTAMP()-CAST(VARIABLE_VALUE AS SIGNED) FROM "
    "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='UPTIME'),"
    "(SELECT 1 UNION SELECT 2))";
// Writes the session's row in concordat.sessions, by which the next process finds it.
[[nodiscard]] database::Statement AnnounceSession(const database::Owner& owner);
// The name of the user lock that the process holds that serves the resource.
[[nodiscard]] std::string ServingLockName(const database::Owner& owner);

// Asks about sessions. The result is for Works.
[[nodiscard]] database::Statement SessionsAtRest(const std::vector<std::string>& ids);
// Whether the session is doing something. False: it waits for its client, or is gone.
[[nodiscard]] bool Works(const database::StatementResult& rows,
                         const database::SessionId& session);

// ER_QUERY_INTERRUPTED.
inline constexpr unsigned kInterrupted = 1317;
[[nodiscard]] bool IsOneOf(unsigned error, std::initializer_list<unsigned> errors);
// The server could not run the statement now, but may be able to the next time.
[[nodiscard]] bool IsTransientError(unsigned error);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_
