// What requests to any state machine of a group have in common.
#ifndef COORDINATOR_GROUP_REQUEST_H_
#define COORDINATOR_GROUP_REQUEST_H_

#include <cstdint>

#include "coordinator/base/strong_id.h"

namespace concordat::group {

// Names a request until it is answered, once. Of the caller's choice; must not be in use.
// 0 is none.
using RequestToken = StrongId<struct RequestTokenTag, uint64_t>;

// This node does not lead, and has begun nothing for this request. Nothing is known; ask
// another node, with the same request.
struct NotLeaderReply {};

// This node leads but cannot answer yet, and has begun nothing for this request. Ask
// again here, soon.
struct NotReadyReply {};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_REQUEST_H_
