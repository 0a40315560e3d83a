// Whether the server, the database and the user can serve branches at all. Each error
// names what to change.
#ifndef PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_
#define PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "participant/resources/database/options.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::mariadb {

// One batch; its answers go to CheckStart. It writes a row of evidence and rolls it back.
[[nodiscard]] std::vector<database::Statement> StartQuestions();
// FAILED_PRECONDITION; UNAVAILABLE when the connection was lost. Logs what works but
// should not be left so.
[[nodiscard]] absl::Status CheckStart(const database::BatchResult& answers,
                                      const DatabaseOptions& options);
// See ResourceManager::store_id: the server's name, and the database on it. Of answers
// that CheckStart has accepted.
[[nodiscard]] std::string StoreId(const database::BatchResult& answers);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_START_CHECK_H_
