// The words of the commit protocol as types, shared by the replicated records, the
// transaction table and the core. docs/protocol.md says what they mean together.
//
// Their numbers are part of the record format: never change one, only add.
#ifndef COORDINATOR_TXN_TYPES_H_
#define COORDINATOR_TXN_TYPES_H_

#include <cstdint>
#include <string_view>

namespace concordat::txn {

// When the client may be told COMMITTED. Fixed for a transaction by its STAGED record.
enum class Mode : uint8_t {
  kDecided = 0,   // when DECIDED(commit) is log-committed
  kParallel = 1,  // when STAGED is log-committed and every vote is PREPARED
};

enum class Outcome : uint8_t { kCommitted = 1, kAborted = 2 };

// Why a transaction aborted.
enum class AbortCause : uint8_t {
  kNone = 0,            // it did not
  kRefused = 1,         // a branch voted REFUSED: it would again
  kTimeout = 2,         // not every branch had voted by the deadline
  kClientRollback = 3,  // the client asked for it
  kInquiry = 4,         // a branch asked, and nothing was known of the transaction
  kCancelled = 5,  // cancelled on the client's behalf (it hung up, a service gave up)
  kOperator = 6,   // a person forced it
  kCommittedAlone = 7,  // a branch had been committed in one phase, alone
  kConflict = 8,        // a branch voted CONFLICT: it lost against another transaction
  kLost = 9,            // a branch voted LOST: it was not there any more
};
inline constexpr AbortCause kLastAbortCause = AbortCause::kLost;

// What a resource manager answers to PREPARE.
enum class Vote : uint8_t {
  kPrepared = 1,        // on disk; it will commit if told to
  kReadOnly = 2,        // wrote nothing; the branch is over, it needs no COMMIT
  kRefused = 3,         // cannot, and could not another time
  kUnavailable = 4,     // cannot tell now (recovering, no connection): no vote at all
  kCommittedAlone = 5,  // was committed in one phase before
  // As kRefused, but another run may go well:
  kConflict = 6,  // lost against another transaction
  kLost = 7,      // is not there
};

// What a resource manager answers to COMMIT and ROLLBACK.
enum class AckResult : uint8_t {
  kDone = 1,         // durable; also for a branch that is not there
  kUnavailable = 2,  // cannot now; ask again
  // It was settled without the coordinator (X/Open XA: XA_HEURCOM and its kind).
  kHeuristicCommit = 3,
  kHeuristicRollback = 4,
  kHeuristicMixed = 5,
  kHeuristicHazard = 6,
};

// What is on record about a branch that was settled against, or without, the decision.
enum class Heuristic : uint8_t {
  kCommit = 1,
  kRollback = 2,
  kMixed = 3,
  kHazard = 4,          // cannot be known
  kCommittedAlone = 5,  // committed in one phase, then named in a larger transaction
  kForgotten = 6,       // a person has dealt with it: drop the entry
};

// What the core asks of a resource manager.
enum class Verb : uint8_t { kPrepare = 1, kCommit = 2, kRollback = 3 };

[[nodiscard]] std::string_view ToString(Mode mode);
[[nodiscard]] std::string_view ToString(Outcome outcome);
[[nodiscard]] std::string_view ToString(AbortCause cause);
[[nodiscard]] std::string_view ToString(Vote vote);
[[nodiscard]] std::string_view ToString(AckResult result);
[[nodiscard]] std::string_view ToString(Heuristic what);
[[nodiscard]] std::string_view ToString(Verb verb);

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_TYPES_H_
