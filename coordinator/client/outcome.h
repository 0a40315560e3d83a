// What a client is told of a transaction's end. There is no error beside these three:
// an unknown outcome is never folded into a failure.
#ifndef COORDINATOR_CLIENT_OUTCOME_H_
#define COORDINATOR_CLIENT_OUTCOME_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "coordinator/base/xid.h"

namespace concordat::client {

enum class Outcome : uint8_t {
  kCommitted,  // all of it; durable
  kAborted,    // none of it, now or ever
  kUnknown,    // it may be either, and may still be decided; ask Client::Ask(result)
};

enum class AbortCause : uint8_t {
  kNone,            // not aborted
  kRefused,         // a resource manager voted no, and would again
  kTimedOut,        // not all votes came in time
  kRolledBack,      // the client asked for it
  kPresumed,        // a branch asked, and nobody had asked to commit
  kOperator,        // a person decided it
  kCommittedAlone,  // one branch had been committed in one phase
  kConflict,        // lost against another transaction, at work or at the vote
  kLost,            // a resource was away or has lost its branch: may go well later
};

struct CommitResult {
  Outcome outcome = Outcome::kUnknown;
  AbortCause cause = AbortCause::kNone;
  Gtid gtid;           // what to ask about
  std::string detail;  // for people: why; and with kUnknown what to ask, and where
  // With kUnknown after a commit in one phase: the branch, whose resource alone knows.
  std::optional<BranchId> one_phase_branch{};
  // Why Client::Run rolled back: what its function returned. FAILED_PRECONDITION of a
  // call that came in the wrong order (a second Commit): the outcome is then what is
  // known, and the call has changed nothing.
  absl::Status work{};

  [[nodiscard]] bool committed() const { return outcome == Outcome::kCommitted; }
};

[[nodiscard]] const char* ToString(Outcome outcome);
[[nodiscard]] const char* ToString(AbortCause cause);
// "COMMITTED 1.7.2a", "ABORTED(refused) 1.7.2a: …", "UNKNOWN 1.7.2a: …"
std::ostream& operator<<(std::ostream& out, const CommitResult& result);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_OUTCOME_H_
