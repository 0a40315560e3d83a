// The identifiers that all layers share. Each is a type of its own, so that a term cannot
// be passed where a log index is expected.
#ifndef COORDINATOR_BASE_IDS_H_
#define COORDINATOR_BASE_IDS_H_

#include <cstdint>

#include "coordinator/base/strong_id.h"

namespace concordat {

// A cluster of coordinator nodes: a random number that is chosen when the cluster is
// created. It is part of every XID, so that two clusters that use the same database never
// touch each other's branches.
using ClusterId = StrongId<struct ClusterIdTag, uint64_t>;

// A coordinator node, unique in its cluster. 0 is no node.
using NodeId = StrongId<struct NodeIdTag, uint64_t>;

// A Raft group. A global transaction belongs to exactly one. 0 is no group.
using GroupId = StrongId<struct GroupIdTag, uint32_t>;

// A write-ahead log: a random number that is drawn when it is created. A copy of a log
// has the same; one that begins anew has another. 0 is none.
using LogId = StrongId<struct LogIdTag, uint64_t>;

// A Raft term and the index of a log entry (paper, sections 5.1 and 5.3). 0 is before the
// first.
using Term = StrongId<struct TermTag, uint64_t>;
using LogIndex = StrongId<struct LogIndexTag, uint64_t>;

// One run of a participant's resource: a new number for every start of the process that
// serves it, never used twice. It is part of every branch id.
using Incarnation = StrongId<struct IncarnationTag, uint64_t>;

}  // namespace concordat

#endif  // COORDINATOR_BASE_IDS_H_
