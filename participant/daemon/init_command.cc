#include "participant/daemon/init_command.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"

namespace concordat::participant {

namespace {

constexpr int kExitRefused = 1;
constexpr int kExitUnreachable = 2;
constexpr int kExitWrongUsage = 64;  // EX_USAGE of sysexits.h

// How a kind of database is made ready.
struct Database {
  std::string sql;
  std::string shell;
  std::function<absl::Status()> run;
};

bool IsPostgresql(const std::string& url) {
  return absl::StartsWith(url, "postgresql://");
}

std::optional<Database> DatabaseOf(const std::string& url, const std::string& role) {
  if (IsPostgresql(url)) {
    return Database{PostgresqlInitSql(role), "psql", [url, role] {
                      DatabaseOptions ignored;
                      const auto database = ParsePostgresqlUrl(url, &ignored);
                      return database.ok() ? RunPostgresqlInit(*database, role)
                                           : database.status();
                    }};
  }
  if (absl::StartsWith(url, "mysql://") || absl::StartsWith(url, "mariadb://")) {
    return Database{MariadbInitSql(), "mariadb", [url] {
                      DatabaseOptions ignored;
                      const auto database = ParseMariadbUrl(url, &ignored);
                      return database.ok() ? RunMariadbInit(*database)
                                           : database.status();
                    }};
  }
  return std::nullopt;
}

int Init(const std::string& url, const std::string& role, bool yes) {
  if (!role.empty() && !IsPostgresql(url)) {
    std::cerr << "concordat-rm: --role is for postgresql:// only\n";
    return kExitWrongUsage;
  }
  const std::optional<Database> database = DatabaseOf(url, role);
  if (!database.has_value()) {
    std::cerr << "concordat-rm: " << url
              << ": only databases are made ready, by an URL like "
              << "postgresql://user@host/database or mysql://user@host/database; "
              << "kv:// and sqlite:// need nothing\n";
    return kExitWrongUsage;
  }
  std::cout << database->sql;
  if (!yes) {
    std::cout << "-- Nothing was run. Repeat with --yes, or give it to "
              << database->shell << ".\n";
    return 0;
  }
  const absl::Status status = database->run();
  if (status.ok()) {
    std::cout << "-- Done.\n";
    return 0;
  }
  std::cerr << "concordat-rm: " << std::string(status.message()) << "\n";
  return absl::IsUnavailable(status) ? kExitUnreachable : kExitRefused;
}

}  // namespace

int RunInitCommand(int argc, char** argv) {
  std::string url;
  std::string role;
  bool yes = false;
  CLI::App app(
      "Makes a database ready to be served: shows the SQL for what Concordat keeps "
      "there, and runs it with --yes.",
      "concordat-rm init");
  app.add_option("url", url, "As in --resource: postgresql://user@host/database")
      ->required();
  app.add_option("--role", role,
                 "The role that will serve the resource (PostgreSQL): it is given the "
                 "rights for that");
  app.add_flag("--yes", yes, "Run it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "concordat-rm: " << error.what() << "\nTry concordat-rm init --help.\n";
    return kExitWrongUsage;
  }
  return Init(url, role, yes);
}

}  // namespace concordat::participant
