// What a message must look like before the core looks at it. Peers are trusted to
// follow Raft, not to be free of bugs: what cannot come from a correct peer is dropped
// here, instead of failing a check deep inside.
#ifndef COORDINATOR_RAFT_VALIDATION_H_
#define COORDINATOR_RAFT_VALIDATION_H_

#include "absl/status/status.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

// INVALID_ARGUMENT or UNIMPLEMENTED, as Raft::Step says.
[[nodiscard]] absl::Status ValidateMessage(const Message& message, NodeId self,
                                           GroupId group,
                                           const Configuration& configuration);

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_VALIDATION_H_
