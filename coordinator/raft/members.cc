// Changes of the members (thesis, chapter 4): one voter at a time, by an entry of the log
// that is in force at once, and only after an entry of the leader's own term is
// committed. (Without the last rule two leaders could each have a change under way that
// the other's does not know, and elect one another's opponents.)
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

namespace {

using Kind = MemberChange::Kind;

absl::Status HandOverFirst(NodeId self) {
  return absl::FailedPreconditionError(
      absl::StrCat("node ", self.value(),
                   " leads, and a leader does not give up its own vote: hand leadership "
                   "over first"));
}

}  // namespace

absl::Status Raft::CheckReadyForChange() const {
  if (!is_leader()) return absl::FailedPreconditionError("not the leader");
  if (transfer_.has_value()) {
    return absl::UnavailableError(
        absl::StrCat("leadership is being handed over to node ", transfer_->to.value()));
  }
  if (!CommittedInOwnTerm()) {
    return absl::UnavailableError("the leader is new and not ready yet; try again");
  }
  if (configuration_index() > commit_index_) {
    return absl::UnavailableError(absl::StrCat("the last change of the members, entry ",
                                               configuration_index().value(),
                                               ", is not committed yet"));
  }
  return absl::OkStatus();
}

bool Raft::IsLive(NodeId member) const {
  if (member == config_.self) return true;
  const Progress& progress = progress_.at(member);
  return progress.was_heard && !progress.lost_tail() &&
         now_ - progress.last_heard <= config_.election_timeout_max;
}

bool Raft::HasCaughtUp(NodeId member) const {
  const auto it = progress_.find(member);
  if (it == progress_.end()) return false;
  const Progress& progress = it->second;
  return IsLive(member) && progress.state == ProgressState::kReplicate &&
         progress.last_round.has_value() &&
         *progress.last_round <= config_.election_timeout_max;
}

absl::StatusOr<PlannedChange> Raft::PlanChange(const MemberChange& change,
                                               bool force) const {
  if (absl::Status s = CheckReadyForChange(); !s.ok()) return s;
  const Configuration& before = configuration();
  auto after = AfterChange(before, change);
  if (!after.ok()) return after.status();
  if (!after->IsVoter(config_.self)) return HandOverFirst(config_.self);
  const bool promotes = change.kind == Kind::kPromote;
  if (promotes && !config_.log.is_none() && before.Find(change.node)->log.is_none()) {
    return absl::UnavailableError(absl::StrCat(
        "node ", change.node.value(), " has not been heard of at its address yet"));
  }
  if (promotes && !force && !HasCaughtUp(change.node)) {
    const Progress& progress = progress_.at(change.node);
    return absl::AbortedError(absl::StrCat(
        "node ", change.node.value(), " has not caught up: it has entry ",
        progress.match.value(), " of ", log_.last_index().value(),
        progress.was_heard ? "" : ", and has not answered yet", "; try again later"));
  }
  PlannedChange plan{before, *std::move(after), {}};
  for (const NodeId voter : plan.after.voters()) {
    // Whether it can be reached at its new address is not known.
    const bool moves = change.kind == Kind::kSetAddress && voter == change.node &&
                       !change.peer_address.empty() && voter != config_.self;
    if (!moves && IsLive(voter)) plan.live_voters.push_back(voter);
  }
  if (!force && plan.live_voters.size() < plan.after.QuorumSize()) {
    return absl::AbortedError(absl::StrCat(
        "afterwards only ", plan.live_voters.size(), " of ", plan.after.voters().size(),
        " voters would be sure to answer, and ", plan.after.QuorumSize(),
        " must: bring the silent nodes back first, or demote them"));
  }
  return plan;
}

absl::StatusOr<LogIndex> Raft::ChangeMembers(const MemberChange& change, bool force) {
  const auto plan = PlanChange(change, force);
  if (!plan.ok()) return plan.status();
  AppendConfiguration(plan->after);
  return log_.last_index();
}

void Raft::AppendConfiguration(const Configuration& configuration) {
  ++counters_.members_changed;
  Entry entry{term(), log_.last_index().Next(), EntryType::kConfiguration,
              Payload(EncodeConfiguration(configuration))};
  uncommitted_bytes_ += EntryCost(entry);
  AppendEntry(std::move(entry));
  FollowMembers();
}

// Each member but this node is sent the log, also learners.
void Raft::FollowMembers() {
  const Configuration& members = configuration();
  std::erase_if(progress_, [&members](const auto& peer) {
    return members.Find(peer.first) == nullptr;
  });
  for (const Member& member : members.members()) {
    if (member.node == config_.self || progress_.contains(member.node)) continue;
    Progress& progress = progress_[member.node];
    progress.BecomeProbe(log_.last_index().Next());
    progress.BeginRound(log_.last_index(), now_);
    progress.last_heard = now_;
    progress.heartbeat_due = true;
  }
}

// The logs of the members that have answered, and this node's own, where none is known.
void Raft::EnterUnknownLogs() {
  if (config_.log.is_none() || !CheckReadyForChange().ok()) return;
  Configuration after = configuration();
  for (const Member& member : configuration().members()) {
    if (!member.log.is_none()) continue;
    const LogId heard =
        member.node == config_.self ? config_.log : progress_.at(member.node).log;
    if (heard.is_none() || heard == member.lost_log) continue;
    MemberChange change;
    change.kind = Kind::kSetLog;
    change.node = member.node;
    change.log = heard;
    after = AfterChange(after, change).value();
  }
  if (after != configuration()) AppendConfiguration(after);
}

}  // namespace concordat::raft
