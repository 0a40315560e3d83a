// The identifiers that every layer shares. Each is a type of its own, so that a
// term cannot be handed in where a log index is wanted.
#ifndef COORDINATOR_BASE_IDS_H_
#define COORDINATOR_BASE_IDS_H_

#include <cstdint>

#include "coordinator/base/strong_id.h"

namespace concordat {

// A cluster of coordinator nodes. Chosen at random when the cluster is created;
// part of every XID, so that two clusters sharing a database never touch each
// other's branches.
using ClusterId = StrongId<struct ClusterIdTag, uint64_t>;

// A coordinator node, unique in its cluster. 0 is no node.
using NodeId = StrongId<struct NodeIdTag, uint64_t>;

// A Raft group. A global transaction belongs to exactly one. 0 is no group.
using GroupId = StrongId<struct GroupIdTag, uint32_t>;

// Raft: section 5.1 (terms) and 5.3 (log indexes) of the paper. 0 is "before any".
using Term = StrongId<struct TermTag, uint64_t>;
using LogIndex = StrongId<struct LogIndexTag, uint64_t>;

// One incarnation of a participant's resource: drawn anew at every start of the process
// that serves it, and never used twice. Part of every branch id.
using Incarnation = StrongId<struct IncarnationTag, uint64_t>;

}  // namespace concordat

#endif  // COORDINATOR_BASE_IDS_H_
