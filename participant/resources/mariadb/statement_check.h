// What a statement of a user may not be, told by its first words. The server has the last
// word: in a branch it refuses what would commit it (1399), and it takes one statement
// where one is due. This check comes first because it says what to do instead, because
// some statements would change the session, which others use afterwards, and to know
// which statements only read.
#ifndef PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_
#define PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace concordat::participant::mariadb {

struct StatementKind {
  // The branch counts as one that has written.
  bool writes = false;
  // A function that it calls may write: the session is asked.
  bool may_write = false;
  // May leave something behind in the session: it is made as new afterwards.
  bool taints = false;
  // CALL: any number of results.
  bool many_results = false;
};

// INVALID_ARGUMENT: refused; the message says why and what to do instead.
[[nodiscard]] absl::StatusOr<StatementKind> CheckStatement(std::string_view sql);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_STATEMENT_CHECK_H_
