// One run: coordinator nodes, participants, clients and services in one world. A nemesis
// injects faults; then they stop, everything must end, and the result is checked.
//
//   Simulation simulation(Settings::FromSeed(17));
//   simulation.Run();
//   if (simulation.world().failed()) std::cerr << simulation.world().failure();
//
// A scripted test uses it with Settings::Quiet() and decides itself what happens
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

// The kinds of faults of a run. A run has only some of them, so that they do not hide
// each other (swarm testing: Groce et al., ISSTA 2012).
struct Troubles {
  bool kills = false;
  bool power = false;
  bool pauses = false;
  bool partitions = false;
  bool bad_links = false;
  bool slow_disks = false;
  bool full_disks = false;
  bool versions = false;  // nodes with another protocol version than the clients
  bool clocks = false;
  bool participant_kills = false;
  bool participant_pauses = false;
  bool lost_tails = false;      // a killed node's log loses its end
  bool transfers = false;       // planned transfers of leadership
  bool targeted_kills = false;  // of a leader, just after a transition
  // The longest time from one fault to the next.
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
  // The time after the faults within which all transactions must have ended.
  Duration settle_within = Duration::Seconds(60);
  Troubles troubles;
  NodeOptions node;
  ParticipantOptions participant;
  ClientOptions client;

  // All settings are drawn from the seed.
  [[nodiscard]] static Settings FromSeed(uint64_t seed);
  // Three nodes and three participants, no clients, no faults, and nothing random but the
  // network's small delays.
  [[nodiscard]] static Settings Quiet();
};

class Simulation {
 public:
  explicit Simulation(const Settings& settings);
  ~Simulation();

  // Starts everything, injects faults, waits until everything has ended, and checks.
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
  // Whether it believes to be the leader while another node leads a later term.
  [[nodiscard]] bool IsDeposed(ProcessId process);

  // Ends all faults: everything runs, is connected, and has right clocks and fast disks.
  void Heal();
  // Runs until all transactions have ended and every client is answered; fails when that
  // takes longer than the settings allow.
  void Settle();
  // How long Settle() took.
  [[nodiscard]] Duration settled_in() const { return settled_in_; }
  // Checks that the total of all balances is what it was at the beginning.
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
