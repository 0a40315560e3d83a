#include "coordinator/client/outcome.h"

#include "absl/strings/ascii.h"

namespace concordat::client {

std::ostream& operator<<(std::ostream& out, const CommitResult& result) {
  out << absl::AsciiStrToUpper(std::string(ToString(result.outcome)));
  if (result.outcome == Outcome::kAborted) out << "(" << ToString(result.cause) << ")";
  out << " " << result.gtid;
  if (!result.detail.empty()) out << ": " << result.detail;
  return out;
}

}  // namespace concordat::client
