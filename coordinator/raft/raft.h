// Raft for one group on one node: a state machine without I/O, clock or threads.
//
//   Raft raft(config, recovered);
//   loop: raft.Tick(now); raft.Step(message)...; raft.Propose(...)...;
//         while (raft.HasOutput()) CarryOut(raft.TakeOutput());   // see output.h
//
// Inputs only change state; what is to be sent is put together by TakeOutput, so
// that everything fed in between travels in one batch.
//
//                  election timeout     quorum would vote       quorum of votes
//   FOLLOWER <--> ---------------> PRE-CANDIDATE ----> CANDIDATE ----> LEADER
//      ^  a leader's message, or a     |                   |              |
//      |  higher term                  |                   |              |
//      +-------------------------------+-------------------+--------------+
//          higher term; or, of a leader: no quorum heard for an election timeout,
//          or its own disk stalled for as long
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
#include "coordinator/raft/log.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/progress.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

struct Config {
  NodeId self;
  GroupId group;
  // Of a new group; a recovered configuration goes before it.
  std::vector<NodeId> voters;
  // Drawn at random. When this node is the first leader of a new group, the group's first
  // entry says that this is the cluster's id. Nodes that were started with the same
  // voters and different ids so agree on one: that of the entry that is committed. None:
  // such a group has no id, and its messages are not told from another one's.
  ClusterKey new_cluster;

  // A follower that hears no leader for a random time between the two asks for an
  // election. The heartbeat interval must be well below the smaller one.
  Duration election_timeout_min = Duration::Millis(200);
  Duration election_timeout_max = Duration::Millis(400);
  Duration heartbeat_interval = Duration::Millis(40);

  size_t max_inflight_appends = 64;  // to each follower, unanswered
  size_t max_append_bytes = 512 * 1024;
  size_t max_uncommitted_bytes = 64 * 1024 * 1024;
  size_t snapshot_chunk_bytes = 512 * 1024;
  size_t max_inflight_chunks = 8;  // to each follower, unanswered
  // A snapshot that is being sent stays, and with it the log that the follower needs to
  // go on from it: not when the log would hold more than so many bytes, nor for a
  // follower that has taken nothing new for so long.
  size_t max_log_kept_bytes = size_t{256} << 20;
  Duration snapshot_patience = Duration::Seconds(60);
  // A follower without space for entries is left alone for a heartbeat interval, then
  // for longer and longer, up to this; one that could not keep a snapshot, up to that.
  Duration no_space_pause_max = Duration::Seconds(1);
  Duration snapshot_pause_max = Duration::Seconds(30);
  // What one Persist holds, and all that are not flushed together; an entry counts for
  // its data and 64 bytes. One entry goes alone when it is larger. What does not fit
  // waits in memory, and so do the messages that promise it.
  size_t max_persist_bytes = 4 * 1024 * 1024;
  size_t max_unflushed_bytes = 16 * 1024 * 1024;
  size_t max_committed_per_output = 2048;
  // So many entries behind a snapshot stay in memory, so that a follower that is a
  // little behind does not need the snapshot.
  size_t entries_kept_behind_snapshot = 4096;

  uint64_t seed = 1;  // different on each node, or elections keep colliding
};

// What the storage found: the snapshot that the log says is in force, and the entries
// behind it, contiguous, from snapshot.index + 1 on. A snapshot file that became durable
// while the log does not know of it yet (a crash during its installation) is not looked
// at: it is received again.
struct RecoveredState {
  HardState hard_state;
  SnapshotMeta snapshot;
  std::vector<Entry> entries;
};

// Rare paths, counted so that a test can prove that it reached them.
struct Counters {
  uint64_t pre_votes_started = 0;
  uint64_t elections_started = 0;
  uint64_t elections_won = 0;
  uint64_t votes_refused_for_live_leader = 0;
  uint64_t votes_refused_for_log = 0;
  uint64_t votes_refused_already_voted = 0;
  uint64_t stepped_down_without_quorum = 0;
  uint64_t stepped_down_for_disk = 0;
  uint64_t stepped_down_for_term = 0;
  uint64_t truncations = 0;
  uint64_t truncations_of_pending_persist = 0;
  uint64_t persists_held_for_disk = 0;
  uint64_t appends_rejected = 0;
  uint64_t stale_messages = 0;
  uint64_t commit_capped_at_last_new_entry = 0;
  uint64_t commit_held_for_own_term = 0;
  uint64_t inflight_limit_reached = 0;
  uint64_t proposals_refused_for_space = 0;
  uint64_t snapshots_begun = 0;
  uint64_t snapshot_chunks_repeated = 0;
  uint64_t snapshots_restarted = 0;
  uint64_t snapshot_chunks_early = 0;
  uint64_t snapshots_kept_for_a_transfer = 0;
  uint64_t logs_not_kept_any_more = 0;
  uint64_t snapshots_installed = 0;
  uint64_t logs_discarded_for_snapshot = 0;
  uint64_t malformed_messages = 0;
  uint64_t elections_held_for_own_vote = 0;
  uint64_t tails_lost = 0;       // this node's
  uint64_t peer_tails_lost = 0;  // found as leader
  uint64_t votes_refused_for_lost_tail = 0;
  uint64_t answers_from_before_a_loss = 0;
  uint64_t appends_refused_for_space = 0;
  uint64_t peers_without_space = 0;
  uint64_t transfers_begun = 0;
  uint64_t transfers_failed = 0;
  uint64_t elections_by_transfer = 0;
};

class Raft {
 public:
  // CHECKs that the configuration makes sense and that the recovered state is whole.
  Raft(Config config, RecoveredState recovered);
  Raft(const Raft&) = delete;
  Raft& operator=(const Raft&) = delete;

  // --- Inputs ---------------------------------------------------------------------

  // Time passes. Call it when NextDeadline() is reached, and with the current time
  // before messages are stepped after a pause: a leader that was stopped past an
  // election must learn that first. A clock that goes backwards arms every timer anew.
  void Tick(Timestamp now);

  // A message arrived. Lost, repeated and reordered ones are fine.
  // FAILED_PRECONDITION: it is of another cluster; nothing was changed.
  // INVALID_ARGUMENT: not for this node and group, from a node that is not in the
  // configuration, malformed, or contradicting what is known here for certain (a second
  // leader in a term, other entries than the committed ones, a term that no election can
  // have reached); nothing was changed. UNIMPLEMENTED: it has an entry
  // of a type that this version does not know; nothing was acknowledged.
  [[nodiscard]] absl::Status Step(Message message);

  // Appends commands, all or none; returns the index of the first, the others follow.
  // They are of term(). Whether they commit is known when `committed` shows an entry
  // of that index: of that term it is this one, of another it never commits.
  // FAILED_PRECONDITION: not the leader; leader() may know who is.
  // RESOURCE_EXHAUSTED: max_uncommitted_bytes would be passed; try when some of the
  // log is committed. UNAVAILABLE: leadership is being handed over; try when that has
  // failed, or ask the new leader. INVALID_ARGUMENT: no commands, or more than the limit
  // alone. After each of these errors nothing was appended.
  [[nodiscard]] absl::StatusOr<LogIndex> Propose(std::vector<std::string> commands);

  // Begins a linearizable read (thesis, section 6.4): `read_states` or `dropped_reads`
  // will show the token. Waits for this term's own entry to be committed, then for a
  // quorum to confirm the leader. FAILED_PRECONDITION: not the leader.
  [[nodiscard]] absl::Status ReadIndex(ReadToken token);

  // Hands leadership over to the follower that has most of the log, lives and has space
  // (thesis, section 3.10). Until it has taken over, or failed to for the smaller
  // election timeout, no proposals are taken. FAILED_PRECONDITION: not the leader, or
  // no follower can take over now; nothing was changed.
  [[nodiscard]] absl::Status TransferLeadership();

  // Whether the disk has room for new entries and for snapshots. Without it a follower
  // stores none, and tells the leader so. True at first.
  void SetHasSpace(bool has_space) { has_space_ = has_space; }

  // The persist of this id is flushed, and so are all before it.
  void OnPersisted(PersistId id);

  // The state machine has applied everything up to `index`.
  void OnApplied(LogIndex index);

  // The meta of a snapshot of the state machine at `index`, which must be applied and
  // not before the latest snapshot.
  [[nodiscard]] SnapshotMeta SnapshotMetaAt(LogIndex index) const;
  // Such a snapshot is durable: the log may be dropped up to it.
  void OnSnapshotTaken(const SnapshotMeta& meta);

  // Answers a SnapshotReadRequest. `last`: the snapshot ends with this chunk.
  // Answers that nobody waits for any more are ignored.
  void OnSnapshotChunkRead(NodeId to, const SnapshotMeta& meta, uint64_t offset,
                           std::string data, bool last);
  // That snapshot is not there any more: the latest one is sent instead.
  void OnSnapshotChunkGone(NodeId to, const SnapshotMeta& meta);
  // The older snapshot that is being sent, which is to stay beside the one in force; 0
  // when there is none.
  [[nodiscard]] LogIndex OlderSnapshotInUse() const;

  // Answers install_snapshot: it is durable, and is the state machine's state now.
  void OnSnapshotInstalled(const SnapshotMeta& meta);
  // Whether the snapshot being installed may replace the state machine's state: not when
  // it contradicts what was committed while it was saved. Then OnSnapshotInstallFailed.
  [[nodiscard]] bool MayInstall(const SnapshotMeta& meta) const;
  // It could not be kept or used, and nothing was replaced. The leader is told so, and
  // sends it again after a pause.
  void OnSnapshotInstallFailed(const SnapshotMeta& meta);

  // --- Output ---------------------------------------------------------------------

  // False: TakeOutput would give nothing.
  [[nodiscard]] bool HasOutput() const;
  [[nodiscard]] Output TakeOutput();

  // When Tick has something to do next.
  [[nodiscard]] Timestamp NextDeadline() const;

  // --- State ----------------------------------------------------------------------

  [[nodiscard]] NodeId self() const { return config_.self; }
  [[nodiscard]] GroupId group() const { return config_.group; }
  [[nodiscard]] Role role() const { return role_; }
  [[nodiscard]] bool is_leader() const { return role_ == Role::kLeader; }
  // A leader that has applied an entry of its own term: its state machine shows
  // everything that was committed before it. Only then may it act for the group.
  [[nodiscard]] bool is_ready_leader() const {
    return is_leader() && applied_index_ >= term_start_index_;
  }
  [[nodiscard]] NodeId leader() const { return leader_; }  // 0: not known
  [[nodiscard]] Term term() const { return hard_state_.term; }
  [[nodiscard]] const HardState& hard_state() const { return hard_state_; }
  // Known once the group's first entry is committed, and never another one from then on.
  [[nodiscard]] const ClusterKey& cluster() const { return hard_state_.cluster; }
  [[nodiscard]] LogIndex commit_index() const { return commit_index_; }
  [[nodiscard]] LogIndex applied_index() const { return applied_index_; }
  [[nodiscard]] LogIndex persisted_index() const { return persisted_index_; }
  [[nodiscard]] const SnapshotMeta& snapshot() const { return snapshot_; }
  [[nodiscard]] const Log& log() const { return log_; }
  [[nodiscard]] const Configuration& configuration() const { return configuration_; }
  [[nodiscard]] size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  [[nodiscard]] bool is_transferring() const { return transfer_.has_value(); }
  // The log is shorter than what this node has acknowledged, and the leader has said
  // so. It does not stand for election, and votes as if it had the rest.
  [[nodiscard]] bool lost_tail() const { return LastPosition() < must_hold_; }
  // By follower; empty when not the leader.
  [[nodiscard]] const std::map<NodeId, Progress>& progress() const { return progress_; }
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  // A persist that was handed out and is not flushed yet.
  struct PendingPersist {
    PersistId id;
    Timestamp issued_at;
    HardState hard_state;
    // After it, the log is durable up to here. Lowered when entries that it holds are
    // overwritten in memory: the flush of the old entry says nothing about the new
    // one at the same index.
    LogIndex last_index;
    size_t bytes = 0;
  };
  // A message that promises this state, and the log up to this entry.
  struct WaitingMessage {
    Message message;
    HardState hard_state;
    LogIndex index;
  };
  // Where a log ends, in the order of section 5.4.1: the later term, then the longer.
  struct LogPosition {
    Term term;
    LogIndex index;
    friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
  };
  struct Transfer {
    NodeId to;
    Timestamp deadline;
    bool sent = false;  // since the last heartbeat
  };
  struct PendingRead {
    ReadToken token;
    LogIndex index;
    uint64_t round = 0;
  };
  struct ReceivedSnapshot {
    SnapshotMeta meta;
    Term sender_term;
    uint64_t next_offset = 0;
    // Chunks that have overtaken an earlier one, by their offset; no more of them than
    // max_inflight_chunks.
    std::map<uint64_t, SnapshotChunk> early;
  };

  // raft.cc
  void Recover(RecoveredState recovered);
  void Dispatch(Message message);
  // plausibility.cc
  [[nodiscard]] absl::Status CheckCluster(const Message& message) const;
  [[nodiscard]] absl::Status CheckPlausible(const Message& message) const;
  [[nodiscard]] absl::Status CheckPlausible(const AppendRequest& request) const;
  [[nodiscard]] absl::Status CheckPlausible(const SnapshotChunk& chunk) const;
  void AnswerStale(const Message& message);
  void Send(NodeId to, Message::Body body);
  // At once when the term, the vote and the log up to `index` are on the disk.
  void SendWhenDurable(NodeId to, Message::Body body, LogIndex index);
  void TakeMessages(Output* output);
  void TakePersist(Output* output);
  // The messages among those that wait which what was handed out so far makes true.
  [[nodiscard]] std::vector<Message> TakeIssued();
  void TakeCommitted(Output* output);
  [[nodiscard]] bool HasSomethingToPersist() const;
  // So many bytes of entries may be handed out to be written; 0 while the disk is
  // behind.
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
  void HearFromLeader(NodeId leader);
  [[nodiscard]] bool HearsLiveLeader() const;
  [[nodiscard]] LogPosition LastPosition() const {
    return LogPosition{log_.last_term(), log_.last_index()};
  }
  [[nodiscard]] bool IsUpToDate(LogIndex last_index, Term last_term);
  [[nodiscard]] bool MayStand() const;
  void StartPreVote();
  void StartElection(bool transfer);
  void BecomeLeader();
  void RecordVote(NodeId voter);
  void TickLeader();
  void StepDown(uint64_t* counter);
  void Handle(NodeId from, const PreVoteRequest& request);
  void Handle(NodeId from, Term sender_term, const PreVoteResponse& response);
  void Handle(NodeId from, const VoteRequest& request);
  void Handle(NodeId from, const VoteResponse& response);

  // transfer.cc
  [[nodiscard]] bool CanTakeOver(const Progress& progress) const;
  [[nodiscard]] bool WantsTimeoutNow() const;
  void SendTimeoutNow();
  void EndTransferInTime();
  void Handle(NodeId from, const TimeoutNow& message);

  // append_receiver.cc
  void Handle(NodeId from, AppendRequest request);
  [[nodiscard]] bool MatchesPrevious(LogIndex index, Term term) const;
  void RejectAppend(NodeId leader, const AppendRequest& request);
  void HearOfPromise(NodeId leader, const AppendRequest& request);
  void AnswerLostTail(NodeId leader, const AppendRequest& request);
  void AnswerNoSpace(NodeId leader, uint64_t read_round);
  void NoteRefilled();
  [[nodiscard]] AppendResponse NewResponse(uint64_t read_round) const;
  void StoreEntries(std::vector<Entry> entries);
  void AcknowledgeAppend(NodeId leader, LogIndex match, uint64_t read_round);

  // append_sender.cc
  void SendAppends(NodeId to, Progress* progress);
  void SendAppend(NodeId to, Progress* progress, std::vector<Entry> entries);
  void SendHeartbeat(NodeId to, Progress* progress);
  void AddWhatIsKnown(const Progress& progress, AppendRequest* request) const;
  [[nodiscard]] bool HasAppendsToSend(const Progress& progress) const;
  void Handle(NodeId from, const AppendResponse& response);
  void OnTailLost(NodeId from, Progress* progress, const AppendResponse& response);
  void FollowSpace(NodeId from, Progress* progress, bool no_space);
  void OnAppendAccepted(Progress* progress, LogIndex match);
  void OnAppendRejected(Progress* progress, const AppendResponse& response);
  void AdvanceCommitIndex();

  // snapshot_transfer.cc
  void CompactLog();
  void EndClaims(LogIndex needed_by_nobody);
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
  void DropReads();
  [[nodiscard]] bool CommittedInOwnTerm() const;

  const Config config_;
  Random random_;
  Configuration configuration_;          // the latest in the log, committed or not
  Configuration initial_configuration_;  // from Config: before the log's first entry

  // Time.
  Timestamp now_;
  bool ticked_ = false;
  Timestamp election_deadline_ = Timestamp::Infinite();
  Timestamp heartbeat_deadline_ = Timestamp::Infinite();
  Timestamp heard_leader_at_;

  // Durable, or about to be.
  HardState hard_state_;
  SnapshotMeta snapshot_;
  Log log_;

  // How far the disk is.
  PersistId last_persist_;
  std::deque<PendingPersist> pending_persists_;
  size_t unflushed_bytes_ = 0;      // of all of them
  HardState issued_hard_state_;     // handed out to be written
  HardState persisted_hard_state_;  // flushed
  LogIndex next_to_persist_;        // first entry not yet handed out
  LogIndex persisted_index_;        // flushed, as they stand in log_ now
  bool snapshot_to_persist_ = false;
  bool discard_log_ = false;

  // Volatile state of Figure 2.
  Role role_ = Role::kFollower;
  NodeId leader_;
  LogIndex commit_index_;
  LogIndex handed_out_index_;  // last entry given out in `committed`
  LogIndex applied_index_;
  SoftState reported_soft_state_;

  // Candidate's.
  std::set<NodeId> votes_;

  // Follower's.
  bool has_space_ = true;
  Term loss_round_term_;  // of the leader that loss_round_ is from
  uint64_t loss_round_ = 0;
  // What this node has acknowledged and was found not to have any more.
  LogPosition must_hold_;
  bool tail_lost_noted_ = false;

  // Leader's.
  LogIndex term_start_index_;
  std::map<NodeId, Progress> progress_;
  size_t uncommitted_bytes_ = 0;
  std::optional<Transfer> transfer_;
  bool tried_transfer_for_disk_ = false;  // the next thing is to step down
  uint64_t read_round_ = 0;
  std::vector<ReadToken> waiting_reads_;   // not in a round yet
  std::deque<PendingRead> pending_reads_;  // in a round, not confirmed

  // Snapshot being received.
  std::optional<ReceivedSnapshot> receiving_;
  std::optional<SnapshotMeta> installing_;

  // Collected for TakeOutput.
  std::vector<Message> messages_;
  std::vector<WaitingMessage> messages_after_persist_;
  std::vector<ReadState> read_states_;
  std::vector<ReadToken> dropped_reads_;
  std::vector<Notice> notices_;
  std::vector<SnapshotReadRequest> snapshot_reads_;
  std::vector<SnapshotWrite> snapshot_writes_;
  std::optional<SnapshotMeta> install_snapshot_;

  Counters counters_;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_RAFT_H_
