#include "coordinator/txn/types.h"

namespace concordat::txn {

std::string_view ToString(Mode mode) {
  switch (mode) {
    case Mode::kDecided:
      return "decided";
    case Mode::kParallel:
      return "parallel";
  }
  return "?";
}

std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kCommitted:
      return "committed";
    case Outcome::kAborted:
      return "aborted";
  }
  return "?";
}

std::string_view ToString(AbortCause cause) {
  switch (cause) {
    case AbortCause::kNone:
      return "none";
    case AbortCause::kRefused:
      return "refused";
    case AbortCause::kTimeout:
      return "timeout";
    case AbortCause::kClientRollback:
      return "client-rollback";
    case AbortCause::kInquiry:
      return "inquiry";
    case AbortCause::kCancelled:
      return "cancelled";
    case AbortCause::kOperator:
      return "operator";
    case AbortCause::kCommittedAlone:
      return "committed-alone";
    case AbortCause::kConflict:
      return "conflict";
    case AbortCause::kLost:
      return "lost";
  }
  return "?";
}

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
      return "committed-alone";
    case Vote::kConflict:
      return "conflict";
    case Vote::kLost:
      return "lost";
  }
  return "?";
}

std::string_view ToString(AckResult result) {
  switch (result) {
    case AckResult::kDone:
      return "done";
    case AckResult::kUnavailable:
      return "unavailable";
    case AckResult::kHeuristicCommit:
      return "heuristic-commit";
    case AckResult::kHeuristicRollback:
      return "heuristic-rollback";
    case AckResult::kHeuristicMixed:
      return "heuristic-mixed";
    case AckResult::kHeuristicHazard:
      return "heuristic-hazard";
  }
  return "?";
}

std::string_view ToString(Heuristic what) {
  switch (what) {
    case Heuristic::kCommit:
      return "commit";
    case Heuristic::kRollback:
      return "rollback";
    case Heuristic::kMixed:
      return "mixed";
    case Heuristic::kHazard:
      return "hazard";
    case Heuristic::kCommittedAlone:
      return "committed-alone";
    case Heuristic::kForgotten:
      return "forgotten";
  }
  return "?";
}

std::string_view ToString(Verb verb) {
  switch (verb) {
    case Verb::kPrepare:
      return "prepare";
    case Verb::kCommit:
      return "commit";
    case Verb::kRollback:
      return "rollback";
  }
  return "?";
}

}  // namespace concordat::txn
