// What the core wants done, and what it tells about itself. The node carries it out
// (core.h says in which order).
#ifndef COORDINATOR_TXN_OUTPUT_H_
#define COORDINATOR_TXN_OUTPUT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/request.h"

namespace concordat::txn {

// What the core asks of a resource manager.
enum class Verb : uint8_t { kPrepare = 1, kCommit = 2, kRollback = 3 };
[[nodiscard]] std::string_view ToString(Verb verb);

// To the resource manager that branch.resource names.
struct Message {
  Verb verb = Verb::kPrepare;
  BranchId branch;
};

enum class EventKind : uint8_t {
  kLeading,            // leader, waiting for the entry of its own term (term)
  kReady,              // that is applied: it serves from here
  kSteppedDown,        // no leader any more
  kCommitAsked,        // first commit request; detail: branches, mode, time-out
  kAttached,           // a repeated request waits for what is under way
  kStaged,             // STAGED applied
  kInherited,          // in flight again, at this leader
  kEnlisted,           // ENLISTED applied (branch)
  kPrepareSent,        // (branch, attempt)
  kVoted,              // (branch, vote)
  kAnsweredEarly,      // mode parallel: COMMITTED told before DECIDED is log-committed
  kDeciding,           // DECIDED appended (outcome, cause)
  kDecided,            // DECIDED applied (outcome, cause): this is the outcome
  kDecisionSent,       // COMMIT or ROLLBACK sent (branch, outcome, attempt)
  kAcknowledged,       // (branch)
  kEnded,              // ENDED applied
  kTimeoutSuppressed,  // deadline passed, and the transaction must not time out
  kHeuristic,          // (branch, detail)
  kRefusedRequest,     // forged, too late or malformed; detail
  kIgnoredRecord,      // a record changed nothing; detail
  kWatermark,          // outcomes up to gtid are forgotten
};
[[nodiscard]] std::string_view ToString(EventKind kind);

// One transition. Fields that do not apply are empty.
struct Event {
  Timestamp time;
  EventKind kind = EventKind::kLeading;
  Gtid gtid;
  BranchId branch;
  uint64_t number = 0;  // attempt, or term for kLeading and kReady
  Vote vote = Vote::kUnavailable;
  Outcome outcome = Outcome::kAborted;
  AbortCause cause = AbortCause::kNone;
  std::string detail;
};
// One line: "decided 1.7.2a aborted refused: ...".
[[nodiscard]] std::string Describe(const Event& event);

struct Output {
  std::vector<std::string> proposals;  // encoded records, to be appended in this order
  std::vector<Message> messages;
  std::vector<Answer> answers;
  // Requests, by their tokens' numbers, that are answered from the table alone, and wait
  // until it is known to show everything that was log-committed before they came.
  std::vector<group::ReadToken> reads;
  std::vector<Event> events;

  [[nodiscard]] bool empty() const {
    return proposals.empty() && messages.empty() && answers.empty() && reads.empty() &&
           events.empty();
  }
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_OUTPUT_H_
