// Checks whether the server, the database and the role can serve branches at all. Each
// error says what to change.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_START_CHECK_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_START_CHECK_H_

#include <vector>

#include "absl/status/status.h"
#include "participant/resources/database/options.h"
#include "participant/resources/database/statement.h"
#include "participant/resources/postgresql/application_managed.h"

namespace concordat::participant::postgresql {

// One batch, whose answers go to CheckStart.
[[nodiscard]] std::vector<database::Statement> StartQuestions();
// FAILED_PRECONDITION: branches cannot be served. UNAVAILABLE: the connection was lost.
// Logs a warning for settings that work but should be changed.
[[nodiscard]] absl::Status CheckStart(const database::BatchResult& answers,
                                      const DatabaseOptions& options);
// The server that has given these answers, which CheckStart has accepted.
[[nodiscard]] Server AnsweringServer(const database::BatchResult& answers);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_START_CHECK_H_
