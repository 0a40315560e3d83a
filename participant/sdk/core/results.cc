#include "participant/sdk/core/results.h"

namespace concordat::participant {

std::string_view ToString(OnePhase outcome) {
  switch (outcome) {
    case OnePhase::kCommitted:
      return "committed";
    case OnePhase::kReadOnly:
      return "read-only";
    case OnePhase::kRefused:
      return "refused";
    case OnePhase::kUnknown:
      return "unknown";
    case OnePhase::kConflict:
      return "conflict";
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
      return "committed-alone";
    case Evidence::kPrepared:
      return "prepared";
    case Evidence::kUnknown:
      return "unknown";
  }
  return "?";
}

}  // namespace concordat::participant
