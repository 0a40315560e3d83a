// One run of the whole: coordinator nodes, participants, clients and services in one
// world, troubled by a nemesis, then left in peace and judged.
//
//   Simulation simulation(Settings::FromSeed(17));
//   simulation.Run();
//   if (simulation.world().failed()) std::cerr << simulation.world().failure();
//
// A scripted test builds the same with Settings::Quiet() and gives the orders itself
// (scenario.h).
#ifndef TESTS_SIMULATION_SIMULATION_H_
#define TESTS_SIMULATION_SIMULATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/raft/invariants.h"
#include "tests/simulation/client_process.h"
#include "tests/simulation/coordinator_node.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/participant_process.h"
#include "tests/simulation/service_process.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

// What kinds of trouble there are. A run has some of them only, so that they do not
// hide each other (swarm testing: Groce et al., ISSTA 2012).
struct Troubles {
  bool kills = false;
  bool power = false;
  bool pauses = false;
  bool partitions = false;
  bool bad_links = false;
  bool slow_disks = false;
  bool full_disks = false;
  bool versions = false;  // nodes that speak another version than the clients
  bool clocks = false;
  bool participant_kills = false;
  bool participant_pauses = false;
  bool lost_tails = false;      // of a log whose node was killed
  bool transfers = false;       // of leadership
  bool targeted_kills = false;  // of a leader, right behind a transition
  // From one trouble to the next, at most.
  Duration pace = Duration::Millis(400);
};

struct Settings {
  uint64_t seed = 1;
  size_t nodes = 3;
  size_t participants = 3;
  size_t clients = 4;
  size_t services = 1;
  size_t counter_clients = 0;  // with NodeOptions::counters
  Duration faults_for = Duration::Seconds(4);
  // By then all must be settled, counted from the end of the faults.
  Duration settle_within = Duration::Seconds(60);
  Troubles troubles;
  NodeOptions node;
  ParticipantOptions participant;
  ClientOptions client;

  // Everything drawn from the seed.
  [[nodiscard]] static Settings FromSeed(uint64_t seed);
  // Three nodes and three participants, no clients, no troubles, no chance but in the
  // network's small delays.
  [[nodiscard]] static Settings Quiet();
};

class Simulation {
 public:
  explicit Simulation(const Settings& settings);
  ~Simulation();

  // Starts everything, troubles it, lets it settle, and checks.
  void Run();

  // --- Parts, for scripted tests.

  void StartAll();
  [[nodiscard]] World& world() { return world_; }
  [[nodiscard]] Judge& judge() { return *judge_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] const Directory& directory() const { return directory_; }
  [[nodiscard]] size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] CoordinatorNode& node(size_t i) { return *nodes_[i]; }
  [[nodiscard]] size_t participant_count() const { return participants_.size(); }
  [[nodiscard]] ParticipantProcess& participant(size_t i) { return *participants_[i]; }
  [[nodiscard]] std::vector<std::unique_ptr<ClientProcess>>& clients() {
    return clients_;
  }
  // The leader of the highest term that is up; null when there is none.
  [[nodiscard]] CoordinatorNode* Leader();
  // Believes to lead, and another one leads a later term.
  [[nodiscard]] bool IsDeposed(ProcessId process);

  // No faults any more: everything is up, connected and in time.
  void Heal();
  // Runs until everything is settled and every client answered; fails when that takes
  // longer than the settings allow.
  void Settle();
  // How long that took.
  [[nodiscard]] Duration settled_in() const { return settled_in_; }
  // All balances together are what they were at the beginning.
  void CheckMoney();

 private:
  void AddNodes();
  void AddParticipants();
  void AddClients();
  [[nodiscard]] bool IsSettled();
  void CountAtTheEnd();

  const Settings settings_;
  World world_;
  Duration settled_in_;
  Directory directory_;
  std::unique_ptr<Judge> judge_;
  std::unique_ptr<CounterJudge> counter_judge_;
  std::unique_ptr<raft::InvariantsChecker> raft_checker_;
  std::vector<std::unique_ptr<CoordinatorNode>> nodes_;
  std::vector<std::unique_ptr<ParticipantProcess>> participants_;
  std::vector<std::unique_ptr<ServiceProcess>> services_;
  std::vector<std::unique_ptr<ClientProcess>> clients_;
  std::vector<std::unique_ptr<CounterClient>> counter_clients_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_SIMULATION_H_
