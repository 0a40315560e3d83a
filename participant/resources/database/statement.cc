#include "participant/resources/database/statement.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace concordat::participant::database {

size_t BatchResult::FirstFailed() const {
  size_t i = 0;
  while (i < results.size() && results[i].ok()) ++i;
  return i;
}

const StatementResult* BatchResult::Failure() const {
  const size_t failed = FirstFailed();
  return lost || failed == results.size() ? nullptr : &results[failed];
}

std::string BatchResult::Error() const {
  if (not_sent) return why_lost;
  if (lost) return absl::StrCat("the connection was lost: ", why_lost);
  const StatementResult* failure = Failure();
  return failure == nullptr ? "" : failure->error;
}

bool BatchResult::WroteForGood() const {
  return std::any_of(results.begin(), results.end(),
                     [](const StatementResult& r) { return r.wrote_for_good; });
}

}  // namespace concordat::participant::database
