// Terms, votes and leadership (paper, sections 5.2 and 5.4.1; thesis, 9.6 and 6.2).
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

void Raft::ArmElectionTimer() {
  election_deadline_ =
      now_ + Duration::Micros(random_.Between(config_.election_timeout_min.micros(),
                                              config_.election_timeout_max.micros()));
}

void Raft::BecomeFollower(Term new_term, NodeId leader) {
  CONCORDAT_CHECK(new_term >= term());
  if (new_term > term()) {
    hard_state_.term = new_term;
    hard_state_.vote = NodeId();
  }
  if (is_leader()) {
    pending_reads_.clear();
    waiting_reads_.clear();
    progress_.clear();
    CompactLog();
    uncommitted_bytes_ = 0;
    transfer_.reset();
  }
  // A follower's timer is not reset: a candidate whom it refuses must not keep it from
  // standing for election itself.
  if (role_ != Role::kFollower) ArmElectionTimer();
  role_ = Role::kFollower;
  votes_.clear();
  leader_ = leader;
}

void Raft::FollowLeader(NodeId leader) {
  CONCORDAT_CHECK(!is_leader() && (leader_.is_none() || leader_ == leader))
      << "two leaders in term " << term() << ": " << leader_ << " and " << leader;
  if (role_ != Role::kFollower) BecomeFollower(term(), leader);
  leader_ = leader;
  was_removed_ = false;  // a leader sends its log to members only
  heard_leader_at_ = now_;
  ArmElectionTimer();
}

bool Raft::HasLiveLeader() const {
  if (is_leader()) return true;
  return !leader_.is_none() && now_ - heard_leader_at_ < config_.election_timeout_min;
}

// Section 5.4.1: the log with the later term at its end is more up to date; with equal
// terms, the longer one. A node that has lost the tail of its log votes as if it still
// had it, because entries may be committed by its acknowledgement.
bool Raft::IsUpToDate(LogIndex last_index, Term last_term) {
  const LogPosition candidate{last_term, last_index};
  if (candidate >= LastPosition() && candidate < acknowledged_end_) {
    ++counters_.votes_refused_for_lost_tail;
  }
  return candidate >= std::max(LastPosition(), acknowledged_end_);
}

// A node must not stand for election when it has no vote itself, when its vote for itself
// could not become durable, when its log is about to be replaced, or when it has lost
// entries that it acknowledged.
bool Raft::MayStand() const {
  return configuration().IsVoter(config_.self) && !was_removed_ && !DiskIsStalled() &&
         !installing_.has_value() && !lost_tail();
}

void Raft::StartPreVote() {
  ArmElectionTimer();
  // An election in which this node stands or has voted is not over while its vote is
  // being written. Another election now would only void that vote.
  if (persisted_hard_state_ != hard_state_) {
    ++counters_.elections_held_for_own_vote;
    return;
  }
  if (!MayStand()) return;
  ++counters_.pre_votes_started;
  role_ = Role::kPreCandidate;
  leader_ = NodeId();
  // A pre-vote costs the other nodes nothing, so it is repeated soon: a peer that has
  // heard from the old leader a little later than this node refuses the first one.
  election_deadline_ =
      now_ + Duration::Micros(random_.Between(config_.heartbeat_interval.micros(),
                                              config_.election_timeout_min.micros()));
  for (NodeId voter : configuration().voters()) {
    if (voter == config_.self) continue;
    Send(voter, PreVoteRequest{term().Next(), log_.last_index(), log_.last_term()});
  }
  votes_.clear();
  RecordVote(config_.self);
}

void Raft::StartElection(bool transfer) {
  ++counters_.elections_started;
  hard_state_.term = term().Next();
  hard_state_.vote = config_.self;
  role_ = Role::kCandidate;
  leader_ = NodeId();
  votes_.clear();  // its own vote is added when it is durable, in OnPersisted
  ArmElectionTimer();
  for (NodeId voter : configuration().voters()) {
    if (voter == config_.self) continue;
    SendWhenDurable(voter, VoteRequest{log_.last_index(), log_.last_term(), transfer},
                    LogIndex());
  }
}

void Raft::RecordVote(NodeId voter) {
  votes_.insert(voter);
  if (!configuration().HasQuorum([this](NodeId v) { return votes_.contains(v); })) return;
  if (role_ == Role::kPreCandidate) {
    StartElection(/*transfer=*/false);
  } else if (role_ == Role::kCandidate) {
    BecomeLeader();
  }
}

// The group's members as this node knows them, with the cluster's id and its own log.
Configuration Raft::FirstConfiguration() const {
  std::vector<Member> members = configuration().members();
  for (Member& member : members) {
    if (member.node == config_.self) member.log = config_.log;
  }
  return Configuration(std::move(members), config_.new_cluster);
}

void Raft::BecomeLeader() {
  ++counters_.elections_won;
  role_ = Role::kLeader;
  leader_ = config_.self;
  votes_.clear();
  read_round_ = 0;
  tried_transfer_for_disk_ = false;
  progress_.clear();
  FollowMembers();
  heartbeat_deadline_ = now_ + config_.heartbeat_interval;
  // No node has led the group before: its log begins with the configuration.
  if (log_.last_index().is_none() && !config_.new_cluster.is_none()) {
    AppendEntry(Entry{term(), LogIndex(1), EntryType::kConfiguration,
                      Payload(EncodeConfiguration(FirstConfiguration()))});
  }
  // Section 8: the leader knows what earlier leaders have committed once an entry of its
  // own term is committed.
  term_start_index_ = log_.last_index().Next();
  log_.Append(Entry{term(), term_start_index_, EntryType::kTermStart, Payload()});
  CountUncommitted();
}

void Raft::TickLeader() {
  TickTransfer();
  const bool alone = configuration().IsOnlyVoter(config_.self);
  if (DiskIsStalled() && !alone && !transfer_.has_value() &&
      (std::exchange(tried_transfer_for_disk_, true) || !TransferLeadership().ok())) {
    return StepDown(&counters_.stepped_down_for_disk);
  }
  // Thesis, section 6.2: a leader that hears from no quorum steps down, so that clients
  // turn to another node.
  const bool hears_quorum = configuration().HasQuorum([this](NodeId voter) {
    return voter == config_.self ||
           now_ - progress_.at(voter).last_heard <= config_.election_timeout_max;
  });
  if (!hears_quorum) return StepDown(&counters_.stepped_down_without_quorum);
  if (now_ < heartbeat_deadline_) return;
  heartbeat_deadline_ = now_ + config_.heartbeat_interval;
  for (auto& [node, progress] : progress_) progress.heartbeat_due = true;
  EnterUnknownLogs();
  CompactLog();
}

void Raft::StepDown(uint64_t* counter) {
  ++*counter;
  BecomeFollower(term(), NodeId());
}

void Raft::Handle(NodeId from, const PreVoteRequest& request) {
  bool granted = false;
  if (HasLiveLeader()) {
    ++counters_.votes_refused_for_live_leader;
  } else {
    granted = request.campaign_term > term() &&
              IsUpToDate(request.last_log_index, request.last_log_term);
  }
  const bool removed = configurations_.At(commit_index_).WasRemoved(from);
  if (removed) ++counters_.pre_votes_of_removed_nodes;
  Send(from, PreVoteResponse{request.campaign_term, granted, removed});
}

void Raft::Handle(NodeId from, Term sender_term, const PreVoteResponse& response) {
  if (response.removed && !std::exchange(was_removed_, true)) {
    notices_.push_back({Notice::Kind::kRemoved, from, log_.last_index(), {}});
  }
  if (response.granted) {
    if (role_ == Role::kPreCandidate && response.campaign_term == term().Next()) {
      RecordVote(from);
    }
    return;
  }
  if (sender_term > term()) BecomeFollower(sender_term, NodeId());
}

void Raft::Handle(NodeId from, const VoteRequest& request) {
  const bool free = hard_state_.vote.is_none() || hard_state_.vote == from;
  const bool up_to_date = IsUpToDate(request.last_log_index, request.last_log_term);
  if (!free) ++counters_.votes_refused_already_voted;
  if (!up_to_date) ++counters_.votes_refused_for_log;
  const bool granted = free && up_to_date;
  if (granted) {
    if (role_ != Role::kFollower) BecomeFollower(term(), NodeId());
    hard_state_.vote = from;
    ArmElectionTimer();
  }
  SendWhenDurable(from, VoteResponse{granted}, LogIndex());
}

void Raft::Handle(NodeId from, const VoteResponse& response) {
  if (role_ == Role::kCandidate && response.granted) RecordVote(from);
}

}  // namespace concordat::raft
