// Functions with which the databases check a client's SQL.
#ifndef PARTICIPANT_RESOURCES_DATABASE_SQL_WORDS_H_
#define PARTICIPANT_RESOURCES_DATABASE_SQL_WORDS_H_

#include <initializer_list>
#include <string_view>

#include "absl/status/status.h"

namespace concordat::participant::database {

[[nodiscard]] bool IsOneOf(std::string_view word,
                           std::initializer_list<std::string_view> words);

// Whether the lower-case `word` occurs anywhere in the statement, in letters of any case.
// It is found also in a text or a comment, and as a part of a longer word.
[[nodiscard]] bool Mentions(std::string_view sql, std::string_view word);

// INVALID_ARGUMENT: the statement that begins with `first`, or with no word, may not run
// in a branch.
[[nodiscard]] absl::Status RefusedInBranch(std::string_view first, std::string_view why);

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_SQL_WORDS_H_
