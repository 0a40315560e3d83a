#include "tests/unit/raft/cluster.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "coordinator/base/check.h"

namespace concordat::raft {

namespace {

// Counters consists of numbers only.
Counters Sum(const Counters& a, const Counters& b) {
  constexpr size_t kCount = sizeof(Counters) / sizeof(uint64_t);
  using Numbers = std::array<uint64_t, kCount>;
  Numbers sum = std::bit_cast<Numbers>(a);
  const Numbers more = std::bit_cast<Numbers>(b);
  for (size_t i = 0; i < kCount; ++i) sum[i] += more[i];
  return std::bit_cast<Counters>(sum);
}

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(options), random_(options.seed) {
  for (uint64_t i = 1; i <= options.nodes; ++i) voters_.push_back(NodeId(i));
  nodes_.resize(options_.nodes + options_.spare_nodes);
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].id = NodeId(i + 1);
    nodes_[i].log = LogId(++lives_);
    Start(&nodes_[i]);
  }
}

// --- Starts and crashes ---------------------------------------------------------

void Cluster::Start(Node* node) {
  Config config;
  config.self = node->id;
  config.group = GroupId(1);
  if (options_.spare_nodes > 0) config.log = node->log;
  if (node->id.value() <= options_.nodes && !node->joins) {
    config.members = Configuration(voters_);
  }
  config.max_inflight_appends = 4;
  config.max_append_bytes = 40;
  config.max_uncommitted_bytes = 2000;
  config.no_space_pause_max = Duration::Millis(200);
  config.snapshot_pause_max = Duration::Millis(400);
  config.max_persist_bytes = 300;
  config.max_unflushed_bytes = 600;
  config.snapshot_chunk_bytes = 50;
  config.entries_kept_behind_snapshot = random_.Below(2) * 5;
  config.max_committed_per_output = 7;
  config.seed = random_.Next() + ++lives_;
  config.new_cluster = {++lives_, node->id.value()};  // used by the first leader

  RecoveredState recovered;
  recovered.hard_state = node->disk.hard_state;
  recovered.snapshot = node->disk.snapshot;
  for (const auto& [index, entry] : node->disk.entries)
    recovered.entries.push_back(entry);
  const SnapshotFile file = FileInForce(node->disk);
  node->machine = Machine{file.meta.index, file.bytes};
  node->raft = std::make_unique<Raft>(config, std::move(recovered));
  node->raft->SetHasSpace(node->has_space);
  node->clock_drift_percent = random_.Between(-20, 20);
  checker_.AfterStart(*node->raft);
  node->raft->Tick(now_);
  AfterInput(node);
}

// As storage::RecoverGroup: the snapshot that the log names, not the newest one.
Cluster::SnapshotFile Cluster::FileInForce(const Disk& disk) {
  if (disk.snapshot.index.is_none()) return SnapshotFile();
  const auto file = disk.files.find(disk.snapshot.index);
  CONCORDAT_CHECK(file != disk.files.end() && file->second.meta == disk.snapshot);
  return file->second;
}

// Some of the writes in flight are on disk, and perhaps a part of one more.
void Cluster::Crash(Node* node) {
  ++crashes_;
  past_counters_ = Sum(past_counters_, node->raft->counters());
  size_t whole = random_.Below(node->writes.size() + 1);
  for (Write& write : node->writes) {
    Persist part = write.persist;
    if (whole == 0) {
      part.entries.resize(random_.Below(part.entries.size() + 1));
      if (part.entries.empty() && random_.Percent(50)) part.hard_state.reset();
    }
    checker_.OnDurable(node->id, part);
    WriteToDisk(&node->disk, part);
    if (whole-- == 0) break;
  }
  node->writes.clear();
  if (node->installing.has_value() && random_.Percent(50)) {
    // The new file is durable, but the log has no record of it.
    node->disk.files[node->installing->first.index] =
        SnapshotFile{node->installing->first, node->receiving.bytes};
  }
  node->receiving = SnapshotFile();
  node->installing.reset();
  node->reads.clear();
  node->raft.reset();
  if (random_.Percent(30)) LoseTail(node);
}

// The disk loses the end of the log although it was flushed, but not more than can be
// survived: see FirstThatMayBeLost.
void Cluster::LoseTail(Node* node) {
  const LogIndex first = checker_.FirstThatMayBeLost(node->id);
  const auto begin = node->disk.entries.lower_bound(first);
  const auto count = std::distance(begin, node->disk.entries.end());
  if (count == 0) return;
  const auto from = std::next(begin, random_.Between(0, count - 1));
  checker_.OnTailLost(node->id, from->first.Previous());
  node->disk.entries.erase(from, node->disk.entries.end());
}

void Cluster::WriteToDisk(Disk* disk, const Persist& persist, LogIndex snapshot_in_use) {
  if (persist.snapshot.has_value()) {
    disk->snapshot = *persist.snapshot;
    std::erase_if(disk->files, [&](const auto& file) {
      return file.first < persist.snapshot->index && file.first != snapshot_in_use;
    });
    if (persist.discard_log) disk->entries.clear();
    disk->entries.erase(disk->entries.begin(),
                        disk->entries.upper_bound(persist.snapshot->index));
  }
  if (persist.hard_state.has_value()) disk->hard_state = *persist.hard_state;
  if (persist.entries.empty()) return;
  disk->entries.erase(disk->entries.lower_bound(persist.entries.front().index),
                      disk->entries.end());
  for (const Entry& entry : persist.entries) disk->entries[entry.index] = entry;
}

// --- Output ---------------------------------------------------------------------

void Cluster::AfterInput(Node* node) {
  checker_.AfterStep(*node->raft);
  // Sometimes several inputs share one output.
  if (random_.Percent(20)) return;
  while (node->raft->HasOutput()) {
    Output output = node->raft->TakeOutput();
    checker_.AfterStep(*node->raft);
    CarryOut(node, std::move(output));
  }
}

void Cluster::CarryOut(Node* node, Output output) {
  SendAll(std::move(output.messages));
  if (output.persist.has_value()) {
    const Timestamp before =
        node->writes.empty() ? now_ : std::max(now_, node->writes.back().done_at);
    const Duration flush = Duration::Micros(
        random_.Between(options_.flush_min.micros(), options_.flush_max.micros()));
    node->writes.push_back(Write{*output.persist, {}, before + flush});
  }
  if (!output.messages_after_persist.empty()) {
    CONCORDAT_CHECK(!node->writes.empty() &&
                    node->writes.back().persist.id == output.after_persist);
    for (Message& message : output.messages_after_persist) {
      node->writes.back().messages.push_back(std::move(message));
    }
  }
  for (const Entry& entry : output.committed) Apply(node, entry);
  AnswerReads(node, output);
  ReceiveSnapshot(node, output);
  for (const SnapshotReadRequest& read : output.snapshot_reads) {
    const SnapshotFile& file = node->disk.files[read.meta.index];
    if (file.meta != read.meta) {
      node->raft->OnSnapshotChunkGone(read.to, read.meta);
      continue;
    }
    std::string bytes = file.bytes.substr(read.offset, read.max_bytes);
    const bool last = read.offset + bytes.size() == file.bytes.size();
    node->raft->OnSnapshotChunkRead(read.to, read.meta, read.offset, std::move(bytes),
                                    last);
  }
  if (node->machine.applied.value() >=
      node->raft->snapshot().index.value() + options_.snapshot_every) {
    TakeSnapshot(node);
  }
}

void Cluster::SendAll(std::vector<Message> messages) {
  for (Message& message : messages) {
    checker_.OnMessage(message);
    if (!Reaches(message.from, message.to)) continue;
    do {
      if (random_.Percent(options_.loss_percent)) continue;
      const Duration delay =
          Duration::Micros(random_.Between(100, options_.delay_max.micros()));
      network_.push_back(Packet{now_ + delay, message});
    } while (random_.Percent(options_.duplicate_percent));
  }
}

void Cluster::Apply(Node* node, const Entry& entry) {
  checker_.OnApplied(node->id, entry);
  CONCORDAT_CHECK(entry.index == node->machine.applied.Next());
  node->machine.applied = entry.index;
  node->machine.text += std::string(entry.data.view());
  node->raft->OnApplied(entry.index);
  applied_anywhere_ = std::max(applied_anywhere_, entry.index);
}

void Cluster::AnswerReads(Node* node, const Output& output) {
  for (const ReadState& read : output.read_states) {
    const auto it = node->reads.find(read.token);
    CONCORDAT_CHECK(it != node->reads.end()) << "read answered twice, or never asked";
    ++reads_answered_;
    if (read.index < it->second) ++stale_reads_;
    node->reads.erase(it);
  }
  // None of those that are left may be answered later.
  if (output.soft_state && output.soft_state->role != Role::kLeader) node->reads.clear();
}

void Cluster::ReceiveSnapshot(Node* node, const Output& output) {
  for (const SnapshotWrite& write : output.snapshot_writes) {
    if (write.offset == 0) node->receiving = SnapshotFile{write.meta, ""};
    CONCORDAT_CHECK(node->receiving.meta == write.meta &&
                    node->receiving.bytes.size() == write.offset)
        << "a snapshot received with a gap";
    node->receiving.bytes += write.data.view();
  }
  if (!output.install_snapshot.has_value()) return;
  CONCORDAT_CHECK(node->receiving.meta == *output.install_snapshot);
  const Duration time = Duration::Micros(random_.Between(0, options_.flush_max.micros()));
  node->installing = {*output.install_snapshot, now_ + time};
}

void Cluster::FinishInstall(Node* node) {
  const SnapshotMeta meta = node->installing->first;
  node->installing.reset();
  if (random_.Percent(10)) {  // it does not read back whole
    node->raft->OnSnapshotInstallFailed(meta);
  } else {
    node->disk.files[meta.index] = node->receiving;
    node->machine = Machine{meta.index, node->receiving.bytes};
    node->raft->OnSnapshotInstalled(meta);
  }
  AfterInput(node);
}

void Cluster::TakeSnapshot(Node* node) {
  if (node->installing.has_value()) return;
  const SnapshotMeta meta = node->raft->SnapshotMetaAt(node->machine.applied);
  node->disk.files[meta.index] = SnapshotFile{meta, node->machine.text};
  node->raft->OnSnapshotTaken(meta);
}

void Cluster::FinishWrite(Node* node) {
  Write write = std::move(node->writes.front());
  node->writes.pop_front();
  checker_.OnDurable(node->id, write.persist);
  WriteToDisk(&node->disk, write.persist, node->raft->OlderSnapshotInUse());
  SendAll(std::move(write.messages));
  node->raft->OnPersisted(write.persist.id);
  AfterInput(node);
}

// --- Events ---------------------------------------------------------------------

void Cluster::DeliverDue() {
  std::vector<Packet> due;
  const auto late =
      std::partition(network_.begin(), network_.end(),
                     [this](const Packet& p) { return p.arrives_at > now_; });
  due.assign(late, network_.end());
  network_.erase(late, network_.end());
  for (Packet& packet : due) {
    Node& to = nodes_[packet.message.to.value() - 1];
    if (to.raft == nullptr) continue;
    const absl::Status status = to.raft->Step(std::move(packet.message));
    // Messages of a first leader that has died may have an id which was not agreed on.
    CONCORDAT_CHECK(status.ok() || absl::IsFailedPrecondition(status))
        << status.ToString();
    AfterInput(&to);
  }
}

void Cluster::AdvanceTime(Duration step) {
  now_ = now_ + step;
  for (Node& node : nodes_) {
    if (node.raft == nullptr) continue;
    node.raft->Tick(Timestamp::FromMicros(now_.micros() + now_.micros() / 100 *
                                                              node.clock_drift_percent));
    AfterInput(&node);
    while (!node.writes.empty() && node.writes.front().done_at <= now_) {
      FinishWrite(&node);
    }
    if (node.installing.has_value() && node.installing->second <= now_) {
      FinishInstall(&node);
    }
  }
  DeliverDue();
}

Cluster::Node& Cluster::RandomNode() { return nodes_[random_.Below(nodes_.size())]; }

void Cluster::RandomFault() {
  // The leader in half of the cases, because it has the most in flight.
  Raft* const leader = Leader();
  Node& node = leader != nullptr && random_.Percent(50)
                   ? nodes_[leader->self().value() - 1]
                   : RandomNode();
  switch (random_.Below(10)) {
    case 0:
    case 1:
      if (node.raft != nullptr) Crash(&node);
      break;
    case 2:
    case 3:
      for (Node& down : nodes_) {
        if (down.raft == nullptr) Start(&down);
      }
      break;
    case 4:  // one direction fails
      cut_.insert({node.id, RandomNode().id});
      break;
    case 5:  // the node is isolated
      for (NodeId other : voters_) cut_.insert({{node.id, other}, {other, node.id}});
      break;
    case 6:
      node.has_space = !node.has_space;
      if (node.raft != nullptr) node.raft->SetHasSpace(node.has_space);
      break;
    case 7:
      if (leader != nullptr) {
        (void)leader->TransferLeadership();  // refused if no node can take over
        AfterInput(&nodes_[leader->self().value() - 1]);
      }
      break;
    default:
      cut_.clear();
      break;
  }
}

void Cluster::RandomInput() {
  Node& node = RandomNode();
  if (node.raft == nullptr) return;
  if (random_.Percent(70)) {
    std::vector<std::string> commands;
    for (uint64_t i = random_.Below(4) + 1; i > 0; --i) {
      commands.push_back(std::to_string(++next_command_) + ",");
    }
    (void)node.raft->Propose(std::move(commands));  // refused unless it leads
  } else {
    const ReadToken token(++next_read_);
    if (node.raft->ReadIndex(token).ok()) node.reads[token] = applied_anywhere_;
  }
  AfterInput(&node);
}

void Cluster::RandomStep() {
  if (random_.Below(1000) < 15) RandomFault();
  if (options_.spare_nodes > 0 && random_.Below(1000) < 15) RandomMemberChange();
  if (random_.Percent(15)) RandomInput();
  AdvanceTime(Duration::Micros(random_.Between(100, 10'000)));
}

void Cluster::StopFaults() {
  options_.loss_percent = 0;
  options_.duplicate_percent = 0;
  cut_.clear();
  for (Node& node : nodes_) {
    node.has_space = true;
    if (node.raft == nullptr) Start(&node);
    node.raft->SetHasSpace(true);
  }
}

void Cluster::RunFor(Duration time) {
  const Timestamp end = now_ + time;
  while (now_ < end) AdvanceTime(Duration::Millis(2));
}

Raft* Cluster::Leader() const {
  Raft* leader = nullptr;
  for (const Node& node : nodes_) {
    if (node.raft == nullptr || !node.raft->is_leader()) continue;
    if (leader == nullptr || node.raft->term() > leader->term()) leader = node.raft.get();
  }
  return leader;
}

std::optional<LogIndex> Cluster::ProposeAtLeader(std::string command) {
  Raft* leader = Leader();
  if (leader == nullptr) return std::nullopt;
  const auto index = leader->Propose({std::move(command)});
  AfterInput(&nodes_[leader->self().value() - 1]);
  if (!index.ok()) return std::nullopt;
  return *index;
}

std::vector<ClusterKey> Cluster::ClusterKeys() const {
  std::vector<ClusterKey> keys;
  for (const Node& node : nodes_) {
    if (IsMember(node.id)) keys.push_back(node.raft->cluster());
  }
  return keys;
}

std::vector<std::string> Cluster::AppliedStates() const {
  std::vector<std::string> states;
  for (const Node& node : nodes_) {
    if (IsMember(node.id)) states.push_back(node.machine.text);
  }
  return states;
}

Counters Cluster::TotalCounters() const {
  Counters total = past_counters_;
  for (const Node& node : nodes_) {
    if (node.raft != nullptr) total = Sum(total, node.raft->counters());
  }
  return total;
}

}  // namespace concordat::raft
