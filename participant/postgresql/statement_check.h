// What a statement of a user may not be, told by its first words. The server has the
// last word: the transaction's status is looked at after each call. This check comes
// first because it leaves the branch alive, and because some statements would change
// the session, which others use afterwards.
#ifndef PARTICIPANT_POSTGRESQL_STATEMENT_CHECK_H_
#define PARTICIPANT_POSTGRESQL_STATEMENT_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::participant::postgresql {

struct StatementKind {
  // INSERT, UPDATE, DELETE, MERGE or a change of the schema: the branch counts as one
  // that has written. Others may write too (functions, WITH); for those one asks.
  bool writes = false;
  // May leave something behind in the session: its connection is not used again.
  bool taints = false;
};

// INVALID_ARGUMENT: refused; the message says why and what to do instead.
[[nodiscard]] absl::StatusOr<StatementKind> CheckStatement(std::string_view sql);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_POSTGRESQL_STATEMENT_CHECK_H_
