#include "coordinator/node/node.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/group/recovery.h"
#include "coordinator/storage/identity.h"

namespace concordat::node {

namespace {

constexpr Duration kTick = Duration::Millis(10);
constexpr Duration kHouseKeeping = Duration::Seconds(1);

std::string Owner(const NodeOptions& options) {
  return absl::StrCat("concordatd:node-", options.self.value());
}

std::map<NodeId, NodeAddresses> StartedWith(const NodeOptions& options) {
  std::map<NodeId, NodeAddresses> members = options.members;
  members[options.self] = options.own;
  return members;
}

storage::NodeIdentity IdentityOf(const NodeOptions& options) {
  storage::NodeIdentity identity{options.cluster_name, options.self, {}};
  for (const auto& [node, addresses] : options.members) identity.members.push_back(node);
  return identity;
}

// The members of the log, as far as it was found; none: it holds none.
std::vector<NodeId> MembersOf(const raft::RecoveredState& recovered) {
  raft::Configuration members = recovered.snapshot.configuration;
  for (const raft::Entry& entry : recovered.entries) {
    if (entry.type != raft::EntryType::kConfiguration) continue;
    members = raft::DecodeConfiguration(entry.data.view()).value_or(members);
  }
  std::vector<NodeId> nodes;
  for (const raft::Member& member : members.members()) nodes.push_back(member.node);
  return nodes;
}

// If the log is missing, the error also says what the operator can do.
absl::Status ExplainLostLog(const absl::Status& status) {
  if (!absl::StrContains(status.message(), "does not hold log")) return status;
  return absl::Status(
      status.code(),
      absl::StrCat(status.message(),
                   ". A node without its log has forgotten its votes and must not begin "
                   "anew by itself; if the log is lost for good, the operations manual "
                   "says how the node is taken in again with an empty folder"));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Node>> Node::Open(rpc::EventLoop* loop, FileEnv* env,
                                                 NodeOptions options) {
  if (options.data_dir.empty()) {
    return absl::InvalidArgumentError("no data directory was named");
  }
  std::unique_ptr<Node> node(new Node(loop, env, std::move(options)));
  if (absl::Status s = node->OpenLog(env); !s.ok()) return s;
  if (absl::Status s = node->RecoverReplica(env); !s.ok()) return s;
  return node;
}

Node::Node(rpc::EventLoop* loop, FileEnv* env, NodeOptions options)
    : loop_(loop),
      options_(std::move(options)),
      started_(loop->Now()),
      log_(options_.self),
      snapshots_(env, options_.data_dir + "/snapshots"),
      machines_(options_.group, options_.txn, options_.registry),
      addresses_(options_.self, StartedWith(options_)),
      pending_members_([this](MemberDone done, rpc::MemberReply reply) {
        loop_->Defer([done = std::move(done), reply = std::move(reply)]() mutable {
          done(std::move(reply));
        });
      }) {}

Node::~Node() {
  loop_->Cancel(tick_timer_);
  loop_->Cancel(housekeeping_timer_);
  writer_.reset();
  snapshot_worker_.reset();
  pending_members_.GiveUp();
  for (auto& [token, done] : std::exchange(waiting_, {})) done(txn::UndecidedReply{});
  for (auto& [token, done] : std::exchange(registering_, {})) {
    done(registry::UndecidedReply{});
  }
}

absl::Status Node::OpenLog(FileEnv* env) {
  if (absl::Status s = storage::CheckFolder(env, options_.data_dir); !s.ok()) return s;
  const storage::NodeIdentity identity = IdentityOf(options_);
  const auto recorded = storage::RecordedLog(env, options_.data_dir, identity);
  if (!recorded.ok()) return recorded.status();
  wal::LogOptions log = options_.log;
  log.dir = options_.data_dir + "/log";
  log.owner = Owner(options_);
  log.log_id = *recorded;
  wal::LogWriterOptions writer = options_.writer;
  writer.block_when_full = false;  // the caller is a loop that serves others too
  // An empty queue has room for one write of Raft's and one more entry.
  writer.queue_bytes =
      std::max(writer.queue_bytes, 4 * options_.replica.raft.max_persist_bytes);
  writer.on_durable = [this](wal::Lsn lsn) {
    if (std::this_thread::get_id() == flushing_thread_.load()) return OnDurable(lsn);
    Post([this, lsn] { OnDurable(lsn); });
  };
  auto opened = wal::LogWriter::Open(
      env, log, writer, [this](wal::Lsn lsn, uint8_t type, std::string_view payload) {
        store_.Replay(lsn, type, payload);
      });
  if (!opened.ok()) return ExplainLostLog(opened.status());
  writer_ = std::move(*opened);
  sink_ = std::make_unique<WriterSink>(this);
  store_.Attach(sink_.get());
  // This node has the log's lock, so no other process claims the directory meanwhile.
  const storage::OpenedLog ours{writer_->log_id(), writer_->next_lsn() == wal::Lsn(1)};
  absl::Status status = storage::ClaimDirectory(env, options_.data_dir, identity, ours);
  return status.ok() ? snapshots_.Open(ours.id) : status;
}

raft::Configuration Node::FirstMembers() const {
  std::vector<raft::Member> members;
  for (const auto& [node, addresses] : options_.members) {
    raft::Member& member = members.emplace_back();
    member.node = node;
    member.peer_address = addresses.peer;
    member.client_address = addresses.client;
  }
  return raft::Configuration(std::move(members), ClusterKey());
}

absl::Status Node::RecoverReplica(FileEnv* env) {
  auto recovered = group::Recover(
      &store_, options_.group,
      [this](GroupId group, LogIndex index, storage::SnapshotStore::TakePart take) {
        return snapshots_.Load(group, index, take);
      },
      machines_.set());
  if (!recovered.ok()) return recovered.status();
  // The members of the log count, whatever this node was started with. But a list that is
  // neither theirs nor the one with which the node first began is a mistake.
  const storage::NodeIdentity identity = IdentityOf(options_);
  if (identity.members != MembersOf(*recovered)) {
    absl::Status same = storage::CheckMembers(env, options_.data_dir, identity);
    if (!same.ok()) return same;
  }
  group::ReplicaConfig config = options_.replica;
  config.raft.self = options_.self;
  config.raft.group = options_.group;
  config.raft.log = LogId(writer_->log_id());
  config.raft.members = FirstMembers();
  config.raft.seed = SystemRandom64();
  config.raft.new_cluster = {std::max<uint64_t>(1, SystemRandom64()), SystemRandom64()};
  replica_ = std::make_unique<group::Replica>(
      std::move(config), *std::move(recovered), machines_.set(), &store_,
      static_cast<group::ReplicaEnvironment*>(this));
  snapshot_worker_ =
      std::make_unique<SnapshotWorker>(group::SnapshotFiles(&snapshots_, options_.group));
  return absl::OkStatus();
}

void Node::Start(rpc::PeerSender* peers, rpc::ResourceSender* resources) {
  peers_ = peers;
  resources_ = resources;
  tick_timer_ = loop_->RunEvery(kTick, [this] { Schedule(); });
  housekeeping_timer_ = loop_->RunEvery(kHouseKeeping, [this] { HouseKeep(); });
  Schedule();
}

void Node::Schedule() {
  if (scheduled_ || peers_ == nullptr) return;
  scheduled_ = true;
  loop_->Defer(lifetime_.IfAlive([this] { RunOnce(); }));
}

// If the disk flushes faster than two switches of threads take, the loop flushes itself;
// see LogWriterOptions::flush_here_below.
void Node::FlushAfterOutput() {
  if (std::exchange(flush_scheduled_, true)) return;
  writer_->Hold();
  loop_->AfterOutput(lifetime_.IfAlive([this] {
    flush_scheduled_ = false;
    flushing_thread_.store(std::this_thread::get_id());
    writer_->Flush();
  }));
}

void Node::OnDurable(wal::Lsn lsn) {
  if (replica_ == nullptr) return;
  replica_->OnDurable(lsn);
  Schedule();
}

void Node::RunOnce() {
  scheduled_ = false;
  replica_->Tick(loop_->Now());
  const bool more = replica_->Process();
  LogClusterOnce();
  pending_members_.Finish(replica_->raft());
  if (!more) return;
  // First, messages that have come meanwhile are read, and those that were sent leave.
  loop_->AfterOutput(lifetime_.IfAlive([this] { Schedule(); }));
}

void Node::LogClusterOnce() {
  const ClusterKey& cluster = replica_->raft().cluster();
  if (cluster_logged_ || cluster.is_none()) return;
  cluster_logged_ = true;
  LogEvent(Level::kInfo, "cluster")
      .Field("node", options_.self.value())
      .Field("name", options_.cluster_name)
      .Field("id", ToString(cluster));
}

void Node::HouseKeep() {
  store_.Compact();
  const LogIndex snapshot = store_.DurableSnapshot(options_.group);
  if (!snapshot.is_none()) {
    snapshots_.RemoveOlder(options_.group, snapshot,
                           replica_->raft().OlderSnapshotInUse());
  }
  log_.OnSecond(loop_->Now());
  addresses_.TryOthers(loop_->Now());
  FollowAddresses();
  EnterMovedMembers();
  if (machines_.transactions().is_ready()) log_.OnResources(Resources());
}

void Node::OnPeerMessage(raft::Message message, const rpc::SaidAddresses& said) {
  replica_->Tick(loop_->Now());
  const NodeId from = message.from;
  const absl::Status stepped = replica_->OnPeerMessage(std::move(message));
  if (stepped.ok()) {
    const NodeAddresses told{said.peer, said.client};
    if (addresses_.Heard(from, told, loop_->Now())) FollowAddresses();
  } else {
    LogRefusedMessage(from, stepped);
  }
  Schedule();
}

bool Node::HandOver() {
  replica_->Tick(loop_->Now());
  const bool begun = replica_->HandOver().ok();
  Schedule();
  return begun;
}

// Each member has its own limit, so that one that goes on for ever does not hide another.
// The reason is taken to be the code, because the text has numbers of the message in it.
void Node::LogRefusedMessage(NodeId from, const absl::Status& why) {
  const bool known = replica_->raft().configuration().Find(from) != nullptr;
  LogLimit& limit = refused_messages_[known ? from : NodeId()];
  if (!limit.Admit(loop_->Now(), absl::StatusCodeToString(why.code()))) return;
  LogEvent(Level::kWarning, "peer message refused")
      .Field("node", options_.self.value())
      .Field("from", from.value())
      .Field("why", why.message())
      .Field("left_out", limit.TakeHeldBack());
}

// After Tick, a leader that was stopped for longer than an election knows that before it
// acts or answers.
void Node::Handle(txn::Input input) {
  replica_->Tick(loop_->Now());
  machines_.transactions().Handle(std::move(input), replica_->now());
  Schedule();
}

void Node::Submit(txn::Request request, Done done) {
  const txn::RequestToken token(++last_token_);
  waiting_.emplace(token, std::move(done));
  Handle(txn::SubmittedRequest{token, std::move(request)});
}

void Node::Submit(registry::Request request, RegistryDone done) {
  const group::RequestToken token(++last_token_);
  registering_.emplace(token, std::move(done));
  replica_->Tick(loop_->Now());
  machines_.registry().Submit(token, std::move(request), replica_->now());
  Schedule();
}

rpc::CoordinatorBackend::NodeView Node::View() const {
  const raft::Raft& raft = replica_->raft();
  NodeView view;
  view.node = options_.self;
  view.role = raft.role();
  view.term = raft.term();
  view.last_index = raft.log().last_index();
  view.commit_index = raft.commit_index();
  view.applied_index = raft.applied_index();
  view.transactions = machines_.transactions().Status();
  view.state_hash = machines_.StateHash();
  for (const auto& [gtid, entry] : machines_.transactions().table().live()) {
    if (entry->staged && !entry->decided) ++view.undecided;
  }
  for (const auto& [node, progress] : raft.progress()) {
    view.match[node] = progress.match;
    view.peer_states[node] =
        absl::StrCat(std::string(raft::ProgressStateName(progress.state)),
                     progress.lost_tail() ? ", lost its tail" : "");
  }
  view.lost_tail = raft.lost_tail();
  view.uptime_ms = (loop_->Now() - started_).millis();
  view.disk_full = !store_.HasSpaceForNewWork();
  return view;
}

std::vector<registry::ResourceView> Node::Resources() const {
  return machines_.registry().Resources(replica_->now());
}

std::vector<txn::TransactionView> Node::List(const Gtid& after, size_t limit) const {
  return machines_.List(after, limit, replica_->now());
}

txn::TransactionView Node::Show(const Gtid& gtid) const {
  return machines_.Show(gtid, replica_->now());
}

std::vector<txn::HeuristicView> Node::Heuristics(const BranchId& after,
                                                 size_t limit) const {
  return machines_.transactions().Heuristics(after, limit);
}

void Node::RefreshAddresses() {
  addresses_known_ = true;
  resources_->SetCluster(cluster());  // known: only a ready leader sends
  std::set<std::string> known;
  for (const auto& [name, resource] : machines_.registry().table().resources()) {
    resources_->SetAddress(name, resource.address);
    addressed_.erase(name);
    known.insert(name);
  }
  for (const std::string& retired : addressed_) resources_->SetAddress(retired, "");
  addressed_ = std::move(known);
}

void Node::SendToPeer(raft::Message message) { peers_->Send(std::move(message)); }

void Node::OnMachineOutput() {
  txn::Output output = machines_.transactions().TakeOutput();
  for (const txn::Message& message : output.messages) SendToResource(message);
  for (txn::Answer& answer : output.answers) {
    Answer(&waiting_, answer.token, std::move(answer.reply));
  }
  for (const txn::Event& event : output.events) log_.OnEvent(event, loop_->Now());
  registry::Output registered = machines_.registry().TakeOutput();
  for (registry::Answer& answer : registered.answers) {
    Answer(&registering_, answer.token, std::move(answer.reply));
  }
  for (const registry::Event& event : registered.events) {
    log_.OnEvent(event);
    if (event.kind == registry::EventKind::kChanged) addresses_known_ = false;
  }
}

// Records that are applied before this node is ready to lead cause no event. So the first
// message of a leadership updates the addresses.
void Node::SendToResource(const txn::Message& message) {
  if (!addresses_known_) RefreshAddresses();
  resources_->Send(message);
}

// The callback runs after the replica has finished its round, so it may submit the next
// request at once.
template <class Reply>
void Node::Answer(Calls<Reply>* calls, group::RequestToken token, Reply reply) {
  const auto found = calls->find(token);
  if (found == calls->end()) return;
  auto done = std::move(found->second);
  calls->erase(found);
  loop_->Defer([done = std::move(done), reply = std::move(reply)]() mutable {
    done(std::move(reply));
  });
}

void Node::OnRaftState(const raft::SoftState& state) {
  log_.OnRaftState(state, loop_->Now());
  addresses_known_ = false;
}

void Node::OnRaftNotice(const raft::Notice& notice) {
  using Kind = raft::Notice::Kind;
  const bool warns =
      notice.kind == Kind::kNotThisMember || notice.kind == Kind::kRemoved ||
      notice.kind == Kind::kTailLost || notice.kind == Kind::kPeerTailLost ||
      notice.kind == Kind::kPeerNoSpace || notice.kind == Kind::kTransferFailed;
  LogEvent(warns ? Level::kWarning : Level::kInfo, raft::NoticeText(notice.kind))
      .Field("node", options_.self.value())
      .Field("peer", notice.node.value())
      .Field("log_end", notice.log_end.value())
      .Field("promised", notice.promised.value());
}

void Node::Post(rpc::Task action) {
  loop_->post_queue()->Post(lifetime_.IfAlive(std::move(action)));
}

void Node::SaveSnapshot(const raft::SnapshotMeta& meta,
                        std::unique_ptr<group::SnapshotSource> source) {
  snapshot_worker_->Save(meta, std::move(source),
                         [this, meta](const absl::StatusOr<uint64_t>& bytes) {
                           Post([this, meta, bytes] { OnSnapshotSaved(meta, bytes); });
                         });
}

void Node::OnSnapshotSaved(const raft::SnapshotMeta& meta,
                           const absl::StatusOr<uint64_t>& bytes) {
  if (bytes.ok()) {
    LogEvent(Level::kInfo, "snapshot")
        .Field("node", options_.self.value())
        .Field("index", meta.index.value())
        .Field("bytes", *bytes);
  } else {
    LogEvent(Level::kError, "snapshot not saved").Field("why", bytes.status().message());
  }
  replica_->OnSnapshotSaved(meta, bytes.status());
  Schedule();
}

void Node::ReceiveSnapshot(raft::SnapshotWrite part) {
  snapshot_worker_->Receive(std::move(part));
}

void Node::DropReceivedSnapshot() { snapshot_worker_->DropReceived(); }

void Node::RestoreSnapshot(const raft::SnapshotMeta& meta,
                           std::unique_ptr<group::SnapshotRestore> restore) {
  snapshot_worker_->Restore(
      meta, std::move(restore),
      [this, meta](const absl::Status& restored,
                   std::shared_ptr<group::SnapshotRestore> restore) {
        Post([this, meta, restored, restore = std::move(restore)]() mutable {
          OnSnapshotRestored(meta, restored, std::move(restore));
        });
      });
}

void Node::OnSnapshotRestored(const raft::SnapshotMeta& meta,
                              const absl::Status& restored,
                              std::shared_ptr<group::SnapshotRestore> restore) {
  LogEvent line(restored.ok() ? Level::kInfo : Level::kError,
                restored.ok() ? "snapshot received" : "snapshot not saved");
  line.Field("node", options_.self.value()).Field("index", meta.index.value());
  if (!restored.ok()) line.Field("why", restored.message());
  replica_->OnSnapshotRestored(meta, restored, restore.get());
  snapshot_worker_->Drop(std::move(restore));
  Schedule();
}

absl::StatusOr<std::string> Node::ReadSnapshot(const raft::SnapshotMeta& meta,
                                               uint64_t offset, size_t max_bytes,
                                               bool* last) {
  auto chunk = snapshots_.Read(options_.group, meta.index, offset, max_bytes);
  if (!chunk.ok()) {
    const std::string why(chunk.status().message());
    if (!absl::IsNotFound(chunk.status()) && unread_snapshots_.Admit(loop_->Now(), why)) {
      LogEvent(Level::kError, "snapshot not read").Field("why", why);
    }
    return chunk.status();
  }
  *last = chunk->last;
  return std::move(chunk->data);
}

}  // namespace concordat::node
