// Checks the form of a message before the core uses it. Peers are trusted to follow Raft
// but not to be free of bugs: a message that cannot come from a correct peer is dropped
// here, and does not reach a check that ends the process.
#ifndef COORDINATOR_RAFT_VALIDATION_H_
#define COORDINATOR_RAFT_VALIDATION_H_

#include "absl/status/status.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

// Returns INVALID_ARGUMENT or UNIMPLEMENTED as described at Raft::Step.
[[nodiscard]] absl::Status ValidateMessage(const Message& message, NodeId self,
                                           GroupId group,
                                           const Configuration& configuration);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_VALIDATION_H_
