#include "coordinator/client/outcome.h"

namespace concordat::client {

const char* ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "COMMITTED";
    case Outcome::kAborted:
      return "ABORTED";
    case Outcome::kUnknown:
      break;
  }
  return "UNKNOWN";
}

const char* ToString(AbortCause cause) {
  switch (cause) {
    case AbortCause::kNone:
      return "none";
    case AbortCause::kRefused:
      return "refused";
    case AbortCause::kTimedOut:
      return "timed out";
    case AbortCause::kRolledBack:
      return "rolled back";
    case AbortCause::kPresumed:
      return "presumed";
    case AbortCause::kOperator:
      return "operator";
    case AbortCause::kCommittedAlone:
      return "committed alone";
    case AbortCause::kConflict:
      return "conflict";
    case AbortCause::kLost:
      return "lost";
  }
  return "none";
}

std::ostream& operator<<(std::ostream& out, const CommitResult& result) {
  out << ToString(result.outcome);
  if (result.outcome == Outcome::kAborted) out << "(" << ToString(result.cause) << ")";
  out << " " << result.gtid;
  if (!result.detail.empty()) out << ": " << result.detail;
  return out;
}

}  // namespace concordat::client
