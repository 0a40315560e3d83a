// A MariaDB database as a resource manager. See
// participant/resources/database/database_resource_manager.h, and dialect.h for what is
// particular to MariaDB.
#ifndef PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "participant/resources/database/database_resource_manager.h"

namespace concordat::participant {

// The default isolation is repeatable-read.
struct MariadbOptions : DatabaseOptions {
  // When a packet of statements has brought no answer for so long, the server is asked
  // about its session on a new connection. If the server does not answer there either, or
  // says that the session does nothing, the packet's connection is given up. A session
  // that works is waited for.
  Duration answer_time = Duration::Seconds(15);
};

// `url` is "mysql://user:password@host:port/database" or, for a Unix socket,
// "mysql://user@/database?socket=/path". "mariadb://" means the same. Parameters:
//   socket=PATH  password_file=FILE (its first line; the URL may be seen by others)
//   tls=verify | no-verify  tls_ca=FILE  tls_cert=FILE  tls_key=FILE
// With any parameter of the last line, a connection that cannot be encrypted is refused.
//
// Recover refuses a server that is too old, read-only or in a Galera cluster, one that
// would lose in a crash what it has promised, and a database with a table that cannot
// roll back.
[[nodiscard]] std::unique_ptr<DatabaseResourceManager> MakeMariadb(
    const std::string& url, MariadbOptions options);

// Moves our own parameters (database::TakeOptions) from a URL into `options`, and returns
// the URL without them. INVALID_ARGUMENT: a value is wrong; the text says which.
[[nodiscard]] absl::StatusOr<std::string> ParseMariadbUrl(const std::string& url,
                                                          DatabaseOptions* options);

// The SQL that creates Concordat's tables. It may be run again. It is to be run once on
// each server, by a user who may create a database there. Commands show it before they
// run it.
[[nodiscard]] std::string MariadbInitSql();
// Runs that SQL at `url`, and blocks meanwhile. The error has the server's message.
[[nodiscard]] absl::Status RunMariadbInit(const std::string& url);

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_
