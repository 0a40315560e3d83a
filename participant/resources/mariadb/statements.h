// The statements that more than one part of MariaDB's resource manager says.
#ifndef PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_
#define PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "participant/resources/database/statement.h"

namespace concordat::participant::mariadb {

// The names in a branch id have letters, digits, '-' and '_' only.
[[nodiscard]] std::string Quoted(const std::string& name);

// Takes the role of schema.h, and gives it up.
[[nodiscard]] database::Statement TakeRole();
[[nodiscard]] database::Statement DropRole();

// What InnoDB has in memory is on disk when this has come back. Needs RELOAD. Behind a
// look at what other sessions did: they show it before they flush it, or never flush it.
[[nodiscard]] database::Statement FlushEngine();

// An expression: when the server was started, in seconds since 1970. Exact, for both
// terms are of the moment at which the statement began. When it is interrupted, the
// table is empty and the statement goes well (10.11.19): the second term, of two rows,
// makes an error of that.
inline constexpr char kServerStart[] =
    "COALESCE((SELECT UNIX_TIMESTAMP()-CAST(VARIABLE_VALUE AS SIGNED) FROM "
    "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='UPTIME'),"
    "(SELECT 1 UNION SELECT 2))";
// The session's row in concordat.sessions, by which the next process finds it.
[[nodiscard]] database::Statement AnnounceSession(const database::Owner& owner);
// The user lock of the process that serves the resource.
[[nodiscard]] std::string ServingLockName(const database::Owner& owner);

// One row for each of them that the server has, after which Works knows of it.
[[nodiscard]] database::Statement SessionsAtRest(const std::vector<std::string>& ids);
// The session is doing something. False: it waits for its client, or is over.
[[nodiscard]] bool Works(const database::StatementResult& rows,
                         const database::SessionId& session);

// Error numbers that more than one place asks for.
inline constexpr unsigned kInterrupted = 1317;
[[nodiscard]] bool IsOneOf(unsigned error, std::initializer_list<unsigned> errors);
// The server could not do it now, and may do it the next time.
[[nodiscard]] bool IsTransientError(unsigned error);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_STATEMENTS_H_
