#include "participant/resources/database/dialect.h"

#include "absl/strings/str_cat.h"

namespace concordat::participant::database {

bool EndsBranch(wire::Code::type code) {
  return code == wire::Code::CONFLICT || code == wire::Code::RESOURCE_ERROR ||
         code == wire::Code::TIMED_OUT || code == wire::Code::BRANCH_GONE;
}

// A statement that was interrupted or ran for too long may succeed another time.
Vote RefusalOf(const Dialect& dialect, const BatchResult& r) {
  if (r.lost) return Vote::kLost;
  const StatementResult* failure = r.Failure();
  if (failure == nullptr) return Vote::kRefused;
  const wire::Code::type code = dialect.Classify(*failure);
  const bool again = code == wire::Code::CONFLICT || code == wire::Code::TIMED_OUT ||
                     dialect.IsInterruption(*failure);
  return again ? Vote::kConflict : Vote::kRefused;
}

std::string WhyNotEnded(const Dialect& dialect, const BatchResult& r) {
  const StatementResult* failure = r.Failure();
  return failure == nullptr ? r.Error()
                            : absl::StrCat(r.Error(), dialect.Advice(*failure));
}

}  // namespace concordat::participant::database
