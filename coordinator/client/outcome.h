// What a client is told of a transaction's end. There is no error beside the three
// outcomes: an unknown one is never folded into a failure.
#ifndef COORDINATOR_CLIENT_OUTCOME_H_
#define COORDINATOR_CLIENT_OUTCOME_H_

#include <optional>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"

namespace concordat::client {

struct CommitResult {
  // With kUnknown: Client::Ask(result).
  Outcome outcome = Outcome::kUnknown;
  AbortCause cause = AbortCause::kNone;
  Gtid gtid;           // what to ask about
  std::string detail;  // in words: why; and with kUnknown what to ask, and where
  // With kUnknown after a commit in one phase: the branch, whose resource alone knows.
  std::optional<BranchId> one_phase_branch{};
  // Why Client::Run rolled back: what its function returned. FAILED_PRECONDITION of a
  // call that came in the wrong order (a second Commit): the outcome is then what is
  // known, and the call has changed nothing.
  absl::Status work{};

  [[nodiscard]] bool committed() const { return outcome == Outcome::kCommitted; }
};

// "COMMITTED 1.7.2a", "ABORTED(refused) 1.7.2a: …", "UNKNOWN 1.7.2a: …"
std::ostream& operator<<(std::ostream& out, const CommitResult& result);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_OUTCOME_H_
