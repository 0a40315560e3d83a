// Checks by its first words whether a user's statement may run in a branch. After each
// call the state of the transaction is checked too. This check comes first because it
// leaves the branch alive, and its message says more. What it cannot see, inside of
// functions, is refused by the server, or is undone before the session is used again
// (schema.h): nothing depends on the text of a statement.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::participant::postgresql {

struct StatementKind {
  // It is an INSERT, UPDATE, DELETE or MERGE, changes the schema, or takes locks that are
  // to last until the decision. The branch then counts as one that has written, and is
  // prepared. Other statements may write too (functions, WITH), so the database is asked.
  bool writes = false;
};

// INVALID_ARGUMENT: it is refused; the text says why, and what to do instead.
[[nodiscard]] absl::StatusOr<StatementKind> CheckStatement(std::string_view sql);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_
