// Refuses messages that cannot be true, judged by what this node knows for certain. Peers
// are trusted to follow Raft, but not to be free of bugs, nor to be the node that their
// address stands for. A message that contradicts the paper's safety properties is refused
// before anything is changed, so that no peer's message can end the process.
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

namespace {

// More elections than a cluster ever holds: one a microsecond for two weeks.
constexpr uint64_t kMaxTermJump = uint64_t{1} << 40;

absl::Status Contradiction(std::string what) {
  return absl::InvalidArgumentError(absl::StrCat("impossible message: ", what));
}

}  // namespace

// A node refuses messages of another cluster, even if that cluster has the same name and
// node ids. A node that does not belong to a cluster yet accepts messages of any: it may
// be meant to belong to that one.
absl::Status Raft::CheckCluster(const Message& message) const {
  if (cluster().is_none() || message.cluster == cluster()) return absl::OkStatus();
  if (!message.cluster.is_none()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "a message of cluster ", ToString(message.cluster), "; this node belongs to ",
        ToString(cluster()), ": a node of another cluster has an address of this one's"));
  }
  // The log of a sender without a cluster is empty, so that sender neither leads nor
  // could be elected.
  const auto* vote = std::get_if<VoteRequest>(&message.body);
  const auto* pre_vote = std::get_if<PreVoteRequest>(&message.body);
  const bool has_log = (vote != nullptr && !vote->last_log_index.is_none()) ||
                       (pre_vote != nullptr && !pre_vote->last_log_index.is_none()) ||
                       std::holds_alternative<AppendRequest>(message.body) ||
                       std::holds_alternative<SnapshotChunk>(message.body) ||
                       std::holds_alternative<TimeoutNow>(message.body);
  if (!has_log) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "a message of no cluster; this node belongs to ", ToString(cluster())));
}

// Every member has one log. Who lost it, or was given an old or another folder, no longer
// has what that member promised: its answers count for nothing, and it takes nothing that
// is meant for the member.
absl::Status Raft::CheckLogs(const Message& message) {
  if (config_.log.is_none()) return absl::OkStatus();
  const Member* from = configuration().Find(message.from);
  if (from == nullptr) ++counters_.messages_of_unknown_nodes;
  // An answer is to what this node has asked; who answers may not have heard yet that it
  // has replaced the member, and hears it only when its answers are taken.
  if (!IsAnswer(message.body) && !message.to_log.is_none() &&
      message.to_log != config_.log) {
    ++counters_.messages_of_other_logs;
    // The sender may also not have heard that this node has replaced that member.
    const Member* self = configuration().Find(config_.self);
    const bool replaced = self != nullptr && self->log == config_.log;
    if (!replaced && !std::exchange(not_this_member_reported_, true)) {
      notices_.push_back(
          {Notice::Kind::kNotThisMember, message.from, log_.last_index(), {}});
    }
    return absl::FailedPreconditionError(
        absl::StrCat("node ", message.from.value(), " knows this node by log ",
                     absl::Hex(message.to_log.value()), ", and this node's log is ",
                     absl::Hex(config_.log.value())));
  }
  if (from == nullptr || !IsAnswer(message.body)) return absl::OkStatus();
  const bool other = from->log.is_none() ? message.from_log == from->lost_log &&
                                               !message.from_log.is_none()
                                         : message.from_log != from->log;
  if (!other) {
    if (const auto it = progress_.find(message.from); it != progress_.end()) {
      it->second.log = message.from_log;
    }
    return absl::OkStatus();
  }
  ++counters_.messages_of_other_logs;
  return absl::FailedPreconditionError(absl::StrCat(
      "node ", message.from.value(), " answers with log ",
      absl::Hex(message.from_log.value()),
      ", which is not that member's: it has lost its folder or has another one, and is "
      "not counted until \"concordat members replace\" has taken it in again"));
}

absl::Status Raft::CheckPlausible(const Message& message) const {
  if (message.term > term() && message.term.value() - term().value() > kMaxTermJump) {
    return Contradiction(absl::StrCat("term ", message.term.value(), ", this node is in ",
                                      term().value()));
  }
  if (message.term < term()) return absl::OkStatus();  // Dispatch answers: stale
  const auto* append = std::get_if<AppendRequest>(&message.body);
  const auto* chunk = std::get_if<SnapshotChunk>(&message.body);
  if (append == nullptr && chunk == nullptr) return absl::OkStatus();
  // Election safety.
  if (message.term == term() && !leader_.is_none() && leader_ != message.from) {
    return Contradiction(absl::StrCat("node ", message.from.value(), " leads term ",
                                      term().value(), ", whose leader is node ",
                                      leader_.value()));
  }
  return append != nullptr ? CheckPlausible(*append) : CheckPlausible(*chunk);
}

// Leader completeness: what is committed here is in the log of every later leader.
absl::Status Raft::CheckPlausible(const AppendRequest& request) const {
  const auto contradicts = [this](LogIndex index, Term entry_term) {
    return index >= log_.base_index() && index <= commit_index_ &&
           !log_.Matches(index, entry_term);
  };
  LogIndex wrong;
  if (contradicts(request.prev_log_index, request.prev_log_term)) {
    wrong = request.prev_log_index;
  }
  for (const Entry& entry : request.entries) {
    if (entry.index > commit_index_ || !wrong.is_none()) break;
    if (contradicts(entry.index, entry.term)) wrong = entry.index;
  }
  if (wrong.is_none()) return absl::OkStatus();
  return Contradiction(
      absl::StrCat("its log differs at the committed entry ", wrong.value()));
}

absl::Status Raft::CheckPlausible(const SnapshotChunk& chunk) const {
  const Term committed_term = log_.TermAt(commit_index_).value();
  if (chunk.meta.index > commit_index_ && chunk.meta.term < committed_term) {
    return Contradiction(
        absl::StrCat("a snapshot at ", chunk.meta.index.value(), " of term ",
                     chunk.meta.term.value(), ", behind the committed entry ",
                     commit_index_.value(), " of term ", committed_term.value()));
  }
  return absl::OkStatus();
}

}  // namespace concordat::raft
