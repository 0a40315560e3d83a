// What a resource manager answers, without the wire's types: shared by the interface
// (resource_manager.h) and by the state machine of branches (branch_table.h).
#ifndef PARTICIPANT_SDK_CORE_RESULTS_H_
#define PARTICIPANT_SDK_CORE_RESULTS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace concordat::participant {

// What became of the branch with the work of a call.
enum class AfterExecute : uint8_t {
  kActive,    // it lives on
  kOver,      // the resource manager has rolled it back (CONFLICT, …)
  kPrepared,  // as Vote::kPrepared
};

// The answer to Prepare (xa_prepare: XA_OK, XA_RDONLY, XA_RB*).
enum class Vote : uint8_t {
  kPrepared,        // durable; will commit or roll back as told
  kReadOnly,        // nothing was written; locks released, the branch is over
  kRefused,         // rolled back, for a reason that lasts: it would be refused again
  kUnavailable,     // cannot tell now; ask again
  kCommittedAlone,  // given by the participant, never by a resource manager
  // Rolled back, and another run may go well:
  kConflict,  // lost against another transaction: a lock, a deadlock (XA_RBDEADLOCK), a
              // serialization failure (XA_RBTRANSIENT)
  kLost,      // it is not there: idle, rolled back, or of an earlier life (XAER_NOTA)
};
struct PrepareResult {
  Vote vote = Vote::kUnavailable;
  std::string detail;  // why, for people
};

// The answer to Commit and Rollback of a prepared branch (xa_commit, xa_rollback).
enum class Finish : uint8_t {
  kDone,               // durable
  kRetry,              // not now; nothing is known to have changed
  kHeuristicCommit,    // XA_HEURCOM: had been committed by somebody else
  kHeuristicRollback,  // XA_HEURRB
  kHeuristicMixed,     // XA_HEURMIX
  kHeuristicHazard,    // XA_HEURHAZ: may have been finished by somebody else
};
struct FinishResult {
  Finish finish = Finish::kRetry;
  std::string detail;
};

// The answer to CommitOnePhase (xa_commit with TMONEPHASE).
enum class OnePhase : uint8_t {
  kCommitted,   // durable, with evidence
  kReadOnly,    // committed, but nothing had been written, so there is no evidence
  kRolledBack,  // could not be committed, and could not another time; nothing is left
  kUnknown,     // ask LookUp later
  kConflict,    // rolled back, as Vote::kConflict
  kLost,        // rolled back, as Vote::kLost
};
struct OnePhaseResult {
  OnePhase outcome = OnePhase::kUnknown;
  std::string detail;
};

// What is durably known of a branch that is not there any more.
enum class Evidence : uint8_t {
  kNone,            // never committed (and, as the branch is not there, never will be)
  kCommitted,       // committed after a prepare
  kCommittedAlone,  // committed in one phase
  kPrepared,        // it is there, prepared
  kUnknown,         // cannot be told now; ask again
};

[[nodiscard]] std::string_view ToString(Vote vote);
[[nodiscard]] std::string_view ToString(Finish finish);
[[nodiscard]] std::string_view ToString(OnePhase outcome);
[[nodiscard]] std::string_view ToString(Evidence evidence);

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_RESULTS_H_
