#include "participant/resources/postgresql/postgresql_resource_manager.h"

#include <libpq-fe.h>

#include <utility>

#include "participant/resources/postgresql/connection.h"
#include "participant/resources/postgresql/dialect.h"
#include "participant/resources/postgresql/schema.h"

namespace concordat::participant {

std::unique_ptr<DatabaseResourceManager> MakePostgresql(std::string url,
                                                        DatabaseOptions options) {
  auto dialect = postgresql::MakeDialect(std::move(url), options);
  return std::make_unique<DatabaseResourceManager>(std::move(dialect),
                                                   std::move(options));
}

absl::StatusOr<std::string> ParsePostgresqlUrl(const std::string& url,
                                               DatabaseOptions* options) {
  return database::TakeOptions(
      url,
      [](const std::string& isolation) {
        return postgresql::BeginSql(isolation).status();
      },
      options);
}

std::string PostgresqlInitSql(const std::string& role) {
  return postgresql::InitSql(role);
}

// Several statements in one simple query are one transaction (PostgreSQL 15 manual,
// 55.2.2.1 "Multiple Statements in a Simple Query").
absl::Status RunPostgresqlInit(const std::string& url, const std::string& role) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(url.c_str()),
                                                              PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(PQerrorMessage(connection.get()));
  }
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const postgresql::Result result(
      PQexec(connection.get(), PostgresqlInitSql(role).c_str()));
  if (postgresql::SqlState(result.get()).empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(postgresql::ErrorText(result.get()));
}

}  // namespace concordat::participant
