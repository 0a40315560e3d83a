// What a statement of a user may not be, told by its first words. The server has the
// last word: the transaction's status is looked at after each call. This check comes
// first because it leaves the branch alive, and says more. What it does not see, inside
// of functions, the server refuses, or is undone before the session is used again
// (schema.h): nothing may depend on the text of a statement.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::participant::postgresql {

struct StatementKind {
  // INSERT, UPDATE, DELETE, MERGE or a change of the schema, and locks that are to last
  // until the decision: the branch counts as one that has written, and is prepared.
  // Others may write too (functions, WITH); for those one asks.
  bool writes = false;
};

// INVALID_ARGUMENT: refused; the message says why and what to do instead.
[[nodiscard]] absl::StatusOr<StatementKind> CheckStatement(std::string_view sql);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_STATEMENT_CHECK_H_
