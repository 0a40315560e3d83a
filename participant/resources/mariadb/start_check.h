// Checks whether the server, the database and the user can serve branches at all. Each
// error says what to change.
#ifndef PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_
#define PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "participant/resources/database/options.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::mariadb {

// One batch, whose answers go to CheckStart. It also writes a row of evidence, and rolls
// it back.
[[nodiscard]] std::vector<database::Statement> StartQuestions();
// FAILED_PRECONDITION: branches cannot be served. UNAVAILABLE: the connection was lost.
// Logs a warning for settings that work but should be changed.
[[nodiscard]] absl::Status CheckStart(const database::BatchResult& answers,
                                      const DatabaseOptions& options);
// The store's id (ResourceManager::store_id): the server's name, and that of the
// database. For answers that CheckStart has accepted.
[[nodiscard]] std::string StoreId(const database::BatchResult& answers);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_
