// Requests about the members of the cluster, and their answers, as the service hands them
// to a node. What a change is, and when it is refused, is raft's (member_change.h,
// Raft::ChangeMembers).
#ifndef COORDINATOR_RPC_MEMBER_REQUESTS_H_
#define COORDINATOR_RPC_MEMBER_REQUESTS_H_

#include <map>
#include <optional>

#include "absl/status/status.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/member_change.h"
#include "coordinator/raft/raft.h"

namespace concordat::rpc {

struct MemberRequest {
  // None: leadership goes to `transfer_to`, or to the best follower when that is 0.
  std::optional<raft::MemberChange> change;
  NodeId transfer_to;
  bool force = false;    // also when afterwards no majority is sure to answer
  bool dry_run = false;  // only say what would happen
};

struct MemberReply {
  // How it ended. UNKNOWN: begun, and it may or may not come about: list the members.
  // After any other error nothing was changed: see Raft::ChangeMembers.
  absl::Status status;
  std::optional<raft::PlannedChange> plan;  // of a change that was made, or would be
  LogIndex index;                           // the entry that holds it; 0: none yet
};

// The members as a node knows them.
struct MembersView {
  raft::Configuration members;
  LogIndex index;          // the entry that holds them; 0: they are what it started with
  bool committed = false;  // so that no failure takes it back
  // What the leader knows of each other member; empty at other nodes.
  struct Peer {
    bool live = false;       // heard of lately, and has lost nothing
    bool caught_up = false;  // a learner could be promoted
    LogIndex match;          // up to here it has the log
  };
  std::map<NodeId, Peer> peers;
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_MEMBER_REQUESTS_H_
