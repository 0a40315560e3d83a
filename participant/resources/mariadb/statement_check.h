// Checks by its first words whether a user's statement may run in a branch. The server
// checks too: it refuses what would commit the branch (1399), and takes only one
// statement where one is expected. This check comes first for three reasons: its message
// says what to do instead; some statements would change the session, which other branches
// use afterwards; and it has to be known which statements only read.
#ifndef PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_
#define PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::participant::mariadb {

struct StatementKind {
  // The branch then counts as one that has written.
  bool writes = false;
  // A function that it calls may write, so the session is asked.
  bool may_write = false;
  // It may leave something in the session, which is reset afterwards.
  bool taints = false;
  // It is a CALL, which returns any number of results.
  bool many_results = false;
};

// INVALID_ARGUMENT: it is refused; the text says why, and what to do instead.
[[nodiscard]] absl::StatusOr<StatementKind> CheckStatement(std::string_view sql);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_
