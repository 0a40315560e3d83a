// What a client is told about the end of a transaction. There is no error besides these
// three outcomes: an unknown outcome is never reported as a failure.
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
  Gtid gtid;
  std::string detail;  // text: the reason; with kUnknown, also whom to ask
  // With kUnknown after a commit in one phase: the branch. Only its resource knows.
  std::optional<BranchId> one_phase_branch{};
  // The status for which Client::Run has rolled back, as its function returned it. For a
  // call in the wrong order (a second Commit) it is FAILED_PRECONDITION: the call has
  // changed nothing, and the outcome is what is known.
  absl::Status work{};

  [[nodiscard]] bool committed() const { return outcome == Outcome::kCommitted; }
};

// "COMMITTED 1.7.2a", "ABORTED(refused) 1.7.2a: …", "UNKNOWN 1.7.2a: …"
std::ostream& operator<<(std::ostream& out, const CommitResult& result);

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_OUTCOME_H_
