// The terms of the commit protocol, for coordinators, participants and clients: requests,
// answers and outcomes. docs/protocol.md describes the protocol. The same words are used
// everywhere: Vote::kReadOnly here is READ_ONLY in thrift/*.thrift, and "read-only"
// (ToString) in logs, tables and messages.
//
// The numbers are those of thrift/*.thrift, and part of the formats of records and
// snapshots: numbers may be added, but never changed. PURE.
#ifndef COORDINATOR_BASE_OUTCOMES_H_
#define COORDINATOR_BASE_OUTCOMES_H_

#include <cstdint>
#include <string_view>

namespace concordat {

// When the client may be told COMMITTED. Fixed for a transaction by its STAGED record.
enum class CommitMode : uint8_t {
  kDecided = 1,   // when DECIDED(commit) is log-committed
  kParallel = 2,  // when STAGED is log-committed and every vote is PREPARED
};

// How a global transaction ends. All branches end in the same way, except for heuristics.
enum class Outcome : uint8_t {
  // Either outcome is possible, or it is not decided yet. Only for clients: it is never
  // recorded or sent.
  kUnknown = 0,
  kCommitted = 1,  // all of it; durable
  kAborted = 2,    // none of it, now or ever
};

// Why a transaction aborted.
enum class AbortCause : uint8_t {
  kNone = 0,            // it has not aborted
  kRefused = 1,         // a branch voted REFUSED, and would do so again
  kTimedOut = 2,        // not all branches had voted by the deadline
  kRolledBack = 3,      // the client requested the rollback
  kPresumed = 4,        // a branch inquired; no commit was requested (presumed abort)
  kOperator = 5,        // an operator forced it
  kCommittedAlone = 6,  // a branch had been committed in one phase before
  kConflict = 7,        // a branch lost against another transaction, at work or voting
  kLost = 8,            // a branch does not exist any more; may succeed another time
};
inline constexpr AbortCause kLastAbortCause = AbortCause::kLost;

// The answer to PREPARE (X/Open XA, xa_prepare: XA_OK, XA_RDONLY, XA_RB*).
enum class Vote : uint8_t {
  kPrepared = 1,  // durable; can commit and roll back
  kReadOnly = 2,  // wrote nothing; locks released, the branch is over: no COMMIT needed
  kRefused = 3,   // rolled back for a lasting reason: it would be refused again
  kUnavailable = 4,     // not known now (recovering, no connection): this is no vote
  kCommittedAlone = 5,  // had been committed in one phase before
  // Rolled back, but another attempt may succeed:
  kConflict = 6,  // lost against another transaction: a lock, a deadlock (XA_RBDEADLOCK),
                  // a serialization failure (XA_RBTRANSIENT)
  kLost = 7,      // does not exist: idle, rolled back, or of an earlier incarnation
                  // (XAER_NOTA)
};

// The answer to COMMIT and ROLLBACK of a prepared branch (xa_commit, xa_rollback).
enum class FinishState : uint8_t {
  kDone = 1,   // durable; also for a branch that does not exist
  kRetry = 2,  // not done, as far as is known; repeat the message
  // The branch had ended without the coordinator:
  kHeuristicCommit = 3,    // XA_HEURCOM
  kHeuristicRollback = 4,  // XA_HEURRB
  kHeuristicMixed = 5,     // XA_HEURMIX
  kHeuristicHazard = 6,    // XA_HEURHAZ: it cannot be found out how
};

// What is recorded about a branch that ended against, or without, the decision.
enum class Heuristic : uint8_t {
  kCommit = 1,
  kRollback = 2,
  kMixed = 3,
  kHazard = 4,          // cannot be known
  kCommittedAlone = 5,  // committed in one phase, then named in a larger transaction
  kForgotten = 6,       // an operator has dealt with it: drop the entry
};

// The answer to an inquiry about a branch in doubt.
enum class InquiryAnswer : uint8_t {
  kCommit = 1,
  kRollback = 2,
  kWait = 3,  // not decided yet: keep the branch prepared, and ask again later
};

[[nodiscard]] std::string_view ToString(CommitMode mode);
[[nodiscard]] std::string_view ToString(Outcome outcome);
[[nodiscard]] std::string_view ToString(AbortCause cause);
[[nodiscard]] std::string_view ToString(Vote vote);
[[nodiscard]] std::string_view ToString(FinishState state);
[[nodiscard]] std::string_view ToString(Heuristic what);
[[nodiscard]] std::string_view ToString(InquiryAnswer answer);

}  // namespace concordat

#endif  // COORDINATOR_BASE_OUTCOMES_H_
