// Leadership transfer (thesis, section 3.10): the leader accepts no more proposals, sends
// the rest of its log to the follower that has the most of it, and asks that follower to
// stand for election at once. The time is limited; a transfer that fails changes nothing.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

bool Raft::CanTakeOver(NodeId node, const Progress& progress) const {
  return configuration().IsVoter(node) && progress.state == ProgressState::kReplicate &&
         !progress.lost_tail() &&
         now_ - progress.last_heard <= config_.election_timeout_min;
}

absl::Status Raft::TransferLeadership(NodeId to) {
  if (!is_leader()) return absl::FailedPreconditionError("not the leader");
  if (transfer_.has_value()) return absl::OkStatus();
  NodeId best;
  LogIndex match;
  for (const auto& [node, progress] : progress_) {
    if (!CanTakeOver(node, progress) || (!to.is_none() && node != to)) continue;
    if (!best.is_none() && progress.match <= match) continue;
    best = node;
    match = progress.match;
  }
  if (best.is_none()) {
    return absl::FailedPreconditionError(
        to.is_none() ? "no follower can take over now"
                     : absl::StrCat("node ", to.value(),
                                    " cannot take over now: it must be a voter that "
                                    "answers and has nearly all of the log"));
  }
  ++counters_.transfers_begun;
  transfer_ = Transfer{best, now_ + config_.election_timeout_min};
  notices_.push_back({Notice::Kind::kTransferBegun, best, log_.last_index(), match});
  return absl::OkStatus();
}

bool Raft::WantsTimeoutNow() const {
  return transfer_.has_value() && !transfer_->sent &&
         progress_.at(transfer_->to).match == log_.last_index();
}

void Raft::SendTimeoutNow() {
  if (!WantsTimeoutNow()) return;
  transfer_->sent = true;
  Send(transfer_->to, TimeoutNow{});
}

// The follower is asked again with each heartbeat, because the message may be lost.
void Raft::TickTransfer() {
  if (!transfer_.has_value()) return;
  if (now_ >= heartbeat_deadline_) transfer_->sent = false;
  if (now_ < transfer_->deadline) return;
  ++counters_.transfers_failed;
  notices_.push_back({Notice::Kind::kTransferFailed, transfer_->to, log_.last_index(),
                      progress_.at(transfer_->to).match});
  transfer_.reset();
}

void Raft::Handle(NodeId from, const TimeoutNow&) {
  if (from != leader_ || role_ != Role::kFollower || !MayStand()) {
    ++counters_.stale_messages;
    return;
  }
  ++counters_.elections_by_transfer;
  StartElection(/*transfer=*/true);
}

}  // namespace concordat::raft
