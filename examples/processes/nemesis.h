// Kills processes during the work, one after the other, each in this way:
//
//   waiting ──(the work has come half way to the next mark)──> SIGKILL
//     ^                                                          │
//     │                                        (leader: another one leads)
//     │                                                          v
//     └──(it has caught up, or registered again)── restarted ────┘
//
// The work is divided among the kills: allowed() says how much of it may begin, so that
// the last kill does not come after all the work is done. Up to there the clients run at
// full speed.
#ifndef EXAMPLES_PROCESSES_NEMESIS_H_
#define EXAMPLES_PROCESSES_NEMESIS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "examples/processes/observer.h"

namespace concordat::example {

// The processes that the nemesis kills and watches.
class Victims {
 public:
  virtual ~Victims() = default;
  [[nodiscard]] virtual std::optional<LeaderView> Leader() const = 0;
  [[nodiscard]] virtual std::optional<int64_t> AppliedIndex(size_t node) const = 0;
  [[nodiscard]] virtual absl::Status KillNode(size_t node) = 0;
  [[nodiscard]] virtual absl::Status RestartNode(size_t node) = 0;
  // The participant that serves a resource.
  [[nodiscard]] virtual absl::Status KillServerOf(const std::string& resource) = 0;
  [[nodiscard]] virtual absl::Status RestartServerOf(const std::string& resource) = 0;
  // The database server behind it. Restart returns when the server takes connections.
  [[nodiscard]] virtual absl::Status KillDatabaseOf(const std::string& resource) = 0;
  [[nodiscard]] virtual absl::Status RestartDatabaseOf(const std::string& resource) = 0;
};

// Is told of each kill, to measure what it costs the clients.
class FaultWatch {
 public:
  virtual ~FaultWatch() = default;
  // A process was just killed. Returns the fault's number.
  virtual size_t BeginFault(Timestamp now) = 0;
  // The process is back.
  virtual void EndFault(size_t fault, Timestamp now) = 0;
};

// One kill, for the table at the end.
struct Fault {
  bool of_leader = false;
  std::string who;    // "leader, node 2", "participant of kv-1", "server of mariadb-1"
  size_t number = 0;  // of FaultWatch::BeginFault
  uint64_t in_flight = 0;  // transfers or purchases under way at the kill
  // The time until another node led, the resource was registered or the server was up.
  Duration outage;
};

// For the main thread.
class Nemesis {
 public:
  struct Plan {
    size_t leader_kills = 3;             // 0: nothing is killed
    std::vector<std::string> resources;  // the participant of one of them is killed once
    std::vector<std::string> databases;  // the server of each of them is killed once
    Duration participant_down = Duration::Millis(300);  // before it is restarted
    Duration step_limit = Duration::Seconds(30);        // for a killed process to be back
  };
  // The watch may be null. `say` gets lines for the console.
  Nemesis(Plan plan, Victims* victims, FaultWatch* watch, uint64_t seed,
          std::function<void(const std::string&)> say);

  // To be called again and again. `progress` is the part of the work that has ended, from
  // 0 to 1. An error: a process has ended by itself, or is not back in time.
  [[nodiscard]] absl::Status Tick(Timestamp now, double progress, uint64_t in_flight);
  // The part of the work that may begin, 0 to 1.
  [[nodiscard]] double allowed() const;
  [[nodiscard]] bool done() const { return step_ == steps_.size(); }
  [[nodiscard]] const std::vector<Fault>& faults() const { return faults_; }

 private:
  enum class StepKind : uint8_t { kLeader, kParticipant, kDatabase };
  struct Step {
    StepKind kind;
    std::string database;  // for kDatabase: its resource
  };
  enum class Phase { kWaiting, kKilled, kRestarted };

  [[nodiscard]] absl::Status Kill(Timestamp now, uint64_t in_flight);
  [[nodiscard]] absl::Status KillLeader(const LeaderView& leader);
  [[nodiscard]] absl::Status KillParticipant(const LeaderView& leader);
  void CheckLeaderBack(Timestamp now);
  void CheckParticipantBack(Timestamp now);
  void StepIsOver(Timestamp now);
  [[nodiscard]] absl::Status Restart(Timestamp now);
  void CheckBack(Timestamp now);
  void Enter(Phase phase, Timestamp now);

  const Plan plan_;
  Victims* const victims_;
  FaultWatch* const watch_;
  Random random_;
  const std::function<void(const std::string&)> say_;
  std::vector<Step> steps_;
  size_t step_ = 0;
  Phase phase_ = Phase::kWaiting;
  Timestamp entered_;  // when the phase began
  Timestamp killed_at_;
  size_t node_ = 0;          // the coordinator node that was killed
  int64_t term_ = 0;         // the term in which that node led
  int64_t catch_up_to_ = 0;  // the log index that it must apply to be back
  std::string resource_;     // the resource whose participant was killed
  int64_t incarnation_ = 0;  // of that resource before the kill
  std::vector<Fault> faults_;
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_NEMESIS_H_
