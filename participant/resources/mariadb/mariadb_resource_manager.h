// A MariaDB database as a resource manager: see
// participant/resources/database/database_resource_manager.h, and dialect.h for what is
// MariaDB's own.
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
  // A packet of statements that has brought no answer for so long is asked after, by a
  // new connection. When the server does not answer that either, or its session is seen
  // to do nothing, the packet's connection is given up; one that works is waited for.
  Duration answer_time = Duration::Seconds(15);
};

// `url`: "mysql://user:password@host:port/database", or, by a Unix socket,
// "mysql://user@/database?socket=/path"; "mariadb://" is the same. Parameters:
//   socket=PATH  password_file=FILE (its first line; others may see the URL)
//   tls=verify | no-verify  tls_ca=FILE  tls_cert=FILE  tls_key=FILE
// With any of the last line the connection is encrypted or refused.
//
// The server is refused (Recover) when it is too old, read-only or in a Galera cluster,
// when it would lose what it has promised in a crash, or a table of the database cannot
// roll back.
[[nodiscard]] std::unique_ptr<DatabaseResourceManager> MakeMariadb(
    const std::string& url, MariadbOptions options);

// Takes our own parameters (database::TakeOptions) out of a URL, into `options`, and
// returns the rest. INVALID_ARGUMENT: a value is not what it should be.
[[nodiscard]] absl::StatusOr<std::string> ParseMariadbUrl(const std::string& url,
                                                          DatabaseOptions* options);

// The SQL that makes Concordat's tables; repeatable. To be run once a server, by somebody
// who may create a database there. Commands show it before they run it.
[[nodiscard]] std::string MariadbInitSql();
// Runs it at `url`. Blocks. The error has the server's words.
[[nodiscard]] absl::Status RunMariadbInit(const std::string& url);

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_MARIADB_MARIADB_RESOURCE_MANAGER_H_
