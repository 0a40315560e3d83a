#include "coordinator/raft/raft.h"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/raft/validation.h"

namespace concordat::raft {

namespace {

// Whether a promise that needs the state `needed` is true once `issued` is on disk.
// Within a term a vote is given once and never changed.
bool Covers(const HardState& issued, const HardState& needed) {
  if (issued.term != needed.term) return issued.term > needed.term;
  if (!needed.cluster.is_none() && issued.cluster != needed.cluster) return false;
  return needed.vote.is_none() || issued.vote == needed.vote;
}

bool IsFromLeader(const Message::Body& body) {
  return std::holds_alternative<AppendRequest>(body) ||
         std::holds_alternative<SnapshotChunk>(body) ||
         std::holds_alternative<TimeoutNow>(body);
}

}  // namespace

Raft::Raft(Config config, RecoveredState recovered)
    : config_(std::move(config)),
      random_(config_.seed),
      configurations_(config_.members) {
  CONCORDAT_CHECK(config_.heartbeat_interval > Duration() &&
                  config_.heartbeat_interval < config_.election_timeout_min &&
                  config_.election_timeout_min < config_.election_timeout_max)
      << "timers of Raft do not fit each other";
  CONCORDAT_CHECK(config_.max_inflight_appends > 0 && config_.snapshot_chunk_bytes > 0 &&
                  config_.max_inflight_chunks > 0 &&
                  config_.max_committed_per_output > 0 && config_.max_persist_bytes > 0 &&
                  config_.max_unflushed_bytes > 0);
  Recover(std::move(recovered));
}

void Raft::Recover(RecoveredState recovered) {
  hard_state_ = issued_hard_state_ = persisted_hard_state_ = recovered.hard_state;
  snapshot_ = std::move(recovered.snapshot);
  log_ = Log(snapshot_.index, snapshot_.term);
  if (!snapshot_.index.is_none()) {
    configurations_ = ConfigurationHistory(snapshot_.configuration, snapshot_.index);
  }
  for (Entry& entry : recovered.entries) AppendEntry(std::move(entry));
  // A crash came after the record of a received snapshot and before that of its cluster.
  if (!snapshot_.index.is_none() && hard_state_.cluster.is_none()) {
    hard_state_.cluster = snapshot_.configuration.cluster();
  }
  CONCORDAT_CHECK(log_.last_term() <= hard_state_.term)
      << "an entry of term " << log_.last_term() << " was stored before the term";
  commit_index_ = handed_out_index_ = applied_index_ = snapshot_.index;
  persisted_index_ = log_.last_index();
  next_to_persist_ = persisted_index_.Next();
  reported_soft_state_ = CurrentSoftState();
  configuration_changed_ = true;
}

void Raft::Tick(Timestamp now) {
  if (!ticked_ || now < now_) {
    const bool first = !ticked_;
    ticked_ = true;
    now_ = heard_leader_at_ = heartbeat_deadline_ = now;
    for (auto& [node, progress] : progress_) progress.last_heard = now;
    ArmElectionTimer();
    // No other node could be the leader, so there is nothing to wait for.
    if (first && configuration().IsOnlyVoter(config_.self)) election_deadline_ = now;
  }
  now_ = now;
  if (is_leader()) {
    TickLeader();
  } else if (now_ >= election_deadline_) {
    StartPreVote();
  }
}

Timestamp Raft::NextDeadline() const {
  if (!ticked_) return Timestamp();
  return is_leader() ? heartbeat_deadline_ : election_deadline_;
}

absl::Status Raft::Step(Message message) {
  absl::Status valid =
      ValidateMessage(message, config_.self, config_.group, configuration());
  if (valid.ok()) valid = CheckCluster(message);
  if (valid.ok()) valid = CheckLogs(message);
  if (valid.ok()) valid = CheckPlausible(message);
  if (!valid.ok()) {
    ++counters_.malformed_messages;
    return valid;
  }
  // Pre-votes do not change the term on either side (thesis, section 9.6).
  if (const auto* request = std::get_if<PreVoteRequest>(&message.body)) {
    Handle(message.from, *request);
    return absl::OkStatus();
  }
  if (const auto* response = std::get_if<PreVoteResponse>(&message.body)) {
    Handle(message.from, message.term, *response);
    return absl::OkStatus();
  }
  const auto* vote = std::get_if<VoteRequest>(&message.body);
  if (vote != nullptr && !vote->leadership_transfer && HasLiveLeader()) {
    // A node that has lost contact must not depose a leader from whom others still hear
    // (section 6 of the paper). So its higher term is not adopted either.
    ++counters_.votes_refused_for_live_leader;
    SendWhenDurable(message.from, VoteResponse{false}, LogIndex());
    return absl::OkStatus();
  }
  // "All servers": a node that hears of a higher term becomes a follower.
  if (message.term > term()) {
    if (role_ != Role::kFollower) ++counters_.stepped_down_for_term;
    BecomeFollower(message.term, IsFromLeader(message.body) ? message.from : NodeId());
  }
  if (message.term < term()) {
    ++counters_.stale_messages;
    AnswerStale(message);
    return absl::OkStatus();
  }
  Dispatch(std::move(message));
  return absl::OkStatus();
}

void Raft::AnswerStale(const Message& message) {
  // Rule 1 of both receivers: reply false if term < currentTerm. The answer's term tells
  // the sender why. Late answers to this node's own earlier requests are dropped.
  if (std::holds_alternative<VoteRequest>(message.body)) {
    SendWhenDurable(message.from, VoteResponse{false}, LogIndex());
  } else if (const auto* request = std::get_if<AppendRequest>(&message.body)) {
    AppendResponse response;
    response.rejected_index = request->prev_log_index;
    SendWhenDurable(message.from, response, LogIndex());
  } else if (std::holds_alternative<SnapshotChunk>(message.body)) {
    SendWhenDurable(message.from, AppendResponse{}, LogIndex());
  }
}

void Raft::Dispatch(Message message) {
  std::visit(
      [this, from = message.from](auto&& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (!std::is_same_v<Body, PreVoteRequest> &&
                      !std::is_same_v<Body, PreVoteResponse>) {
          Handle(from, std::forward<decltype(body)>(body));
        }
      },
      std::move(message.body));
}

absl::StatusOr<LogIndex> Raft::Propose(std::vector<std::string> commands) {
  if (!is_leader()) {
    return absl::FailedPreconditionError(
        leader_.is_none()
            ? "not the leader, and the leader is not known"
            : absl::StrCat("not the leader; node ", leader_.value(), " is"));
  }
  if (commands.empty()) return absl::InvalidArgumentError("no commands to append");
  if (transfer_.has_value()) {
    return absl::UnavailableError(
        absl::StrCat("leadership is being handed over to node ", transfer_->to.value()));
  }
  size_t bytes = 0;
  for (const std::string& command : commands) {
    bytes += command.size() + kEntryOverheadBytes;
  }
  if (bytes > config_.max_uncommitted_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        bytes, " bytes at once, more than the log may ever hold uncommitted (",
        config_.max_uncommitted_bytes, ")"));
  }
  if (uncommitted_bytes_ + bytes > config_.max_uncommitted_bytes) {
    ++counters_.proposals_refused_for_space;
    return absl::ResourceExhaustedError(
        absl::StrCat(uncommitted_bytes_, " bytes wait to be committed, the limit is ",
                     config_.max_uncommitted_bytes));
  }
  const LogIndex first = log_.last_index().Next();
  for (std::string& command : commands) {
    log_.Append(Entry{term(), log_.last_index().Next(), EntryType::kCommand,
                      Payload(std::move(command))});
  }
  uncommitted_bytes_ += bytes;
  return first;
}

void Raft::OnPersisted(PersistId id) {
  CONCORDAT_CHECK(id <= last_persist_) << "persist " << id << " was never issued";
  const bool was_durable = persisted_hard_state_ == hard_state_;
  Duration took;
  while (!pending_persists_.empty() && pending_persists_.front().id <= id) {
    const PendingPersist& done = pending_persists_.front();
    took = now_ - done.issued_at;
    persisted_hard_state_ = done.hard_state;
    persisted_index_ = std::max(persisted_index_, done.last_index);
    unflushed_bytes_ -= done.bytes;
    pending_persists_.pop_front();
  }
  const bool voted = !hard_state_.vote.is_none();
  if (!was_durable && persisted_hard_state_ == hard_state_ && voted && !is_leader()) {
    // Only now do others hear of the vote. To grant theirs they have to write too, which
    // is likely to take as long.
    ArmElectionTimer();
    election_deadline_ = election_deadline_ + took;
  }
  // A candidate's vote for itself counts once it is durable.
  if (role_ == Role::kCandidate && persisted_hard_state_ == hard_state_) {
    RecordVote(config_.self);
  }
  if (is_leader()) AdvanceCommitIndex();
}

void Raft::OnApplied(LogIndex index) {
  CONCORDAT_CHECK(index <= handed_out_index_)
      << "entry " << index << " applied before it was handed out";
  applied_index_ = std::max(applied_index_, index);
}

bool Raft::HasSomethingToPersist() const {
  return hard_state_ != issued_hard_state_ || snapshot_to_persist_ ||
         next_to_persist_ <= log_.last_index();
}

size_t Raft::PersistRoom() const {
  if (pending_persists_.empty()) return config_.max_persist_bytes;
  if (unflushed_bytes_ >= config_.max_unflushed_bytes) return 0;
  return std::min(config_.max_persist_bytes,
                  config_.max_unflushed_bytes - unflushed_bytes_);
}

bool Raft::IsIssued(const WaitingMessage& waiting) const {
  if (!Covers(issued_hard_state_, waiting.hard_state)) return false;
  // A snapshot that is not handed out yet may contain the entries.
  return waiting.index.is_none() ||
         (waiting.index < next_to_persist_ && !snapshot_to_persist_);
}

// Entries are applied only when they are on this node's own disk too, so that the state
// machine is never ahead of the log that a restart would find.
LogIndex Raft::LastApplicable() const {
  if (installing_.has_value()) return handed_out_index_;
  return std::min(commit_index_, persisted_index_);
}

bool Raft::HasOutput() const {
  const bool may_persist = PersistRoom() > 0;
  if ((may_persist && HasSomethingToPersist()) || LastApplicable() > handed_out_index_ ||
      CurrentSoftState() != reported_soft_state_ || !messages_.empty() ||
      std::any_of(messages_after_persist_.begin(), messages_after_persist_.end(),
                  [this](const WaitingMessage& w) { return IsIssued(w); }) ||
      !read_states_.empty() || !notices_.empty() || !snapshot_reads_.empty() ||
      !snapshot_writes_.empty() || install_snapshot_.has_value() ||
      configuration_changed_) {
    return true;
  }
  if (!is_leader()) return false;
  if (WantsTimeoutNow()) return true;
  if (!waiting_reads_.empty() && CommittedInOwnTerm()) return true;
  return std::any_of(progress_.begin(), progress_.end(), [this](const auto& peer) {
    return peer.second.heartbeat_due || HasAppendsToSend(peer.second) ||
           WantsSnapshotRead(peer.second);
  });
}

Output Raft::TakeOutput() {
  if (is_leader()) {
    StartReadRound();
    for (auto& [node, progress] : progress_) SendAppends(node, &progress);
    SendTimeoutNow();
  }
  Output output;
  TakePersist(&output);
  TakeMessages(&output);
  TakeCommitted(&output);
  output.read_states = std::exchange(read_states_, {});
  if (const SoftState now = CurrentSoftState(); now != reported_soft_state_) {
    output.soft_state = reported_soft_state_ = now;
  }
  if (std::exchange(configuration_changed_, false))
    output.configuration = configuration();
  output.notices = std::exchange(notices_, {});
  output.snapshot_reads = std::exchange(snapshot_reads_, {});
  output.snapshot_writes = std::exchange(snapshot_writes_, {});
  output.install_snapshot = std::exchange(install_snapshot_, std::nullopt);
  return output;
}

void Raft::TakeMessages(Output* output) {
  output->messages = std::exchange(messages_, {});
  output->after_persist = last_persist_;
  std::vector<Message> issued = TakeIssued();
  if (!pending_persists_.empty()) {
    output->messages_after_persist = std::move(issued);
    return;
  }
  // The persists that these messages waited for have been flushed in the meantime.
  output->messages.insert(output->messages.end(), std::make_move_iterator(issued.begin()),
                          std::make_move_iterator(issued.end()));
}

std::vector<Message> Raft::TakeIssued() {
  std::vector<Message> issued;
  std::vector<WaitingMessage> still;
  for (WaitingMessage& waiting : std::exchange(messages_after_persist_, {})) {
    if (IsIssued(waiting)) {
      issued.push_back(std::move(waiting.message));
    } else {
      still.push_back(std::move(waiting));
    }
  }
  messages_after_persist_ = std::move(still);
  return issued;
}

void Raft::TakePersist(Output* output) {
  if (!HasSomethingToPersist()) return;
  const size_t room = PersistRoom();
  if (room == 0) return;
  Persist persist;
  last_persist_ = last_persist_.Next();
  persist.id = last_persist_;
  if (std::exchange(snapshot_to_persist_, false)) {
    persist.snapshot = snapshot_;
    persist.discard_log = std::exchange(discard_log_, false);
  }
  if (hard_state_ != issued_hard_state_) {
    persist.hard_state = issued_hard_state_ = hard_state_;
  }
  persist.entries =
      log_.Slice(next_to_persist_, log_.last_index(), room, kEntryOverheadBytes);
  size_t bytes = kEntryOverheadBytes;
  for (const Entry& entry : persist.entries) bytes += EntryCost(entry);
  next_to_persist_ = LogIndex(next_to_persist_.value() + persist.entries.size());
  if (next_to_persist_ <= log_.last_index()) ++counters_.persists_held_for_disk;
  unflushed_bytes_ += bytes;
  pending_persists_.push_back(
      PendingPersist{persist.id, now_, hard_state_, next_to_persist_.Previous(), bytes});
  output->persist = std::move(persist);
}

void Raft::TakeCommitted(Output* output) {
  const LogIndex last(
      std::min(LastApplicable().value(),
               handed_out_index_.value() + config_.max_committed_per_output));
  if (last <= handed_out_index_) return;
  output->committed = log_.Slice(handed_out_index_.Next(), last, SIZE_MAX);
  handed_out_index_ = last;
}

SoftState Raft::CurrentSoftState() const { return SoftState{role_, leader_, term()}; }

bool Raft::DiskIsStalled() const {
  return !pending_persists_.empty() &&
         now_ - pending_persists_.front().issued_at > config_.election_timeout_max;
}

void Raft::SetCommitIndex(LogIndex index) {
  CONCORDAT_CHECK(index >= commit_index_ && index <= log_.last_index())
      << "commit index " << index << " after " << commit_index_ << ", log ends at "
      << log_.last_index();
  if (is_leader()) {
    for (LogIndex i = commit_index_.Next(); i <= index; i = i.Next()) {
      uncommitted_bytes_ -= EntryCost(log_.At(i));
    }
  }
  commit_index_ = index;
  AdoptCluster();
}

// The group's first entry is committed: the node belongs to that entry's cluster from now
// on.
void Raft::AdoptCluster() {
  if (hard_state_.cluster.is_none() && !commit_index_.is_none()) {
    hard_state_.cluster = configurations_.At(commit_index_).cluster();
  }
}

// A configuration is in force as soon as it is in the log (thesis, section 4.1).
void Raft::AppendEntry(Entry entry) {
  if (entry.type == EntryType::kConfiguration) {
    const auto configuration = DecodeConfiguration(entry.data.view());
    CONCORDAT_CHECK(configuration.has_value()) << "a configuration that does not decode";
    configurations_.Append(entry.index, *configuration);
    configuration_changed_ = true;
  }
  log_.Append(std::move(entry));
}

void Raft::CountUncommitted() {
  uncommitted_bytes_ = 0;
  for (LogIndex i = commit_index_.Next(); i <= log_.last_index(); i = i.Next()) {
    uncommitted_bytes_ += EntryCost(log_.At(i));
  }
}

void Raft::TruncateLog(LogIndex from) {
  CONCORDAT_CHECK(from > commit_index_)
      << "a leader of term " << term() << " overwrites the committed entry " << from;
  ++counters_.truncations;
  log_.TruncateFrom(from);
  if (configuration_index() >= from) {
    ++counters_.configurations_reverted;
    configurations_.TruncateFrom(from);
    configuration_changed_ = true;
  }
  next_to_persist_ = std::min(next_to_persist_, from);
  LimitPersistedTo(from.Previous());
  DropPromisesFrom(from);
}

// Drops messages that promise entries which were never written and never will be.
void Raft::DropPromisesFrom(LogIndex index) {
  std::erase_if(messages_after_persist_,
                [index](const WaitingMessage& w) { return w.index >= index; });
}

void Raft::LimitPersistedTo(LogIndex index) {
  persisted_index_ = std::min(persisted_index_, index);
  for (PendingPersist& persist : pending_persists_) {
    if (persist.last_index <= index) continue;
    ++counters_.truncations_of_pending_persist;
    persist.last_index = index;
  }
}

Message Raft::MakeMessage(NodeId to, Message::Body body) const {
  const bool answers = IsAnswer(body);
  const Member* receiver = configuration().Find(to);
  return Message{config_.group,
                 config_.self,
                 to,
                 term(),
                 std::move(body),
                 answers ? cluster() : configuration().cluster(),
                 config_.log,
                 receiver == nullptr ? LogId() : receiver->log};
}

void Raft::Send(NodeId to, Message::Body body) {
  messages_.push_back(MakeMessage(to, std::move(body)));
}

void Raft::SendWhenDurable(NodeId to, Message::Body body, LogIndex index) {
  if (persisted_hard_state_ == hard_state_ && index <= persisted_index_) {
    Send(to, std::move(body));
    return;
  }
  messages_after_persist_.push_back(
      WaitingMessage{MakeMessage(to, std::move(body)), hard_state_, index});
}

}  // namespace concordat::raft
