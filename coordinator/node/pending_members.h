// Requests about the members that a node has begun and not answered yet: a change is
// answered when its entry is committed, a transfer of leadership when it is over.
//
// For the node's loop.
#ifndef COORDINATOR_NODE_PENDING_MEMBERS_H_
#define COORDINATOR_NODE_PENDING_MEMBERS_H_

#include <vector>

#include "absl/functional/any_invocable.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/replica.h"
#include "coordinator/rpc/member_requests.h"

namespace concordat::node {

class PendingMembers {
 public:
  using Done = absl::AnyInvocable<void(rpc::MemberReply)>;
  // Runs `done` with the reply, later.
  using Answer = absl::AnyInvocable<void(Done, rpc::MemberReply)>;

  explicit PendingMembers(Answer answer) : answer_(std::move(answer)) {}

  // Begins it, or answers with why not.
  void Submit(group::Replica* replica, const rpc::MemberRequest& request, Done done);
  // After each round of the replica: answers what is over.
  void Finish(const raft::Raft& raft);
  // The node ends: all are answered that it is not known how they end.
  void GiveUp();

 private:
  struct Pending {
    rpc::MemberReply reply;
    Term term;  // in which it was begun
    bool transfer = false;
    Done done;
  };
  void Change(group::Replica* replica, const rpc::MemberRequest& request, Done done);
  // True when it is over, and why.
  static bool IsOver(const raft::Raft& raft, const Pending& pending, absl::Status* how);

  Answer answer_;
  std::vector<Pending> pending_;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_PENDING_MEMBERS_H_
