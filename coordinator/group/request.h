// What the requests to all state machines of a group have in common.
#ifndef COORDINATOR_GROUP_REQUEST_H_
#define COORDINATOR_GROUP_REQUEST_H_

#include <cstdint>

#include "coordinator/base/strong_id.h"

namespace concordat::group {

// Identifies a request until it is answered, which happens once. The caller chooses it;
// it must not be in use. 0 means none.
using RequestToken = StrongId<struct RequestTokenTag, uint64_t>;

// This node does not lead, and has begun nothing for this request. The caller knows no
// more than before, and asks another node with the same request.
struct NotLeaderReply {};

// This node leads but cannot answer yet, and has begun nothing for this request. The
// caller asks this node again, soon.
struct NotReadyReply {};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_REQUEST_H_
