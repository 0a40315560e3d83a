// What reaches the transaction machine from outside the log: requests of clients,
// services and resource managers, and what resource managers answer to its messages
// (output.h). One type from the socket to the machine.
#ifndef COORDINATOR_TXN_INPUT_H_
#define COORDINATOR_TXN_INPUT_H_

#include <string>
#include <variant>

#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/request.h"

namespace concordat::txn {

// Each token gets one Answer, now or in a later output.
struct SubmittedRequest {
  RequestToken token{};
  Request request{};
};

// The answer to PREPARE. A PREPARE that cannot be delivered (no address, no connection)
// or whose answer is lost comes back as Vote::kUnavailable. One that nobody asked for
// changes nothing.
struct ReceivedVote {
  BranchId branch{};
  Vote vote = Vote::kUnavailable;
  std::string detail{};
};

// The same for COMMIT and ROLLBACK.
struct ReceivedAck {
  BranchId branch{};
  FinishState result = FinishState::kRetry;
  std::string detail{};
};

using Input = std::variant<SubmittedRequest, ReceivedVote, ReceivedAck>;

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_INPUT_H_
