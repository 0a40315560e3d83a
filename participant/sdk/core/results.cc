#include "participant/sdk/core/results.h"

namespace concordat::participant {

std::string_view ToString(Vote vote) {
  switch (vote) {
    case Vote::kPrepared:
      return "prepared";
    case Vote::kReadOnly:
      return "read-only";
    case Vote::kRefused:
      return "refused";
    case Vote::kUnavailable:
      return "unavailable";
    case Vote::kCommittedAlone:
      return "committed alone";
    case Vote::kConflict:
      return "conflict";
    case Vote::kLost:
      return "lost";
  }
  return "?";
}

std::string_view ToString(Finish finish) {
  switch (finish) {
    case Finish::kDone:
      return "done";
    case Finish::kRetry:
      return "retry";
    case Finish::kHeuristicCommit:
      return "heuristic commit";
    case Finish::kHeuristicRollback:
      return "heuristic rollback";
    case Finish::kHeuristicMixed:
      return "heuristic mixed";
    case Finish::kHeuristicHazard:
      return "heuristic hazard";
  }
  return "?";
}

std::string_view ToString(OnePhase outcome) {
  switch (outcome) {
    case OnePhase::kCommitted:
      return "committed";
    case OnePhase::kReadOnly:
      return "read-only";
    case OnePhase::kRolledBack:
      return "rolled back";
    case OnePhase::kUnknown:
      return "unknown";
    case OnePhase::kConflict:
      return "rolled back after a conflict";
    case OnePhase::kLost:
      return "lost";
  }
  return "?";
}

std::string_view ToString(Evidence evidence) {
  switch (evidence) {
    case Evidence::kNone:
      return "none";
    case Evidence::kCommitted:
      return "committed";
    case Evidence::kCommittedAlone:
      return "committed alone";
    case Evidence::kPrepared:
      return "prepared";
    case Evidence::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace concordat::participant
