// concordat rm init: shows the SQL for what Concordat needs in a database, and runs it.
#include <functional>
#include <iostream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "coordinator/cli/commands.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"

namespace concordat::cli {

namespace {

// How a kind of database is prepared.
struct Database {
  std::string sql;
  std::string shell;
  std::function<absl::Status()> run;
};

absl::Status RunMariadb(const std::string& url) {
  participant::DatabaseOptions ignored;
  const auto database = participant::ParseMariadbUrl(url, &ignored);
  return database.ok() ? participant::RunMariadbInit(*database) : database.status();
}

bool IsPostgresql(const std::string& url) {
  return absl::StartsWith(url, "postgresql://");
}

std::optional<Database> DatabaseOf(const std::string& url, const std::string& role) {
  if (IsPostgresql(url)) {
    return Database{
        participant::PostgresqlInitSql(role), "psql", [url, role] {
          participant::DatabaseOptions ignored;
          const auto database = participant::ParsePostgresqlUrl(url, &ignored);
          return database.ok() ? participant::RunPostgresqlInit(*database, role)
                               : database.status();
        }};
  }
  if (absl::StartsWith(url, "mysql://") || absl::StartsWith(url, "mariadb://")) {
    return Database{participant::MariadbInitSql(), "mariadb",
                    [url] { return RunMariadb(url); }};
  }
  return std::nullopt;
}

}  // namespace

int InitResource(const std::string& url, const std::string& role, bool yes) {
  if (!role.empty() && !IsPostgresql(url)) {
    std::cerr << "concordat: --role is for postgresql:// only\n";
    return kExitUsage;
  }
  const std::optional<Database> database = DatabaseOf(url, role);
  if (!database.has_value()) {
    std::cerr << "concordat: " << url
              << ": only databases are made ready, by an URL like "
              << "postgresql://user@host/database or mysql://user@host/database; "
              << "kv:// and sqlite:// need nothing\n";
    return kExitUsage;
  }
  std::cout << database->sql;
  if (!yes) {
    std::cout << "-- Nothing was run. Repeat with --yes, or give it to "
              << database->shell << ".\n";
    return kExitOk;
  }
  const absl::Status status = database->run();
  if (status.ok()) {
    std::cout << "-- Done.\n";
    return kExitOk;
  }
  std::cerr << "concordat: " << std::string(status.message()) << "\n";
  return absl::IsUnavailable(status) ? kExitUnreachable : kExitNegative;
}

}  // namespace concordat::cli
