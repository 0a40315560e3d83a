// A PostgreSQL database as a resource manager: see
// participant/resources/database/database_resource_manager.h, and dialect.h for what is
// PostgreSQL's own.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "participant/resources/database/database_resource_manager.h"

namespace concordat::participant {

// `url`: as libpq takes it, "postgresql://user@host:port/database?sslmode=…" or
// "host=… dbname=…". Several hosts are possible, for a primary that moves. The default
// isolation is read-committed. The server needs max_prepared_transactions for the
// branches that are in doubt at one time.
[[nodiscard]] std::unique_ptr<DatabaseResourceManager> MakePostgresql(
    std::string url, DatabaseOptions options);

// Takes our own parameters (database::TakeOptions) out of a URL, into `options`, and
// returns the rest for libpq. INVALID_ARGUMENT: a value is not what it should be. A
// password is better kept out of the URL, which others may see: passfile=FILE, or the
// user's ~/.pgpass.
[[nodiscard]] absl::StatusOr<std::string> ParsePostgresqlUrl(const std::string& url,
                                                             DatabaseOptions* options);

// The SQL that makes what Concordat keeps in the database, owned by a role that nobody
// logs in as, and gives `role`, under which the resource will be served, the rights to
// use it (empty: shows them as comments). Repeatable; brings what an earlier version has
// made up to date. To be run once a database, by a superuser, or by somebody who may
// create roles and schemas. Commands show it before they run it.
[[nodiscard]] std::string PostgresqlInitSql(const std::string& role = "");
// Runs it at `url`, in one transaction. Blocks. The error has the server's words.
[[nodiscard]] absl::Status RunPostgresqlInit(const std::string& url,
                                             const std::string& role = "");

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
