#include "participant/daemon/init_command.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "coordinator/base/option_errors.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"

namespace concordat::participant {

namespace {

constexpr int kExitRefused = 1;      // the database refuses
constexpr int kExitUnreachable = 2;  // it cannot be reached
constexpr int kExitWrongUsage = 64;  // EX_USAGE of sysexits.h

// How a kind of database is prepared.
struct Database {
  std::string sql;
  std::string shell;  // the program to which the SQL can be given instead
  std::function<absl::Status()> run;
};

bool IsPostgresql(const std::string& url) {
  return absl::StartsWith(url, "postgresql://");
}

// INVALID_ARGUMENT: the URL is wrong, or its kind of database needs nothing.
absl::StatusOr<Database> DatabaseOf(const std::string& url, const std::string& role) {
  DatabaseOptions ignored;
  if (IsPostgresql(url)) {
    const auto database = ParsePostgresqlUrl(url, &ignored);
    if (!database.ok()) return database.status();
    return Database{PostgresqlInitSql(role), "psql", [database = *database, role] {
                      return RunPostgresqlInit(database, role);
                    }};
  }
  if (absl::StartsWith(url, "mysql://") || absl::StartsWith(url, "mariadb://")) {
    const auto database = ParseMariadbUrl(url, &ignored);
    if (!database.ok()) return database.status();
    return Database{MariadbInitSql(), "mariadb",
                    [database = *database] { return RunMariadbInit(database); }};
  }
  return absl::InvalidArgumentError(absl::StrCat(
      url,
      ": init is for databases, with a URL like postgresql://user@host/database or "
      "mysql://user@host/database; kv://, sqlite:// and xa:// need no init"));
}

int Fail(const absl::Status& status, const std::string& advice, int exit_code) {
  const absl::string_view message = absl::StripTrailingAsciiWhitespace(status.message());
  std::cerr << "concordat-rm: " << std::string(message) << advice << "\n";
  return exit_code;
}

int Init(const std::string& url, const std::string& role, bool yes) {
  if (!role.empty() && !IsPostgresql(url)) {
    std::cerr << "concordat-rm: --role is for postgresql:// only\n";
    return kExitWrongUsage;
  }
  const absl::StatusOr<Database> database = DatabaseOf(url, role);
  if (!database.ok()) return Fail(database.status(), "", kExitWrongUsage);
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
  if (absl::IsUnavailable(status)) {
    return Fail(status,
                "\nThe database cannot be reached: start its server or correct the URL, "
                "then run init again.",
                kExitUnreachable);
  }
  return Fail(status,
              "\nThe database refuses the SQL above. When the cause is removed, run init "
              "again: what exists already does no harm.",
              kExitRefused);
}

}  // namespace

int RunInitCommand(int argc, char** argv) {
  std::string url;
  std::string role;
  bool yes = false;
  CLI::App app(
      "Prepares a database to be served: prints the SQL that creates what Concordat "
      "needs in it, and with --yes runs it.",
      "concordat-rm init");
  app.add_option("url", url, "As in --resource: postgresql://user@host/database");
  app.add_option("--role", role,
                 "The role that will serve the resource (PostgreSQL); it gets the rights "
                 "for that");
  app.add_flag("--yes", yes, "Run it");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    std::cerr << "concordat-rm: " << ExplainOptionError(error.what())
              << "\nTry concordat-rm init --help.\n";
    return kExitWrongUsage;
  }
  if (url.empty()) {
    std::cerr << "concordat-rm: init needs the URL of a database, like "
              << "postgresql://user@host/database\nTry concordat-rm init --help.\n";
    return kExitWrongUsage;
  }
  return Init(url, role, yes);
}

}  // namespace concordat::participant
