#include "coordinator/base/outcomes.h"

namespace concordat {

std::string_view ToString(CommitMode mode) {
  switch (mode) {
    case CommitMode::kDecided:
      return "decided";
    case CommitMode::kParallel:
      return "parallel";
  }
  return "?";
}

std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUnknown:
      return "unknown";
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
    case AbortCause::kTimedOut:
      return "timed-out";
    case AbortCause::kRolledBack:
      return "rolled-back";
    case AbortCause::kPresumed:
      return "presumed";
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

std::string_view ToString(FinishState state) {
  switch (state) {
    case FinishState::kDone:
      return "done";
    case FinishState::kRetry:
      return "retry";
    case FinishState::kHeuristicCommit:
      return "heuristic-commit";
    case FinishState::kHeuristicRollback:
      return "heuristic-rollback";
    case FinishState::kHeuristicMixed:
      return "heuristic-mixed";
    case FinishState::kHeuristicHazard:
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

std::string_view ToString(InquiryAnswer answer) {
  switch (answer) {
    case InquiryAnswer::kCommit:
      return "commit";
    case InquiryAnswer::kRollback:
      return "rollback";
    case InquiryAnswer::kWait:
      return "wait";
  }
  return "?";
}

}  // namespace concordat
