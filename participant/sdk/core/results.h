// The answers of a resource manager, without the types of the wire. They are shared by
// the interface (resource_manager.h) and the state machine of branches (branch_table.h).
#ifndef PARTICIPANT_SDK_CORE_RESULTS_H_
#define PARTICIPANT_SDK_CORE_RESULTS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/base/outcomes.h"

namespace concordat::participant {

// What a call has made of its branch.
enum class AfterExecute : uint8_t {
  kActive,    // it is still active
  kOver,      // the resource manager has rolled it back (CONFLICT, …)
  kPrepared,  // as Vote::kPrepared
};

// The answer to Prepare.
struct PrepareResult {
  Vote vote = Vote::kUnavailable;
  std::string detail;  // why; for operators
};

// The answer to Commit and Rollback of a prepared branch.
struct FinishResult {
  FinishState state = FinishState::kRetry;
  std::string detail;
};

// The answer to CommitOnePhase (xa_commit with TMONEPHASE).
enum class OnePhase : uint8_t {
  kCommitted,  // durable, with evidence
  kReadOnly,   // committed, but nothing had been written, so there is no evidence
  kRefused,    // rolled back, and would be refused again
  kUnknown,    // call LookUp later
  kConflict,   // rolled back, as Vote::kConflict
  kLost,       // rolled back, as Vote::kLost
};
struct OnePhaseResult {
  OnePhase outcome = OnePhase::kUnknown;
  std::string detail;
};

// What is durably known about a branch that is not active.
enum class Evidence : uint8_t {
  kNone,            // never committed, and never will be
  kCommitted,       // committed after a prepare
  kCommittedAlone,  // committed in one phase
  kPrepared,        // prepared
  kUnknown,         // not known now; ask again
};

[[nodiscard]] std::string_view ToString(OnePhase outcome);
[[nodiscard]] std::string_view ToString(Evidence evidence);

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_RESULTS_H_
