// Raft for one group on one node: a state machine without I/O, clock or threads. The
// algorithm is that of the paper and the thesis which types.h names.
//
//   Raft raft(config, recovered);
//   raft.Tick(now);                           // any number of inputs, in any order
//   absl::Status stepped = raft.Step(message);
//   absl::StatusOr<LogIndex> first = raft.Propose(commands);
//   while (raft.HasOutput()) CarryOut(raft.TakeOutput());   // see output.h
//
// Inputs only change the state. TakeOutput puts together what is to be sent, so that the
// results of all inputs since the last call travel in one batch.
//
//                  election timeout     quorum would vote       quorum of votes
//   FOLLOWER <--> ---------------> PRE-CANDIDATE ----> CANDIDATE ----> LEADER
//      ^  a leader's message, or a     |                   |              |
//      |  higher term                  |                   |              |
//      +-------------------------------+-------------------+--------------+
//          higher term; a leader also when it has heard no quorum for an election
//          timeout, or when its own disk has stalled for as long
//
// Not thread-safe. Deterministic: the same inputs in the same order give the same
// outputs; the only randomness is drawn from Config::seed.
#ifndef COORDINATOR_RAFT_RAFT_H_
#define COORDINATOR_RAFT_RAFT_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/random.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/configuration_history.h"
#include "coordinator/raft/log.h"
#include "coordinator/raft/member_change.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/progress.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

struct Config {
  NodeId self;
  GroupId group;
  // This node's log. None: members are not told apart by their logs.
  LogId log;
  // The members of a new group. A configuration that was recovered takes precedence.
  // Empty: this node waits until a group's leader, which has been told to add it, sends
  // it that group's log. It belongs to the first cluster that does.
  Configuration members;
  // A random id. When this node is the first leader of a new group, this becomes the
  // cluster's id by the group's first entry. So nodes that were started with the same
  // voters and different ids agree on one id: that of the entry that is committed. None:
  // the group gets no id, and its messages cannot be told from another group's.
  ClusterKey new_cluster;

  // A follower that has not heard from a leader for a random time between these two asks
  // for an election. The heartbeat interval must be well below the smaller one.
  Duration election_timeout_min = Duration::Millis(200);
  Duration election_timeout_max = Duration::Millis(400);
  Duration heartbeat_interval = Duration::Millis(40);

  size_t max_inflight_appends = 64;  // unanswered ones, to each follower
  size_t max_append_bytes = 512 * 1024;
  size_t max_uncommitted_bytes = 64 * 1024 * 1024;  // Propose refuses more
  size_t snapshot_chunk_bytes = 512 * 1024;
  size_t max_inflight_chunks = 8;  // unanswered ones, to each follower
  // While a snapshot is being sent, the leader keeps it and the log that the follower
  // needs next. It no longer does so when its log would exceed max_log_kept_bytes, or
  // when the follower has received nothing new for snapshot_patience.
  size_t max_log_kept_bytes = size_t{256} << 20;
  Duration snapshot_patience = Duration::Seconds(60);
  // A follower without space is sent nothing for a heartbeat interval; the pause then
  // doubles up to no_space_pause_max, or up to snapshot_pause_max when it was a snapshot
  // that could not be kept.
  Duration no_space_pause_max = Duration::Seconds(1);
  Duration snapshot_pause_max = Duration::Seconds(30);
  // The most bytes in one Persist, and in all that are not flushed. An entry counts for
  // its data and kEntryOverheadBytes; a larger one is written alone. What does not fit
  // waits in memory, together with the messages that promise it.
  size_t max_persist_bytes = 4 * 1024 * 1024;
  size_t max_unflushed_bytes = 16 * 1024 * 1024;
  size_t max_committed_per_output = 2048;  // entries
  // How many entries that the latest snapshot contains stay in memory, so that a follower
  // that lags a little does not need the snapshot.
  size_t entries_kept_behind_snapshot = 4096;

  uint64_t seed = 1;  // must differ between nodes, or elections keep colliding
};

// What the storage has found at the start: the snapshot that the log says is in force,
// and the entries after it, contiguous from snapshot.index + 1 on. A snapshot file that
// the log does not name is ignored: a crash interrupted its installation, and it will be
// received again.
struct RecoveredState {
  HardState hard_state;
  SnapshotMeta snapshot;
  std::vector<Entry> entries;
};

// A change of the members, as the leader would carry it out now.
struct PlannedChange {
  Configuration before;
  Configuration after;
  // Of the voters afterwards, those from which the leader has heard lately, itself
  // included. Fewer than after.QuorumSize(): the change was forced.
  std::vector<NodeId> live_voters;
};

// Rare paths, counted so that a test can prove that it reached them.
struct Counters {
  uint64_t pre_votes_started = 0;
  uint64_t elections_started = 0;
  uint64_t elections_won = 0;
  uint64_t votes_refused_for_live_leader = 0;  // pre-votes included
  uint64_t votes_refused_for_log = 0;          // the candidate's log was not up to date
  uint64_t votes_refused_already_voted = 0;    // for another candidate of the term
  uint64_t stepped_down_without_quorum = 0;
  uint64_t stepped_down_for_disk = 0;            // its own disk has stalled
  uint64_t stepped_down_for_term = 0;            // it has heard of a higher term
  uint64_t truncations = 0;                      // of conflicting entries
  uint64_t truncations_of_pending_persist = 0;   // those being written at that time
  uint64_t persists_held_for_disk = 0;           // entries had to wait for earlier writes
  uint64_t appends_rejected = 0;                 // by this follower: the logs differ
  uint64_t stale_messages = 0;                   // of an older term, or answered before
  uint64_t commit_capped_at_last_new_entry = 0;  // Figure 2, AppendEntries, rule 5
  uint64_t commit_held_for_own_term = 0;         // section 5.4.2
  uint64_t inflight_limit_reached = 0;           // max_inflight_appends
  uint64_t proposals_refused_for_space = 0;      // max_uncommitted_bytes
  uint64_t snapshots_begun = 0;                  // by this leader, for a follower
  uint64_t snapshot_chunks_repeated = 0;         // because an answer was overdue
  uint64_t snapshots_restarted = 0;              // with a newer one, or from the start
  uint64_t snapshot_chunks_early = 0;            // that have overtaken another chunk
  uint64_t snapshots_kept_for_a_transfer = 0;    // though there is a newer one
  uint64_t logs_not_kept_any_more = 0;           // for a follower that is too slow
  uint64_t snapshots_installed = 0;              // by this follower
  uint64_t logs_discarded_for_snapshot = 0;      // Figure 13, rule 7
  uint64_t malformed_messages = 0;               // refused by Step
  uint64_t elections_held_for_own_vote = 0;      // the own vote was not on disk yet
  uint64_t tails_lost = 0;                       // by this node
  uint64_t peer_tails_lost = 0;                  // by followers, as this leader has found
  uint64_t votes_refused_for_lost_tail = 0;  // the candidate lacked what this node lost
  uint64_t answers_from_before_a_loss = 0;   // ignored by this leader
  uint64_t appends_refused_for_space = 0;    // by this follower
  uint64_t peers_without_space = 0;          // found by this leader
  uint64_t transfers_begun = 0;
  uint64_t transfers_failed = 0;
  uint64_t elections_by_transfer = 0;
  uint64_t members_changed = 0;             // by this leader
  uint64_t configurations_reverted = 0;     // their entries were overwritten
  uint64_t messages_of_other_logs = 0;      // from or for a node that lost its log
  uint64_t messages_of_unknown_nodes = 0;   // requests of nodes that are no members here
  uint64_t pre_votes_of_removed_nodes = 0;  // answered
};

class Raft {
 public:
  // CHECKs that the configuration makes sense and that the recovered state is whole.
  Raft(Config config, RecoveredState recovered);
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // --- Inputs ---------------------------------------------------------------------

  // The time is `now`. To be called when NextDeadline() is reached, and after a pause
  // before messages are stepped: a leader that was stopped past an election must learn
  // that first. When the clock has gone backwards, every timer is set again.
  void Tick(Timestamp now);

  // A message has arrived. Messages may be lost, repeated and reordered.
  //   FAILED_PRECONDITION  it is from another cluster; or an answer of a node outside of
  //                        the configuration; or, in a member's name, from or for a log
  //                        that is not this member's
  //   INVALID_ARGUMENT     it is not for this node and group, malformed, or it
  //   contradicts
  //                        what this node knows for certain (a second leader in a term,
  //                        other entries than the committed ones, a term that no election
  //                        can have reached)
  //   UNIMPLEMENTED        it has an entry of a type that this version does not know
  // After each of these errors nothing was changed or acknowledged. Requests of a node
  // that is no member here are taken when they are of the same cluster: this node's
  // configuration may be older than that node's.
  [[nodiscard]] absl::Status Step(Message message);

  // Appends all commands or none, at consecutive indexes and in the current term();
  // returns the index of the first. Whether a command commits is known when `committed`
  // shows an entry at its index: an entry of the same term is this command; after an
  // entry of another term it never commits.
  //   FAILED_PRECONDITION  not the leader; leader() may know who is
  //   RESOURCE_EXHAUSTED   max_uncommitted_bytes would be exceeded; try again when more
  //                        of the log is committed
  //   UNAVAILABLE          leadership is being handed over; try again when that has
  //                        failed, or ask the new leader
  //   INVALID_ARGUMENT     no commands, or more bytes than the limit allows at all
  // After each of these errors nothing was appended.
  [[nodiscard]] absl::StatusOr<LogIndex> Propose(std::vector<std::string> commands);

  // Begins a linearizable read (thesis, section 6.4). The token will be in `read_states`
  // of an output, after this term's first entry is committed and a quorum has confirmed
  // the leader. When the leadership of this term ends before, it never is: the caller
  // sees that in `soft_state`, and asks the new leader. FAILED_PRECONDITION: not the
  // leader.
  [[nodiscard]] absl::Status ReadIndex(ReadToken token);

  // What ChangeMembers would do, with its errors. Changes nothing.
  [[nodiscard]] absl::StatusOr<PlannedChange> PlanChange(const MemberChange& change,
                                                         bool force) const;
  // Changes one member by an entry of the log, which is in force at once. It is committed
  // as a command is (see Propose), by a quorum of the members afterwards; until then no
  // other change is made. Returns its index.
  //   FAILED_PRECONDITION  not the leader; or, `force` or not, the change makes no sense
  //                        now (AfterChange), or it would take the vote of the leader
  //                        itself, which must hand leadership over first
  //   UNAVAILABLE          not now: the change before is not committed yet, nor an entry
  //                        of the leader's own term, or leadership is being handed over;
  //                        try again soon
  //   ABORTED              without `force` only: afterwards no quorum would be live, or a
  //                        learner that is to vote has not caught up
  //   others               as AfterChange
  // After each of these errors nothing was changed.
  [[nodiscard]] absl::StatusOr<LogIndex> ChangeMembers(const MemberChange& change,
                                                       bool force);

  // Hands leadership over to the follower `to`; with none, to the one that has the most
  // of the log, among those that vote, have answered lately and have space (thesis,
  // section 3.10). No proposals are accepted
  // until that follower has taken over, or has not done so for the smaller election
  // timeout. FAILED_PRECONDITION: not the leader, or no follower, or not that one, can
  // take over now; nothing was changed.
  [[nodiscard]] absl::Status TransferLeadership(NodeId to = {});

  // Whether the disk has room for new entries and for snapshots; true at first. While it
  // has none, a follower stores neither and tells the leader so.
  void SetHasSpace(bool has_space) { has_space_ = has_space; }

  // The persist with this id, and all before it, are flushed.
  void OnPersisted(PersistId id);

  // The state machine has applied everything up to `index`.
  void OnApplied(LogIndex index);

  // Describes a snapshot of the state machine at `index`, which must be applied and not
  // before the base of the log.
  [[nodiscard]] SnapshotMeta SnapshotMetaAt(LogIndex index) const;
  // This node's own snapshot is durable: the log up to it may be dropped.
  void OnSnapshotTaken(const SnapshotMeta& meta);

  // Answers a SnapshotReadRequest. `last`: the snapshot ends with this chunk. An answer
  // that no transfer waits for any more is ignored.
  void OnSnapshotChunkRead(NodeId to, const SnapshotMeta& meta, uint64_t offset,
                           std::string data, bool last);
  // Answers a SnapshotReadRequest when the snapshot no longer exists. The latest one is
  // sent instead.
  void OnSnapshotChunkGone(NodeId to, const SnapshotMeta& meta);
  // The oldest snapshot that is being sent and is older than the one in force; its file
  // must not be removed. 0: there is none.
  [[nodiscard]] LogIndex OlderSnapshotInUse() const;

  // Answers install_snapshot: the snapshot is durable and is the state machine's state.
  void OnSnapshotInstalled(const SnapshotMeta& meta);
  // Whether the snapshot being installed may replace the state machine's state. False
  // when it contradicts what was committed while it was saved; OnSnapshotInstallFailed is
  // then to be called.
  [[nodiscard]] bool MayInstall(const SnapshotMeta& meta) const;
  // False: the parts of a snapshot that were received so far are not needed any more.
  // Once it is false, the next part that is written begins a snapshot.
  [[nodiscard]] bool is_receiving_snapshot() const {
    return receiving_.has_value() && receiving_->sender_term == term() &&
           receiving_->meta.index > commit_index_;
  }
  // Answers install_snapshot: the snapshot could not be kept or used, and nothing was
  // replaced. The leader is told so and sends it again after a pause.
  void OnSnapshotInstallFailed(const SnapshotMeta& meta);

  // --- Output ---------------------------------------------------------------------

  // False: TakeOutput would return an empty output.
  [[nodiscard]] bool HasOutput() const;
  [[nodiscard]] Output TakeOutput();

  // The time at which Tick has something to do next.
  [[nodiscard]] Timestamp NextDeadline() const;

  // --- State ----------------------------------------------------------------------

  [[nodiscard]] NodeId self() const { return config_.self; }
  [[nodiscard]] GroupId group() const { return config_.group; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool is_leader() const { return role_ == Role::kLeader; }
  // Whether this leader has applied an entry of its own term. Its state machine then has
  // all that was committed before, and only then may it act for the group.
  [[nodiscard]] bool is_ready_leader() const {
    return is_leader() && applied_index_ >= term_start_index_;
  }
  [[nodiscard]] NodeId leader() const { return leader_; }  // 0: not known
  [[nodiscard]] Term term() const { return hard_state_.term; }
  [[nodiscard]] const HardState& hard_state() const { return hard_state_; }
  // None until the group's first entry is committed; never changes afterwards.
  [[nodiscard]] const ClusterKey& cluster() const { return hard_state_.cluster; }
  [[nodiscard]] LogIndex commit_index() const { return commit_index_; }
  [[nodiscard]] LogIndex applied_index() const { return applied_index_; }
  [[nodiscard]] LogIndex persisted_index() const { return persisted_index_; }
  [[nodiscard]] const SnapshotMeta& snapshot() const { return snapshot_; }
  [[nodiscard]] const Log& log() const { return log_; }
  // The latest in the log, committed or not: the one in force.
  [[nodiscard]] const Configuration& configuration() const {
    return configurations_.latest();
  }
  // The entry that holds it; 0, or the snapshot's, when none in the log does.
  [[nodiscard]] LogIndex configuration_index() const {
    return configurations_.latest_index();
  }
  // Whether this leader has heard from the member within an election time-out, and the
  // member has lost nothing that it acknowledged. `member` must be one, or this node.
  [[nodiscard]] bool IsLive(NodeId member) const;
  // Whether a learner could vote now: its last round of catching up took no longer than
  // an election time-out (thesis, section 4.2.1). False unless this node leads.
  [[nodiscard]] bool HasCaughtUp(NodeId member) const;
  // Another node has said that this one was removed from the cluster. It then does not
  // stand for election.
  [[nodiscard]] bool was_removed() const { return was_removed_; }
  [[nodiscard]] size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  [[nodiscard]] bool is_transferring() const { return transfer_.has_value(); }
  // Whether a leader has found that this node's log lacks entries which the node had
  // acknowledged. The node then does not stand for election, and votes as if it still had
  // those entries.
  [[nodiscard]] bool lost_tail() const { return LastPosition() < acknowledged_end_; }
  // By follower. Empty on a node that is not the leader.
  [[nodiscard]] const std::map<NodeId, Progress>& progress() const { return progress_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  // A persist that was handed out and is not flushed yet.
  struct PendingPersist {
    PersistId id;
    Timestamp issued_at;  // when it was handed out
    HardState hard_state;
    // Once it is flushed, the log is durable up to this entry. Lowered when entries of
    // the persist are overwritten in memory: the flush of the old entry says nothing
    // about the new one at the same index.
    LogIndex last_index;
    size_t bytes = 0;  // of its entries, with kEntryOverheadBytes each
  };
  // A message that promises `hard_state` and the log up to `index`; it is sent when both
  // are durable.
  struct WaitingMessage {
    Message message;
    HardState hard_state;
    LogIndex index;
  };
  // The end of a log. Ordered as in section 5.4.1: by term, then by length.
  struct LogPosition {
    Term term;
    LogIndex index;
    friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
  };
  struct Transfer {
    NodeId to;
    Timestamp deadline;  // the transfer has failed then
    bool sent = false;   // TimeoutNow was sent since the last heartbeat
  };
  struct PendingRead {
    ReadToken token;
    LogIndex index;      // the commit index when the round began
    uint64_t round = 0;  // the read round that confirms it
  };
  struct ReceivedSnapshot {
    SnapshotMeta meta;
    Term sender_term;          // of the leader that sends it
    uint64_t next_offset = 0;  // the end of what has been received without a gap
    // Chunks that have overtaken an earlier one, by offset; at most max_inflight_chunks.
    std::map<uint64_t, SnapshotChunk> early;
  };

  // raft.cc
  void Recover(RecoveredState recovered);
  void Dispatch(Message message);
  // members.cc
  [[nodiscard]] absl::Status CheckReadyForChange() const;
  void AppendConfiguration(const Configuration& configuration);
  void FollowMembers();
  void EnterUnknownLogs();
  // plausibility.cc
  [[nodiscard]] absl::Status CheckLogs(const Message& message);
  [[nodiscard]] absl::Status CheckCluster(const Message& message) const;
  [[nodiscard]] absl::Status CheckPlausible(const Message& message) const;
  [[nodiscard]] absl::Status CheckPlausible(const AppendRequest& request) const;
  [[nodiscard]] absl::Status CheckPlausible(const SnapshotChunk& chunk) const;
  void AnswerStale(const Message& message);
  void Send(NodeId to, Message::Body body);
  // Sends at once if the term, the vote and the log up to `index` are on disk, otherwise
  // when they are.
  void SendWhenDurable(NodeId to, Message::Body body, LogIndex index);
  void TakeMessages(Output* output);
  void TakePersist(Output* output);
  // Takes the waiting messages whose promises are covered by the persists that have been
  // handed out so far.
  [[nodiscard]] std::vector<Message> TakeIssued();
  void TakeCommitted(Output* output);
  [[nodiscard]] bool HasSomethingToPersist() const;
  // How many bytes of entries may be handed out to be written; 0 while the disk is slow.
  [[nodiscard]] size_t PersistRoom() const;
  [[nodiscard]] bool IsIssued(const WaitingMessage& waiting) const;
  [[nodiscard]] LogIndex LastApplicable() const;
  [[nodiscard]] bool DiskIsStalled() const;
  void SetCommitIndex(LogIndex index);
  void CountUncommitted();
  void TruncateLog(LogIndex from);
  void AppendEntry(Entry entry);
  void AdoptCluster();
  [[nodiscard]] Message MakeMessage(NodeId to, Message::Body body) const;
  void LimitPersistedTo(LogIndex index);
  void DropPromisesFrom(LogIndex index);
  [[nodiscard]] SoftState CurrentSoftState() const;

  // election.cc
  void ArmElectionTimer();
  void BecomeFollower(Term term, NodeId leader);
  void FollowLeader(NodeId leader);
  [[nodiscard]] bool HasLiveLeader() const;
  [[nodiscard]] LogPosition LastPosition() const {
    return LogPosition{log_.last_term(), log_.last_index()};
  }
  [[nodiscard]] bool IsUpToDate(LogIndex last_index, Term last_term);
  [[nodiscard]] bool MayStand() const;
  void StartPreVote();
  void StartElection(bool transfer);
  [[nodiscard]] Configuration FirstConfiguration() const;
  void BecomeLeader();
  void RecordVote(NodeId voter);
  void TickLeader();
  void StepDown(uint64_t* counter);
  void Handle(NodeId from, const PreVoteRequest& request);
  void Handle(NodeId from, Term sender_term, const PreVoteResponse& response);
  void Handle(NodeId from, const VoteRequest& request);
  void Handle(NodeId from, const VoteResponse& response);

  // transfer.cc
  [[nodiscard]] bool CanTakeOver(NodeId node, const Progress& progress) const;
  [[nodiscard]] bool WantsTimeoutNow() const;
  void SendTimeoutNow();
  void TickTransfer();
  void Handle(NodeId from, const TimeoutNow& message);

  // append_receiver.cc
  void Handle(NodeId from, AppendRequest request);
  [[nodiscard]] bool MatchesPrevious(LogIndex index, Term term) const;
  void RejectAppend(NodeId leader, const AppendRequest& request);
  void DetectLostTail(NodeId leader, const AppendRequest& request);
  void AnswerLostTail(NodeId leader, const AppendRequest& request);
  void AnswerNoSpace(NodeId leader, uint64_t read_round);
  void ReportRefilledTail();
  [[nodiscard]] AppendResponse NewResponse(uint64_t read_round) const;
  void StoreEntries(std::vector<Entry> entries);
  void AcknowledgeAppend(NodeId leader, LogIndex match, uint64_t read_round);

  // append_sender.cc
  // For an answer of that member in this term; null when it is none any more.
  [[nodiscard]] Progress* FindProgress(NodeId from);
  void SendAppends(NodeId to, Progress* progress);
  void SendAppend(NodeId to, Progress* progress, std::vector<Entry> entries);
  void SendHeartbeat(NodeId to, Progress* progress);
  void FillAcknowledged(const Progress& progress, AppendRequest* request) const;
  [[nodiscard]] bool HasAppendsToSend(const Progress& progress) const;
  void Handle(NodeId from, const AppendResponse& response);
  void OnTailLost(NodeId from, Progress* progress, const AppendResponse& response);
  void UpdateSpaceState(NodeId from, Progress* progress, bool no_space);
  void OnAppendAccepted(Progress* progress, LogIndex match);
  void OnAppendRejected(Progress* progress, const AppendResponse& response);
  void AdvanceCommitIndex();

  // snapshot_transfer.cc
  void CompactLog();
  void ReleaseKeptLog(LogIndex compaction_target);
  void BeginSnapshot(Progress* progress);
  void SendSnapshot(NodeId to, Progress* progress);
  [[nodiscard]] Progress* FindTransfer(NodeId to, LogIndex index);
  [[nodiscard]] bool IsOverdue(const SnapshotTransfer& transfer) const;
  [[nodiscard]] bool WantsSnapshotRead(const Progress& progress) const;
  void Handle(NodeId from, const SnapshotChunkResponse& response);
  void Handle(NodeId from, SnapshotChunk chunk);
  void AcceptChunk(NodeId from, SnapshotChunk chunk);
  void TakeChunk(SnapshotChunk chunk);
  void ReplaceLogBySnapshot(const SnapshotMeta& meta);

  // read_index.cc
  void StartReadRound();
  void FinishReads();
  [[nodiscard]] bool CommittedInOwnTerm() const;

  const Config config_;
  Random random_;
  ConfigurationHistory configurations_;
  bool configuration_changed_ = false;  // since the last output

  // Time.
  Timestamp now_;        // of the last Tick
  bool ticked_ = false;  // Tick was called at least once
  Timestamp election_deadline_ = Timestamp::Infinite();
  Timestamp heartbeat_deadline_ = Timestamp::Infinite();  // infinite unless leader
  Timestamp heard_leader_at_;                             // the last message of a leader

  // The current state, which is durable or is to be made so.
  HardState hard_state_;
  SnapshotMeta snapshot_;
  Log log_;

  // What is on disk, and what is on its way there.
  PersistId last_persist_;  // the latest id that was handed out
  std::deque<PendingPersist> pending_persists_;
  size_t unflushed_bytes_ = 0;        // of all pending persists
  HardState issued_hard_state_;       // the latest that was handed out to be written
  HardState persisted_hard_state_;    // the latest that is flushed
  LogIndex next_to_persist_;          // the first entry that is not handed out yet
  LogIndex persisted_index_;          // up to here, the entries of log_ are flushed
  bool snapshot_to_persist_ = false;  // snapshot_ goes into the next persist
  bool discard_log_ = false;          // and voids all entries that are stored

  // Volatile state of Figure 2.
  Role role_ = Role::kFollower;
  NodeId leader_;  // 0: not known
  LogIndex commit_index_;
  LogIndex handed_out_index_;  // the last entry that was in Output::committed
  LogIndex applied_index_;
  SoftState reported_soft_state_;  // the last that was in an output

  // State of a candidate.
  std::set<NodeId> votes_;  // who has granted its vote or pre-vote

  // State of a follower.
  bool has_space_ = true;
  Term loss_round_term_;     // the term of the leader that loss_round_ is from
  uint64_t loss_round_ = 0;  // AppendRequest::loss_round, the highest in that term
  // The end of the log that this node has acknowledged, when a leader has found that it
  // is not there any more.
  LogPosition acknowledged_end_;
  bool tail_lost_reported_ = false;  // kTailLost was reported, kTailRefilled not yet
  bool was_removed_ = false;
  bool not_this_member_reported_ = false;  // kNotThisMember was

  // State of a leader.
  LogIndex term_start_index_;  // the first entry of its own term
  std::map<NodeId, Progress> progress_;
  size_t uncommitted_bytes_ = 0;
  std::optional<Transfer> transfer_;  // the transfer of leadership under way
  // A transfer was tried because the disk has stalled; if that goes on, it steps down.
  bool tried_transfer_for_disk_ = false;
  uint64_t read_round_ = 0;                // the latest; counts up within the term
  std::vector<ReadToken> waiting_reads_;   // not part of a round yet
  std::deque<PendingRead> pending_reads_;  // part of a round that is not confirmed

  // The snapshot that is being received, and the one that is being installed.
  std::optional<ReceivedSnapshot> receiving_;
  std::optional<SnapshotMeta> installing_;

  // Collected for the next TakeOutput; see Output.
  std::vector<Message> messages_;
  std::vector<WaitingMessage> messages_after_persist_;
  std::vector<ReadState> read_states_;
  std::vector<Notice> notices_;
  std::vector<SnapshotReadRequest> snapshot_reads_;
  std::vector<SnapshotWrite> snapshot_writes_;
  std::optional<SnapshotMeta> install_snapshot_;

  Counters counters_;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_RAFT_H_
