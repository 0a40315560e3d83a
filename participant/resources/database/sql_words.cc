#include "participant/resources/database/sql_words.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "absl/strings/str_cat.h"

namespace concordat::participant::database {

bool IsOneOf(std::string_view word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool Mentions(std::string_view sql, std::string_view word) {
  const auto found =
      std::search(sql.begin(), sql.end(), word.begin(), word.end(),
                  [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
  return found != sql.end();
}

absl::Status RefusedInBranch(std::string_view first, std::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(std::string(first.empty() ? "the statement" : first),
                   " is refused in a branch: ", std::string(why)));
}

}  // namespace concordat::participant::database
