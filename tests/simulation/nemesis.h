// The nemesis injects faults: kills, power cuts, stops, partitions, bad links, slow
// disks, wrong clocks. The seed determines which ones, and when.
//
//   Nemesis nemesis(&simulation);
//   nemesis.Start(Duration::Seconds(4));
//   world.RunFor(Duration::Seconds(4));
//   nemesis.Stop();                       // Simulation::Heal ends the faults
#ifndef TESTS_SIMULATION_NEMESIS_H_
#define TESTS_SIMULATION_NEMESIS_H_

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/base/random.h"
#include "tests/simulation/simulation.h"

namespace concordat::simulation {

class Nemesis {
 public:
  explicit Nemesis(Simulation* simulation);

  void Start(Duration span);
  // Does nothing more. Faults that it would have ended later go on, too.
  void Stop() { *running_ = false; }

 private:
  void Next();
  void Strike();

  void KillNode(bool power);
  void KillAllNodes();
  void KillNodeAndLoseTail();
  void HandOver();
  void PauseNode();
  void Partition();
  void BadLinks();
  void SlowDisk();
  void FullDisk();
  void OtherVersion();
  void TroubleClock();
  void KillParticipant();
  void PauseParticipant();
  // The next leader that reports a certain transition is killed just after it.
  void AimAtTransition();

  void Kill(ProcessId process, bool power, Duration down_for);
  void CutInFlight(ProcessId process);
  void Pause(ProcessId process, Duration span);
  // A random node; the leader more often than the others.
  [[nodiscard]] CoordinatorNode& SomeNode();
  [[nodiscard]] ParticipantProcess& SomeParticipant();
  [[nodiscard]] std::vector<ProcessId> Everybody();
  [[nodiscard]] Duration Between(int64_t low_ms, int64_t high_ms) {
    return Duration::Micros(random_.Between(low_ms * 1000, high_ms * 1000));
  }
  // Runs the action, unless the nemesis was stopped before.
  void After(Duration delay, std::function<void()> action);

  Simulation* simulation_;
  World* world_;
  Random random_;
  std::vector<std::function<void()>> strikes_;
  std::shared_ptr<bool> running_ = std::make_shared<bool>(false);
  std::optional<txn::EventKind> aim_;
  bool aim_with_power_ = false;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_NEMESIS_H_
