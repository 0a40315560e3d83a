#include "tests/simulation/coordinator_node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/text.h"
#include "coordinator/group/recovery.h"
#include "coordinator/storage/raft_records.h"

namespace concordat::simulation {

namespace {

constexpr Duration kSoonest = Duration::Micros(50);

// Decodes the records to the write that the Raft core had asked for.
raft::Persist ToPersist(const std::vector<wal::Record>& records) {
  raft::Persist persist;
  for (const wal::Record& record : records) {
    auto decoded = storage::DecodeRaftRecord(record.type, record.payload);
    CONCORDAT_CHECK(decoded.ok()) << decoded.status().message();
    if (auto* state = std::get_if<storage::HardStateRecord>(&*decoded)) {
      persist.hard_state = state->state;
    } else if (auto* snapshot = std::get_if<storage::SnapshotRecord>(&*decoded)) {
      persist.snapshot = snapshot->meta;
      persist.discard_log = snapshot->discard_log;
    } else {
      persist.entries.push_back(
          std::move(std::get<storage::EntryRecord>(*decoded).entry));
    }
  }
  return persist;
}

}  // namespace

NodeId Directory::NodeOf(ProcessId process) const {
  for (const auto& [node, at] : nodes) {
    if (at == process) return node;
  }
  return NodeId();
}

CoordinatorNode::Machines::Machines(const NodeOptions& options)
    : of_coordinator(
          options.replica.raft.group, options.txn, registry::Options(),
          options.counters
              ? std::map<group::MachineId, group::StateMachine*>{{testing::kCounters,
                                                                  &counters}}
              : std::map<group::MachineId, group::StateMachine*>{}) {}

CoordinatorNode::CoordinatorNode(World* world, const Directory* directory,
                                 const Checks& checks, NodeOptions options)
    : world_(world),
      directory_(directory),
      checks_(checks),
      options_(std::move(options)),
      random_(world->NewSeed()) {
  const uint64_t seed = world->NewSeed();
  disk_ = options_.real_log
              ? MakeLogDisk(seed, options_.replica.raft.group, &world->rare())
              : MakeRecordDisk(seed, &world->rare());
}

CoordinatorNode::~CoordinatorNode() = default;

// --- Starts and ends ---------------------------------------------------------------

void CoordinatorNode::Start() {
  if (std::exchange(lose_tail_, false)) LoseTail();
  store_ = std::make_unique<storage::RaftStore>();
  wal::Lsn last;
  disk_->Open([&](wal::Lsn lsn, uint8_t type, std::string_view payload) {
    store_->Replay(lsn, type, payload);
    last = lsn;
  });
  ShowWhatSurvived(last);
  machines_ = std::make_unique<Machines>(options_);
  auto recovered = group::Recover(
      store_.get(), options_.replica.raft.group,
      [this](GroupId, LogIndex index, storage::SnapshotStore::TakePart take) {
        return disk_->LoadSnapshot(index, take);
      },
      machines_->of_coordinator.set());
  CONCORDAT_CHECK(recovered.ok()) << recovered.status().message();
  store_->Attach(this);
  // Each incarnation draws other election time-outs.
  group::ReplicaConfig config = options_.replica;
  config.raft.seed = random_.Next();
  config.raft.new_cluster = {config.raft.seed | 1, id().value()};
  replica_ = std::make_unique<group::Replica>(
      config, *std::move(recovered), machines_->of_coordinator.set(), store_.get(),
      static_cast<group::ReplicaEnvironment*>(this));
  observed_ = replica_->raft().applied_index();
  counted_ = raft::Counters();
  checks_.raft->AfterStart(replica_->raft());
  Tick();
  Act();
}

void CoordinatorNode::LoseTail() {
  if (!disk_->CanLoseTail()) return;
  wal::Lsn last;
  disk_->Open([&last](wal::Lsn lsn, uint8_t, std::string_view) { last = lsn; });
  ShowWhatSurvived(last);
  const LogIndex first = checks_.raft->FirstThatMayBeLost(id());
  const LogIndex end = checks_.raft->DurableEnd(id());
  if (first > end) return;
  const uint64_t most = end.value() - first.value() + 1;
  const size_t lost = disk_->LoseTail(1 + random_.Below(most));
  if (lost == 0) return;
  world_->rare().Add(Rare::kTailLost);
  checks_.raft->OnTailLost(id(), LogIndex(end.value() - lost));
}

bool CoordinatorNode::HandOver() {
  if (replica_ == nullptr) return false;
  const bool begun = replica_->HandOver().ok();
  Wake();
  return begun;
}

// After a crash a part of what was being written may survive.
void CoordinatorNode::ShowWhatSurvived(wal::Lsn last) {
  for (UnflushedPersist& write : unflushed_) {
    const uint64_t first = write.lsn.value() - write.records.size() + 1;
    if (last.value() < first) break;
    if (last < write.lsn) write.records.resize(last.value() - first + 1);
    checks_.raft->OnDurable(id(), ToPersist(write.records));
  }
  unflushed_.clear();
}

void CoordinatorNode::Crash(bool power) {
  CountRaftPaths();
  if (world_->keeps_history()) {
    world_->Note(absl::StrCat(world_->NameOf(process_), ": was durable up to record ",
                              disk_->durable_lsn().value()));
  }
  world_->rare().Add(power ? Rare::kNodePowerLost : Rare::kNodeKilled);
  replica_.reset();
  machines_.reset();
  store_.reset();
  disk_->Crash(power);
  flushing_ = act_scheduled_ = acting_ = false;
  timer_at_ = Timestamp::Infinite();
  requests_.clear();
  counts_.clear();
  verbs_.clear();
  timing_out_.clear();
}

bool CoordinatorNode::IsReadyLeader() const {
  return replica_ != nullptr && replica_->raft().is_ready_leader();
}

void CoordinatorNode::SetFlushTime(Duration min, Duration max) {
  options_.flush_min = min;
  options_.flush_max = max;
}

void CoordinatorNode::Tick() {
  replica_->Tick(world_->ClockOf(process_).Now());
  checks_.raft->AfterStep(replica_->raft());
}

void CoordinatorNode::Wake() {
  if (options_.batch == Duration()) {
    Act();
    return;
  }
  if (act_scheduled_) return;
  act_scheduled_ = true;
  const Duration delay = Duration::Micros(random_.Between(0, options_.batch.micros()));
  world_->After(process_, delay, [this] {
    act_scheduled_ = false;
    Act();
  });
}

void CoordinatorNode::Act() {
  ++steps_;
  acting_ = true;
  const bool more = replica_->Process();
  acting_ = false;
  ObserveApplied();
  const machines::Machines& machines = machines_->of_coordinator;
  checks_.judge->OnStateHash(id(), machines.last_applied(), machines.StateHash());
  const testing::CounterMachine& counters = machines_->counters;
  checks_.counters->OnDigest(id(), counters.last_applied(), counters.digest());
  checks_.raft->AfterStep(replica_->raft());
  if (!checks_.raft->ok()) world_->Fail(checks_.raft->violations().front());
  SendVerbs();
  StartFlush();
  ArmTimer();
  if (more) {
    world_->After(process_, kSoonest, [this] {
      Tick();
      Act();
    });
  }
  if (steps_ % 64 == 0) CountRaftPaths();
}

void CoordinatorNode::ArmTimer() {
  const Timestamp deadline = replica_->NextDeadline();
  if (deadline == Timestamp::Infinite()) return;
  const Duration wait =
      std::max(kSoonest, world_->ClockOf(process_).TrueTimeUntil(deadline));
  const Timestamp at = world_->now() + wait;
  if (timer_at_ > world_->now() && timer_at_ <= at) return;
  timer_at_ = at;
  world_->After(process_, wait, [this, at] {
    if (timer_at_ != at) return;
    timer_at_ = Timestamp::Infinite();
    Tick();
    Act();
  });
}

// --- Disk --------------------------------------------------------------------------

absl::StatusOr<wal::Lsn> CoordinatorNode::Append(const std::vector<wal::Record>& records,
                                                 wal::Reserve use) {
  auto lsn = disk_->Append(records, use);
  if (world_->keeps_history()) {
    for (const wal::Record& record : records) {
      world_->Note(absl::StrCat(
          world_->NameOf(process_), " writes up to ", lsn.ok() ? lsn->value() : 0, ": ",
          storage::DescribeRaftRecord(record.type, record.payload)));
    }
  }
  if (lsn.ok()) unflushed_.push_back({*lsn, records});
  ObserveApplied();
  checks_.raft->AfterStep(replica_->raft());
  return lsn;
}

// The device works independently: it also finishes while the process is stopped.
void CoordinatorNode::StartFlush() {
  if (flushing_ || !disk_->HasUnflushed()) return;
  flushing_ = true;
  disk_->BeginFlush();
  const int64_t micros =
      random_.Between(options_.flush_min.micros(), options_.flush_max.micros());
  if (micros > options_.replica.raft.election_timeout_max.micros()) {
    world_->rare().Add(Rare::kSlowFlush);
  }
  world_->After(
      Duration::Micros(micros), [this, incarnation = world_->IncarnationOf(process_)] {
        if (!world_->IsUp(process_) || world_->IncarnationOf(process_) != incarnation)
          return;
        const wal::Lsn durable = disk_->FinishFlush();
        while (!unflushed_.empty() && unflushed_.front().lsn <= durable) {
          checks_.raft->OnDurable(id(), ToPersist(unflushed_.front().records));
          unflushed_.pop_front();
        }
        world_->After(process_, Duration(), [this, durable] { OnFlushed(durable); });
      });
}

void CoordinatorNode::OnFlushed(wal::Lsn durable) {
  flushing_ = false;
  Tick();
  replica_->OnDurable(durable);
  checks_.raft->AfterStep(replica_->raft());
  if (random_.Percent(2)) HouseKeep();
  Wake();
  StartFlush();
}

// As the daemon does: removes a snapshot when the log durably names a later one and the
// snapshot is not being sent.
void CoordinatorNode::HouseKeep() {
  store_->Compact();
  const LogIndex snapshot = store_->DurableSnapshot(options_.replica.raft.group);
  if (snapshot.is_none()) return;
  disk_->RemoveOlderSnapshots(snapshot, replica_->raft().OlderSnapshotInUse());
}

void CoordinatorNode::AfterDisk(std::function<void()> action) {
  const Duration delay = Duration::Micros(random_.Between(200, 20'000));
  world_->After(delay, [this, action = std::move(action),
                        incarnation = world_->IncarnationOf(process_)] {
    if (world_->IsUp(process_) && world_->IncarnationOf(process_) == incarnation)
      action();
  });
}

void CoordinatorNode::SaveSnapshot(const raft::SnapshotMeta& meta,
                                   std::unique_ptr<group::SnapshotSource> source) {
  AfterDisk([this, meta, source = std::shared_ptr(std::move(source))] {
    const absl::Status saved = disk_->SaveSnapshot(meta, source.get());
    CONCORDAT_CHECK(saved.ok()) << saved.message();
    world_->After(process_, Duration::Micros(random_.Between(0, 500)), [this, meta] {
      Tick();
      replica_->OnSnapshotSaved(meta, absl::OkStatus());
      HouseKeep();
      Wake();
    });
  });
}

void CoordinatorNode::RestoreSnapshot(const raft::SnapshotMeta& meta,
                                      std::unique_ptr<group::SnapshotRestore> restore) {
  AfterDisk([this, meta, restore = std::shared_ptr(std::move(restore))] {
    const absl::Status restored = disk_->RestoreSnapshot(meta, restore.get());
    CONCORDAT_CHECK(restored.ok()) << restored.message();
    world_->After(process_, Duration::Micros(random_.Between(0, 500)),
                  [this, meta, restore] {
                    Tick();
                    replica_->OnSnapshotRestored(meta, absl::OkStatus(), restore.get());
                    HouseKeep();
                    Wake();
                  });
  });
}

absl::StatusOr<std::string> CoordinatorNode::ReadSnapshot(const raft::SnapshotMeta& meta,
                                                          uint64_t offset,
                                                          size_t max_bytes, bool* last) {
  auto chunk = disk_->ReadSnapshot(meta.index, offset, max_bytes);
  if (!chunk.ok()) return chunk.status();
  *last = chunk->last;
  return std::move(chunk->data);
}

// --- What the checks see -----------------------------------------------------------

void CoordinatorNode::ObserveApplied() {
  const raft::Raft& raft = replica_->raft();
  while (observed_ < raft.applied_index()) {
    const LogIndex next = observed_.Next();
    if (!raft.log().Has(next)) {
      observed_ = raft.log().base_index();  // a snapshot has replaced the entries
      CONCORDAT_CHECK(observed_ >= next) << observed_ << " " << next;
      continue;
    }
    const raft::Entry& entry = raft.log().At(next);
    checks_.raft->OnApplied(id(), entry);
    if (entry.type == raft::EntryType::kCommand) {
      const auto command = group::SplitCommand(entry.data.view());
      CONCORDAT_CHECK(command.ok()) << command.status().message();
      if (command->machine == testing::kCounters) {
        checks_.counters->OnApplied(next, command->command);
      } else {
        checks_.judge->OnApplied(id(), next, entry.term, entry.data.view());
      }
    }
    observed_ = next;
  }
}

void CoordinatorNode::CountRaftPaths() {
  const raft::Counters& now = replica_->raft().counters();
  RarePaths& rare = world_->rare();
  const auto count = [&](Rare path, uint64_t raft::Counters::*field) {
    rare.Add(path, now.*field - counted_.*field);
  };
  count(Rare::kPreVoteRefused, &raft::Counters::votes_refused_for_live_leader);
  count(Rare::kVoteRefusedForLog, &raft::Counters::votes_refused_for_log);
  count(Rare::kVoteRefusedAlreadyVoted, &raft::Counters::votes_refused_already_voted);
  count(Rare::kSteppedDownWithoutQuorum, &raft::Counters::stepped_down_without_quorum);
  count(Rare::kSteppedDownForDisk, &raft::Counters::stepped_down_for_disk);
  count(Rare::kSteppedDownForTerm, &raft::Counters::stepped_down_for_term);
  count(Rare::kLogTruncated, &raft::Counters::truncations);
  count(Rare::kTruncatedPendingPersist, &raft::Counters::truncations_of_pending_persist);
  count(Rare::kAppendRejected, &raft::Counters::appends_rejected);
  count(Rare::kStaleRaftMessage, &raft::Counters::stale_messages);
  count(Rare::kCommitCappedAtNewEntry, &raft::Counters::commit_capped_at_last_new_entry);
  count(Rare::kCommitHeldForOwnTerm, &raft::Counters::commit_held_for_own_term);
  count(Rare::kInflightLimit, &raft::Counters::inflight_limit_reached);
  count(Rare::kTailFoundLost, &raft::Counters::peer_tails_lost);
  count(Rare::kPeerWithoutSpace, &raft::Counters::peers_without_space);
  count(Rare::kElectionByTransfer, &raft::Counters::elections_by_transfer);
  count(Rare::kTransferFailed, &raft::Counters::transfers_failed);
  count(Rare::kSnapshotInstalled, &raft::Counters::snapshots_installed);
  count(Rare::kSnapshotChunkRepeated, &raft::Counters::snapshot_chunks_repeated);
  count(Rare::kSnapshotChunkEarly, &raft::Counters::snapshot_chunks_early);
  count(Rare::kSnapshotKept, &raft::Counters::snapshots_kept_for_a_transfer);
  count(Rare::kLogDiscardedForSnapshot, &raft::Counters::logs_discarded_for_snapshot);
  counted_ = now;
}

void CoordinatorNode::OnEvents(const std::vector<txn::Event>& events) {
  RarePaths& rare = world_->rare();
  for (const txn::Event& event : events) {
    if (world_->keeps_history()) {
      world_->Note(absl::StrCat(world_->NameOf(process_), ": ", txn::Describe(event)));
    }
    switch (event.kind) {
      case txn::EventKind::kInherited:
        rare.Add(Rare::kInherited);
        break;
      case txn::EventKind::kAttached:
        rare.Add(Rare::kAttached);
        break;
      case txn::EventKind::kAnsweredEarly:
        rare.Add(Rare::kEarlyAnswer);
        checks_.judge->OnAnsweredEarly(event.gtid, replica_->raft().term());
        break;
      case txn::EventKind::kDeciding:
        if (event.cause == AbortCause::kTimedOut) timing_out_.insert(event.gtid);
        break;
      case txn::EventKind::kVoted:
        if (event.vote == Vote::kPrepared && timing_out_.contains(event.gtid)) {
          rare.Add(Rare::kTimeoutRacesLastVote);
        }
        break;
      case txn::EventKind::kDecided:
        timing_out_.erase(event.gtid);
        break;
      case txn::EventKind::kTimeoutSuppressed:
        rare.Add(Rare::kTimeoutSuppressed);
        break;
      default:
        break;
    }
    if (event_hook_) event_hook_(event);
  }
}

void CoordinatorNode::OnRaftNotice(const raft::Notice& notice) {
  if (!world_->keeps_history()) return;
  world_->Note(absl::StrCat(world_->NameOf(process_), ": ",
                            std::string(raft::NoticeText(notice.kind)), ", node ",
                            notice.node.value(), ", log ends at ", notice.log_end.value(),
                            ", promised ", notice.promised.value()));
}

void CoordinatorNode::OnRaftState(const raft::SoftState& state) {
  if (world_->keeps_history()) {
    world_->Note(absl::StrCat(world_->NameOf(process_), " is ",
                              ToAbsl(raft::RoleName(state.role)), " of term ",
                              state.term.value()));
  }
}

// --- Network -----------------------------------------------------------------------

void CoordinatorNode::Receive(const Packet& packet) {
  Tick();
  std::visit([&](const auto& body) { Handle(packet, body); }, packet.payload);
  Wake();
}

void CoordinatorNode::Handle(const Packet&, const raft::Message& message) {
  const absl::Status status = replica_->OnPeerMessage(message);
  // A first leader that was lost early may use a cluster id that was not agreed on.
  if (!status.ok() && !absl::IsFailedPrecondition(status)) {
    world_->Fail(absl::StrCat("a peer's message was refused: ", status.message()));
  }
  checks_.raft->AfterStep(replica_->raft());
}

void CoordinatorNode::SendToPeer(raft::Message message) {
  if (auto* append = std::get_if<raft::AppendRequest>(&message.body);
      append != nullptr && options_.commit_as_in_paper) {
    append->leader_commit = replica_->raft().commit_index();
  }
  checks_.raft->OnMessage(message);
  const auto to = directory_->nodes.find(message.to);
  CONCORDAT_CHECK(to != directory_->nodes.end()) << "no node " << message.to;
  world_->Send(process_, to->second, CallId(), std::move(message));
}

void CoordinatorNode::Handle(txn::Input input) {
  machines_->of_coordinator.transactions().Handle(std::move(input), replica_->now());
}

void CoordinatorNode::OnMachineOutput() {
  txn::Output output = machines_->of_coordinator.transactions().TakeOutput();
  for (const txn::Message& message : output.messages) SendToResource(message);
  for (txn::Answer& answer : output.answers) Answer(std::move(answer));
  if (!output.events.empty()) OnEvents(output.events);
  for (const auto& answer : machines_->of_coordinator.registry().TakeOutput().answers) {
    Answer(answer);
  }
  for (const testing::CounterAnswer& answer : machines_->counters.TakeAnswers()) {
    Answer(answer);
  }
}

void CoordinatorNode::SendToResource(const txn::Message& message) {
  ObserveApplied();
  checks_.judge->OnVerbSent(id(), message.verb, message.branch);
  verbs_[{message.branch.resource, message.verb}].push_back(message.branch);
}

// All verbs of one step for one participant are sent in one call.
void CoordinatorNode::SendVerbs() {
  for (auto& [key, branches] : verbs_) {
    const auto to = directory_->resources.find(key.first);
    if (to == directory_->resources.end()) continue;
    if (!world_->IsUp(to->second) && random_.Percent(50)) {
      // Connection refused.
      world_->After(
          process_, Duration::Millis(1),
          [this, verb = key.second, branches = std::move(branches)] {
            Tick();
            for (const BranchId& branch : branches) {
              if (verb == txn::Verb::kPrepare) {
                Handle(txn::ReceivedVote{branch, Vote::kUnavailable, "refused"});
              } else {
                Handle(txn::ReceivedAck{branch, FinishState::kRetry, "refused"});
              }
            }
            Wake();
          });
      continue;
    }
    world_->Send(process_, to->second, world_->NewCall(),
                 VerbCall{key.second, std::move(branches)});
  }
  verbs_.clear();
}

void CoordinatorNode::Handle(const Packet&, const VerbReply& reply) {
  for (const VerbItem& item : reply.items) {
    if (reply.verb == txn::Verb::kPrepare) {
      Handle(txn::ReceivedVote{item.branch, item.vote, item.detail});
    } else {
      Handle(txn::ReceivedAck{item.branch, item.ack, item.detail});
    }
  }
}

}  // namespace concordat::simulation
