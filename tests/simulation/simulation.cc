#include "tests/simulation/simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/simulation/nemesis.h"

namespace concordat::simulation {

Simulation::Simulation(const Settings& settings)
    : settings_(settings), world_(settings.seed) {
  judge_ = std::make_unique<Judge>(&world_, settings_.node.replica.raft.group);
  counter_judge_ = std::make_unique<CounterJudge>(&world_);
  AddNodes();
  AddParticipants();
  AddClients();
}

Simulation::~Simulation() = default;

void Simulation::AddNodes() {
  std::vector<NodeId> voters;
  for (uint64_t i = 1; i <= settings_.nodes; ++i) voters.emplace_back(i);
  raft_checker_ = std::make_unique<raft::InvariantsChecker>();
  for (const NodeId id : voters) {
    NodeOptions options = settings_.node;
    options.replica.raft.self = id;
    options.replica.raft.members = raft::Configuration(voters);
    auto node = std::make_unique<CoordinatorNode>(
        &world_, &directory_,
        Checks{judge_.get(), counter_judge_.get(), raft_checker_.get()}, options);
    const ProcessId process =
        world_.AddProcess(absl::StrCat("node-", id.value()), node.get());
    node->SetProcess(process);
    directory_.nodes[id] = process;
    directory_.node_list.push_back(process);
    nodes_.push_back(std::move(node));
  }
}

void Simulation::AddParticipants() {
  for (size_t i = 0; i < settings_.participants; ++i) {
    const std::string resource =
        absl::StrCat("bank-", std::string(1, static_cast<char>('a' + i)));
    ParticipantOptions options = settings_.participant;
    options.incarnation_base = (i + 1) << 32;
    auto participant = std::make_unique<ParticipantProcess>(
        &world_, &directory_, judge_.get(), resource, options);
    const ProcessId process = world_.AddProcess(resource, participant.get());
    participant->SetProcess(process);
    participant->SetDeposed([this](ProcessId node) { return IsDeposed(node); });
    directory_.resources[resource] = process;
    participants_.push_back(std::move(participant));
  }
}

void Simulation::AddClients() {
  ClientOptions options = settings_.client;
  options.accounts = settings_.participant.store.accounts;
  for (const auto& [resource, process] : directory_.resources) {
    options.resources.push_back(resource);
  }
  for (size_t i = 0; i < settings_.services; ++i) {
    auto service = std::make_unique<ServiceProcess>(&world_, &directory_,
                                                    options.resources, options.accounts);
    const ProcessId process =
        world_.AddProcess(absl::StrCat("service-", i + 1), service.get());
    service->SetProcess(process);
    options.services.push_back(process);
    services_.push_back(std::move(service));
    world_.Start(process);
  }
  for (size_t i = 0; i < settings_.clients; ++i) {
    auto client =
        std::make_unique<ClientProcess>(&world_, &directory_, judge_.get(), options);
    client->SetProcess(world_.AddProcess(absl::StrCat("client-", i + 1), client.get()));
    clients_.push_back(std::move(client));
  }
  for (size_t i = 0; i < settings_.counter_clients; ++i) {
    const std::string name = absl::StrCat("counter-client-", i + 1);
    auto client =
        std::make_unique<CounterClient>(&world_, &directory_, counter_judge_.get(), name);
    client->SetProcess(world_.AddProcess(name, client.get()));
    counter_clients_.push_back(std::move(client));
  }
}

void Simulation::StartAll() {
  for (const auto& node : nodes_) world_.Start(node->process());
  for (const auto& participant : participants_) world_.Start(participant->process());
  for (const auto& client : clients_) world_.Start(client->process());
  for (const auto& client : counter_clients_) world_.Start(client->process());
}

CoordinatorNode* Simulation::Leader() {
  CoordinatorNode* leader = nullptr;
  for (const auto& node : nodes_) {
    if (node->replica() == nullptr || !node->replica()->raft().is_leader()) continue;
    if (leader == nullptr ||
        node->replica()->raft().term() > leader->replica()->raft().term()) {
      leader = node.get();
    }
  }
  return leader;
}

bool Simulation::IsDeposed(ProcessId process) {
  const CoordinatorNode* leader = Leader();
  return leader != nullptr && leader->process() != process &&
         directory_.NodeOf(process) != NodeId();
}

void Simulation::Heal() {
  world_.network().SetQuality(LinkQuality());
  world_.network().ResetLinkQualities();
  world_.network().UnblockAll();
  for (const auto& node : nodes_) {
    const ProcessId process = node->process();
    world_.ClockOf(process).SetRate(1000);
    node->SetFlushTime(settings_.node.flush_min, settings_.node.flush_max);
    node->SetDiskFull(false);
    node->SetOtherVersion(false);
    if (!world_.IsUp(process)) world_.Start(process);
    if (world_.IsPaused(process)) world_.Resume(process);
  }
  for (const auto& participant : participants_) {
    const ProcessId process = participant->process();
    world_.ClockOf(process).SetRate(1000);
    participant->SetTroubles(0, 0);
    if (!world_.IsUp(process)) world_.Start(process);
    if (world_.IsPaused(process)) world_.Resume(process);
  }
}

bool Simulation::IsSettled() {
  for (const auto& client : clients_) {
    if (!client->idle()) return false;
  }
  for (const auto& client : counter_clients_) {
    if (!client->idle()) return false;
  }
  return judge_->IsAllSettled();
}

void Simulation::Settle() {
  const Timestamp begun = world_.now();
  const Timestamp deadline = begun + settings_.settle_within;
  while (!world_.failed() && !IsSettled()) {
    if (world_.now() >= deadline) {
      judge_->CheckAllSettled();
      for (size_t i = 0; i < clients_.size(); ++i) {
        if (!clients_[i]->idle()) {
          world_.Fail(absl::StrCat("client ", i + 1, " still waits for an answer"));
        }
      }
      return;
    }
    world_.RunFor(Duration::Millis(50));
  }
  settled_in_ = world_.now() - begun;
}

void Simulation::CheckMoney() {
  int64_t total = 0;
  int64_t initial = 0;
  for (const auto& participant : participants_) {
    total += participant->store().Total();
    initial += participant->store().InitialTotal();
  }
  if (total != initial) {
    world_.Fail(
        absl::StrCat("all balances together are ", total, ", they were ", initial));
  }
}

void Simulation::Run() {
  StartAll();
  Nemesis nemesis(this);
  world_.RunFor(Duration::Millis(300));
  nemesis.Start(settings_.faults_for);
  world_.RunFor(settings_.faults_for);
  nemesis.Stop();
  Heal();
  const uint64_t commits = judge_->commits();
  // The clients go on for a while, and the cluster must serve them. A flush that began on
  // a stalled disk may last a second longer than the faults, and cause an election.
  for (int i = 0; i < 3 && judge_->commits() == commits && !world_.failed(); ++i) {
    world_.RunFor(Duration::Millis(1500));
  }
  if (!world_.failed() && judge_->commits() == commits) {
    world_.Fail("nothing commits, four and a half seconds after the faults have stopped");
  }
  for (const auto& client : clients_) client->Stop();
  for (const auto& client : counter_clients_) client->Stop();
  Settle();
  // Nothing that was acknowledged may change.
  if (!world_.failed()) world_.RunFor(Duration::Millis(100));
  if (!world_.failed()) judge_->CheckAllSettled();
  if (!world_.failed()) CheckMoney();
  CountAtTheEnd();
}

void Simulation::CountAtTheEnd() {
  const Network::Statistics& network = world_.network().statistics();
  world_.rare().Add(Rare::kPacketDuplicated, network.duplicated);
  world_.rare().Add(Rare::kPacketReordered, network.reordered);
  world_.rare().Add(Rare::kLateAfterPartition, network.released);
  world_.rare().Add(Rare::kInFlightLost, network.cut);
}

}  // namespace concordat::simulation
