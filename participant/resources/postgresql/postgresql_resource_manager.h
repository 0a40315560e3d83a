// A PostgreSQL database as a resource manager. See
// participant/resources/database/database_resource_manager.h, and dialect.h for what is
// particular to PostgreSQL.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "participant/resources/database/database_resource_manager.h"

namespace concordat::participant {

// `url` has the form that libpq takes: "postgresql://user@host:port/database?sslmode=…"
// or "host=… dbname=…". It may name several hosts, for a primary that moves. The default
// isolation is read-committed. The server's max_prepared_transactions must be large
// enough for all branches that are prepared at one time.
[[nodiscard]] std::unique_ptr<DatabaseResourceManager> MakePostgresql(
    std::string url, DatabaseOptions options);

// Moves our own parameters (database::TakeOptions) from a URL into `options`, and returns
// the URL without them, for libpq. INVALID_ARGUMENT: a value is wrong; the text says
// which. Others may see the URL, so a password is better kept elsewhere: use
// passfile=FILE, or the user's ~/.pgpass.
[[nodiscard]] absl::StatusOr<std::string> ParsePostgresqlUrl(const std::string& url,
                                                             DatabaseOptions* options);

// The SQL that creates what Concordat keeps in the database. Its owner is a role that
// cannot log in. `role` is the role under which the resource will be served, and gets the
// rights to use it; if it is empty, the rights are shown as comments. The SQL may be run
// again, and brings what an earlier version has created up to date. It is to be run once
// in each database, by a superuser or a user who may create roles and schemas. Commands
// show it before they run it.
[[nodiscard]] std::string PostgresqlInitSql(const std::string& role = "");
// Runs that SQL at `url`, in one transaction, and blocks meanwhile. The error has the
// server's message.
[[nodiscard]] absl::Status RunPostgresqlInit(const std::string& url,
                                             const std::string& role = "");

}  // namespace concordat::participant

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_POSTGRESQL_RESOURCE_MANAGER_H_
