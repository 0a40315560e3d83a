// Our parameters among libpq's.
#include <string>

#include "participant/resources/database/url_options.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "participant/resources/postgresql/sql.h"

namespace concordat::participant {

absl::StatusOr<std::string> ParsePostgresqlUrl(const std::string& url,
                                               PostgresqlOptions* options) {
  return database::TakeOptions(
      url,
      [](const std::string& isolation) {
        return postgresql::BeginSql(isolation).status();
      },
      options);
}

}  // namespace concordat::participant
