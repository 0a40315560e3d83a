#include "participant/resources/mariadb/mariadb_resource_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/resources/mariadb/dialect.h"
#include "participant/resources/mariadb/schema.h"

namespace concordat::participant {

std::unique_ptr<DatabaseResourceManager> MakeMariadb(const std::string& url,
                                                     MariadbOptions options) {
  auto dialect = mariadb::MakeDialect(url, options);
  return std::make_unique<DatabaseResourceManager>(std::move(dialect),
                                                   std::move(options));
}

absl::StatusOr<std::string> ParseMariadbUrl(const std::string& url,
                                            DatabaseOptions* options) {
  return database::TakeOptions(
      url,
      [](const std::string& isolation) {
        return mariadb::IsolationSql(isolation).status();
      },
      options);
}

std::string MariadbInitSql() { return mariadb::InitSql(); }

absl::Status RunMariadbInit(const std::string& url) {
  const absl::StatusOr<mariadb::Address> address = mariadb::ParseAddress(url);
  if (!address.ok()) return address.status();
  const std::unique_ptr<MYSQL, void (*)(MYSQL*)> session(mysql_init(nullptr),
                                                         mysql_close);
  mariadb::ApplyAddress(*address, session.get());
  const auto failed = [&session](absl::StatusCode code) {
    return absl::Status(
        code, absl::StrCat(mysql_errno(session.get()), ": ", mysql_error(session.get())));
  };
  if (mariadb::ConnectTo(*address, session.get()) == nullptr) {
    return failed(absl::StatusCode::kUnavailable);
  }
  // The server's default may be 0.
  const std::string sql = absl::StrCat("SET SESSION autocommit=1;", MariadbInitSql());
  int more = mysql_real_query(session.get(), sql.data(), sql.size());
  while (more == 0) more = mysql_next_result(session.get());
  return more < 0 ? absl::OkStatus() : failed(absl::StatusCode::kFailedPrecondition);
}

}  // namespace concordat::participant
