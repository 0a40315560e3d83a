// The words of the commit protocol, for coordinators, participants and clients alike:
// what is asked for, what is answered, and what became of a transaction.
// docs/protocol.md says what they mean together. The same words are used everywhere:
// Vote::kReadOnly here is READ_ONLY in thrift/*.thrift, and "read-only" (ToString) in
// logs, tables and messages.
//
// Their numbers are those of thrift/*.thrift, and part of the formats of records and
// snapshots: never change one, only add. PURE.
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

// A global transaction's end. Every branch has the same one, but for heuristics.
enum class Outcome : uint8_t {
  // It may be either, and may still be decided. Only clients are told this; it is never
  // decided, recorded or sent.
  kUnknown = 0,
  kCommitted = 1,  // all of it; durable
  kAborted = 2,    // none of it, now or ever
};

// Why a transaction aborted.
enum class AbortCause : uint8_t {
  kNone = 0,            // it did not
  kRefused = 1,         // a branch voted REFUSED: it would again
  kTimedOut = 2,        // not every branch had voted by the deadline
  kRolledBack = 3,      // the client asked for it
  kPresumed = 4,        // a branch asked, and nobody had asked to commit (presumed abort)
  kOperator = 5,        // an operator forced it
  kCommittedAlone = 6,  // a branch had been committed in one phase, alone
  kConflict = 7,        // a branch lost against another transaction, at work or voting
  kLost = 8,            // a branch was not there any more: it may go well another time
};
inline constexpr AbortCause kLastAbortCause = AbortCause::kLost;

// The answer to PREPARE (X/Open XA, xa_prepare: XA_OK, XA_RDONLY, XA_RB*).
enum class Vote : uint8_t {
  kPrepared = 1,  // durable; will commit or roll back as it is told
  kReadOnly = 2,  // wrote nothing; locks released, the branch is over: no COMMIT needed
  kRefused = 3,   // rolled back, for a reason that lasts: it would be refused again
  kUnavailable = 4,     // cannot tell now (recovering, no connection): no vote at all
  kCommittedAlone = 5,  // had been committed in one phase before
  // Rolled back, and another run may go well:
  kConflict = 6,  // lost against another transaction: a lock, a deadlock (XA_RBDEADLOCK),
                  // a serialization failure (XA_RBTRANSIENT)
  kLost = 7,      // is not there: idle, rolled back, or of an earlier incarnation
                  // (XAER_NOTA)
};

// The answer to COMMIT and ROLLBACK of a prepared branch (xa_commit, xa_rollback).
enum class FinishState : uint8_t {
  kDone = 1,   // durable; also for a branch that is not there
  kRetry = 2,  // not now; nothing is known to have changed: ask again
  // It had ended without the coordinator:
  kHeuristicCommit = 3,    // XA_HEURCOM
  kHeuristicRollback = 4,  // XA_HEURRB
  kHeuristicMixed = 5,     // XA_HEURMIX
  kHeuristicHazard = 6,    // XA_HEURHAZ: nobody can tell how
};

// What is on record about a branch that ended against, or without, the decision.
enum class Heuristic : uint8_t {
  kCommit = 1,
  kRollback = 2,
  kMixed = 3,
  kHazard = 4,          // cannot be known
  kCommittedAlone = 5,  // committed in one phase, then named in a larger transaction
  kForgotten = 6,       // an operator has dealt with it: drop the entry
};

// What a branch in doubt is told when its participant asks.
enum class InquiryAnswer : uint8_t {
  kCommit = 1,
  kRollback = 2,
  kWait = 3,  // not decided yet: hold the branch, and ask again later
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
