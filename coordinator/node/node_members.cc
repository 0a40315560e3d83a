// The members of the cluster as a node follows them: where they are reached, and what
// operators ask about them.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/node/node.h"

namespace concordat::node {

namespace {

std::string Text(const raft::Configuration& members) {
  std::string text;
  for (const raft::Member& member : members.members()) {
    absl::StrAppend(&text, text.empty() ? "" : " ", member.node.value(),
                    member.role == raft::MemberRole::kVoter ? "" : "(learner)");
  }
  return text;
}

}  // namespace

void Node::OnMembers(const raft::Configuration& members) {
  addresses_.SetMembers(members);
  FollowAddresses();
  LogEvent(Level::kInfo, "members")
      .Field("node", options_.self.value())
      .Field("index", replica_->raft().configuration_index().value())
      .Field("members", Text(members))
      .Field("by", members.last_change());
}

void Node::FollowAddresses() { peers_->SetPeers(addresses_.peers()); }

// What members say of themselves is true, or they would not be heard. It is entered so
// that also those find them who do not hear them, and clients.
void Node::EnterMovedMembers() {
  if (!machines_.transactions().is_ready()) return;
  for (const raft::MemberChange& change : addresses_.Moved()) {
    // Refused while the change before is not committed: once more in a second.
    (void)replica_->ChangeMembers(change, /*force=*/true);
  }
  Schedule();
}

void Node::Submit(const rpc::MemberRequest& request, MemberDone done) {
  replica_->Tick(loop_->Now());
  if (request.change.has_value() && !request.dry_run) {
    LogEvent(Level::kInfo, "change of the members requested")
        .Field("node", options_.self.value())
        .Field("change", raft::MemberChangeName(request.change->kind))
        .Field("member", request.change->node.value())
        .Field("forced", request.force)
        .Field("by", request.change->record);
  }
  pending_members_.Submit(replica_.get(), request, std::move(done));
  Schedule();
}

rpc::MembersView Node::Members() const {
  const raft::Raft& raft = replica_->raft();
  rpc::MembersView view;
  view.members = raft.configuration();
  view.index = raft.configuration_index();
  view.committed = !view.index.is_none() && view.index <= raft.commit_index();
  for (const auto& [node, progress] : raft.progress()) {
    view.peers[node] = {raft.IsLive(node), raft.HasCaughtUp(node), progress.match};
  }
  return view;
}

}  // namespace concordat::node
