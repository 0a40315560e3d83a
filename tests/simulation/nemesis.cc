#include "tests/simulation/nemesis.h"

#include <algorithm>
#include <utility>

namespace concordat::simulation {

Nemesis::Nemesis(Simulation* simulation)
    : simulation_(simulation), world_(&simulation->world()), random_(world_->NewSeed()) {
  const Troubles& troubles = simulation->settings().troubles;
  const auto add = [this](bool wanted, std::function<void()> strike, int weight) {
    for (int i = 0; wanted && i < weight; ++i) strikes_.push_back(strike);
  };
  add(
      troubles.kills, [this] { KillNode(false); }, 4);
  add(
      troubles.power, [this] { KillNode(true); }, 4);
  add(
      troubles.kills || troubles.power, [this] { KillAllNodes(); }, 1);
  add(
      troubles.lost_tails, [this] { KillNodeAndLoseTail(); }, 4);
  add(
      troubles.transfers, [this] { HandOver(); }, 4);
  add(
      troubles.pauses, [this] { PauseNode(); }, 4);
  add(
      troubles.partitions, [this] { Partition(); }, 5);
  add(
      troubles.bad_links, [this] { BadLinks(); }, 3);
  add(
      troubles.slow_disks, [this] { SlowDisk(); }, 3);
  add(
      troubles.full_disks, [this] { FullDisk(); }, 4);
  add(
      troubles.versions, [this] { OtherVersion(); }, 3);
  add(
      troubles.clocks, [this] { TroubleClock(); }, 3);
  add(
      troubles.participant_kills, [this] { KillParticipant(); }, 5);
  add(
      troubles.participant_pauses, [this] { PauseParticipant(); }, 3);
  add(
      troubles.targeted_kills, [this] { AimAtTransition(); }, 6);
}

void Nemesis::After(Duration delay, std::function<void()> action) {
  world_->After(delay, [running = running_, action = std::move(action)] {
    if (*running) action();
  });
}

void Nemesis::Start(Duration) {
  *running_ = true;
  for (size_t i = 0; i < simulation_->node_count(); ++i) {
    CoordinatorNode* node = &simulation_->node(i);
    node->SetEventHook([this, node, running = running_](const txn::Event& event) {
      if (!*running || aim_ != event.kind) return;
      aim_.reset();
      // After the present step, before any of its packets arrives.
      After(Duration(),
            [this, node] { Kill(node->process(), aim_with_power_, Between(5, 1500)); });
    });
  }
  if (simulation_->settings().troubles.bad_links) BadLinks();
  Next();
}

void Nemesis::Next() {
  if (strikes_.empty()) return;
  const Duration pace = simulation_->settings().troubles.pace;
  After(Duration::Micros(random_.Between(1000, pace.micros())), [this] {
    Strike();
    Next();
  });
}

void Nemesis::Strike() { strikes_[random_.Below(strikes_.size())](); }

CoordinatorNode& Nemesis::SomeNode() {
  CoordinatorNode* leader = simulation_->Leader();
  if (leader != nullptr && random_.Percent(40)) return *leader;
  return simulation_->node(random_.Below(simulation_->node_count()));
}

ParticipantProcess& Nemesis::SomeParticipant() {
  return simulation_->participant(random_.Below(simulation_->participant_count()));
}

std::vector<ProcessId> Nemesis::Everybody() {
  std::vector<ProcessId> all = simulation_->directory().node_list;
  for (const auto& [name, process] : simulation_->directory().resources) {
    all.push_back(process);
  }
  for (const auto& client : simulation_->clients()) all.push_back(client->process());
  return all;
}

// --- Processes -----------------------------------------------------------------------

void Nemesis::Kill(ProcessId process, bool power, Duration down_for) {
  if (!world_->IsUp(process)) return;
  world_->Kill(process, power);
  CutInFlight(process);
  const auto& nodes = simulation_->directory().node_list;
  if (std::none_of(nodes.begin(), nodes.end(),
                   [this](ProcessId node) { return world_->IsUp(node); })) {
    world_->rare().Add(Rare::kAllNodesDown);
  }
  After(down_for, [this, process] {
    if (!world_->IsUp(process)) world_->Start(process);
  });
}

// The packets of a dead process may arrive or not. The most revealing case is that they
// reach the others, but not its peers.
void Nemesis::CutInFlight(ProcessId process) {
  const uint64_t peers = random_.Percent(50) ? 90 : random_.Below(50);
  const uint64_t others = random_.Percent(30) ? 60 : 0;
  const auto& nodes = simulation_->directory().node_list;
  for (const ProcessId other : Everybody()) {
    const bool is_peer = std::find(nodes.begin(), nodes.end(), other) != nodes.end();
    if (random_.Percent(is_peer ? peers : others)) {
      world_->network().CutInFlight(process, other);
    }
  }
}

void Nemesis::KillNode(bool power) {
  Kill(SomeNode().process(), power,
       random_.Percent(50) ? Between(1, 60) : Between(100, 2000));
}

void Nemesis::KillNodeAndLoseTail() {
  CoordinatorNode& node = SomeNode();
  node.LoseTailAtNextStart();
  Kill(node.process(), random_.Percent(50), Between(1, 100));
}

void Nemesis::HandOver() {
  if (CoordinatorNode* leader = simulation_->Leader()) (void)leader->HandOver();
}

void Nemesis::KillAllNodes() {
  const bool power = simulation_->settings().troubles.power;
  for (const ProcessId node : simulation_->directory().node_list) {
    Kill(node, power, Between(1, 500));
  }
}

void Nemesis::KillParticipant() {
  Kill(SomeParticipant().process(), random_.Percent(50),
       random_.Percent(60) ? Between(1, 100) : Between(100, 2500));
}

void Nemesis::Pause(ProcessId process, Duration span) {
  if (!world_->IsUp(process) || world_->IsPaused(process)) return;
  world_->Pause(process);
  After(span, [this, process, incarnation = world_->IncarnationOf(process)] {
    if (world_->IsUp(process) && world_->IncarnationOf(process) == incarnation &&
        world_->IsPaused(process)) {
      if (simulation_->IsDeposed(process)) {
        world_->rare().Add(Rare::kLeaderPausedPastElection);
      }
      world_->Resume(process);
    }
  });
}

void Nemesis::PauseNode() {
  world_->rare().Add(Rare::kNodePaused);
  Pause(SomeNode().process(),
        random_.Percent(50) ? Between(10, 200) : Between(200, 1500));
}

void Nemesis::PauseParticipant() {
  Pause(SomeParticipant().process(), Between(10, 1200));
}

void Nemesis::AimAtTransition() {
  static constexpr txn::EventKind kTargets[] = {
      txn::EventKind::kReady,         txn::EventKind::kCommitAsked,
      txn::EventKind::kCommitAsked,   txn::EventKind::kCommitAsked,
      txn::EventKind::kStaged,        txn::EventKind::kVoted,
      txn::EventKind::kAnsweredEarly, txn::EventKind::kAnsweredEarly,
      txn::EventKind::kDeciding,      txn::EventKind::kDeciding,
      txn::EventKind::kDecided,       txn::EventKind::kDecided,
      txn::EventKind::kDecisionSent,  txn::EventKind::kAcknowledged,
      txn::EventKind::kEnded,         txn::EventKind::kEnlisted,
      txn::EventKind::kWatermark,     txn::EventKind::kInherited};
  aim_ = kTargets[random_.Below(std::size(kTargets))];
  aim_with_power_ = random_.Percent(50);
}

// --- Network -------------------------------------------------------------------------

void Nemesis::Partition() {
  Network& network = world_->network();
  std::vector<std::pair<ProcessId, ProcessId>> cut;
  const ProcessId victim =
      random_.Percent(70) ? SomeNode().process() : SomeParticipant().process();
  const bool in = random_.Percent(70);
  const bool out = !in || random_.Percent(50);
  world_->rare().Add(in && out ? Rare::kPartition : Rare::kOneWayPartition);
  const bool from_nodes_only = random_.Percent(50);
  for (const ProcessId other :
       from_nodes_only ? simulation_->directory().node_list : Everybody()) {
    if (other == victim || random_.Percent(15)) continue;  // also partial ones
    if (in) cut.emplace_back(other, victim);
    if (out) cut.emplace_back(victim, other);
  }
  for (const auto& [from, to] : cut) network.Block(from, to);
  After(random_.Percent(30) ? Between(10, 150) : Between(150, 1500), [this, cut] {
    for (const auto& [from, to] : cut) world_->network().Unblock(from, to);
  });
}

void Nemesis::BadLinks() {
  LinkQuality quality;
  quality.max_delay = Duration::Micros(random_.Between(300, 20'000));
  quality.loss_permille = static_cast<uint32_t>(random_.Below(60));
  quality.duplicate_permille = static_cast<uint32_t>(random_.Below(60));
  quality.reorder_permille = static_cast<uint32_t>(random_.Below(200));
  quality.late_permille = static_cast<uint32_t>(random_.Below(15));
  if (random_.Percent(50)) {
    world_->network().SetQuality(quality);
    After(Between(100, 1500), [this] { world_->network().SetQuality(LinkQuality()); });
    return;
  }
  quality.loss_permille *= 5;
  const ProcessId from = SomeNode().process();
  const std::vector<ProcessId> all = Everybody();
  world_->network().SetLinkQuality(from, all[random_.Below(all.size())], quality);
}

// --- Disks and clocks ----------------------------------------------------------------

void Nemesis::SlowDisk() {
  if (random_.Percent(30)) {
    SomeParticipant().store().SetFlushTime(Duration::Millis(1), Between(2, 300));
    return;
  }
  CoordinatorNode* node = &SomeNode();
  node->SetFlushTime(Duration::Millis(1), Between(2, 1500));
  After(Between(200, 2000), [this, node] {
    const NodeOptions& usual = simulation_->settings().node;
    node->SetFlushTime(usual.flush_min, usual.flush_max);
  });
}

void Nemesis::FullDisk() {
  world_->rare().Add(Rare::kDiskFull);
  CoordinatorNode* node = &SomeNode();
  node->SetDiskFull(true);
  After(Between(50, 2000), [node] { node->SetDiskFull(false); });
}

void Nemesis::OtherVersion() {
  CoordinatorNode* node = &SomeNode();
  node->SetOtherVersion(true);
  After(Between(50, 1500), [node] { node->SetOtherVersion(false); });
}

void Nemesis::TroubleClock() {
  const ProcessId process =
      random_.Percent(75) ? SomeNode().process() : SomeParticipant().process();
  LocalClock* clock = &world_->ClockOf(process);
  clock->SetWall(random_.Between(-1'000'000'000, 1'000'000'000));
  switch (random_.Below(3)) {
    case 0:
      world_->rare().Add(Rare::kClockFrozen);
      clock->SetRate(0);
      break;
    case 1:
      world_->rare().Add(Rare::kClockDrifted);
      clock->SetRate(random_.Between(300, 3000));
      break;
    default:
      world_->rare().Add(Rare::kClockJumped);
      clock->JumpAhead(Between(50, 5000));
      return;
  }
  After(Between(50, 1500), [clock] { clock->SetRate(1000); });
}

}  // namespace concordat::simulation
