// concordat rm init: the evidence table, shown before it is made.
#include <cstdio>
#include <iostream>
#include <string>

#include "absl/strings/match.h"
#include "coordinator/cli/commands.h"
#include "participant/postgresql/postgresql_resource_manager.h"

namespace concordat::cli {

int InitResource(const std::string& url, bool yes) {
  if (!absl::StartsWith(url, "postgresql://")) {
    std::cerr << "concordat: " << url
              << ": only databases are made ready, by an URL like "
              << "postgresql://user@host/database; kv:// and sqlite:// need nothing\n";
    return kExitUsage;
  }
  std::cout << participant::PostgresqlInitSql();
  if (!yes) {
    std::cout << "-- Nothing was run. Repeat with --yes, or give it to psql.\n";
    return kExitOk;
  }
  participant::PostgresqlOptions ignored;
  const auto database = participant::ParsePostgresqlUrl(url, &ignored);
  const absl::Status status =
      database.ok() ? participant::RunPostgresqlInit(*database) : database.status();
  if (status.ok()) {
    std::cout << "-- Done.\n";
    return kExitOk;
  }
  std::cerr << "concordat: " << std::string(status.message()) << "\n";
  return absl::IsUnavailable(status) ? kExitUnreachable : kExitNegative;
}

}  // namespace concordat::cli
