#include "coordinator/node/pending_members.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::node {

namespace {

absl::Status NotKnown() {
  return absl::UnknownError(
      "this node does not lead any more; the change was begun and may or may not come "
      "about: list the members at the new leader, and repeat it if it is not there");
}

}  // namespace

void PendingMembers::Submit(group::Replica* replica, const rpc::MemberRequest& request,
                            Done done) {
  if (request.change.has_value()) return Change(replica, request, std::move(done));
  Pending pending{{}, replica->raft().term(), true, std::move(done)};
  // There is nothing to plan: it changes no quorum.
  if (!request.dry_run) pending.reply.status = replica->HandOver(request.transfer_to);
  if (request.dry_run || !pending.reply.status.ok()) {
    return answer_(std::move(pending.done), std::move(pending.reply));
  }
  pending_.push_back(std::move(pending));
}

void PendingMembers::Change(group::Replica* replica, const rpc::MemberRequest& request,
                            Done done) {
  Pending pending{{}, replica->raft().term(), false, std::move(done)};
  rpc::MemberReply& reply = pending.reply;
  auto plan = replica->raft().PlanChange(*request.change, request.force);
  reply.status = plan.status();
  if (plan.ok()) reply.plan = *std::move(plan);
  if (plan.ok() && !request.dry_run) {
    const auto index = replica->ChangeMembers(*request.change, request.force);
    reply.status = index.status();
    reply.index = index.value_or(LogIndex());
  }
  if (request.dry_run || !reply.status.ok()) {
    return answer_(std::move(pending.done), std::move(reply));
  }
  pending_.push_back(std::move(pending));
}

bool PendingMembers::IsOver(const raft::Raft& raft, const Pending& pending,
                            absl::Status* how) {
  const bool leads = raft.is_leader() && raft.term() == pending.term;
  if (pending.transfer) {
    if (leads && raft.is_transferring()) return false;
    if (leads) {
      *how = absl::UnavailableError(
          "leadership was not taken over in time; this node "
          "goes on leading");
    }
    return true;
  }
  const LogIndex index = pending.reply.index;
  // A leader never overwrites its own entries.
  if (raft.commit_index() >= index &&
      (leads || raft.log().TermAt(index) == pending.term)) {
    return true;
  }
  if (leads) return false;
  *how = NotKnown();
  return true;
}

void PendingMembers::Finish(const raft::Raft& raft) {
  std::vector<Pending> still;
  for (Pending& pending : std::exchange(pending_, {})) {
    absl::Status how;
    if (IsOver(raft, pending, &how)) {
      pending.reply.status = how;
      answer_(std::move(pending.done), std::move(pending.reply));
    } else {
      still.push_back(std::move(pending));
    }
  }
  pending_ = std::move(still);
}

void PendingMembers::GiveUp() {
  for (Pending& pending : std::exchange(pending_, {})) {
    pending.reply.status = NotKnown();
    pending.done(std::move(pending.reply));
  }
}

}  // namespace concordat::node
