// The simulated world: time, a network, and processes that can be killed, started again,
// stopped and resumed. Its seed decides everything in it.
//
//   World world(seed);
//   ProcessId id = world.AddProcess("node-1", &node);   // node is a Process
//   world.Start(id);
//   world.RunFor(Duration::Seconds(1));
//   if (world.failed()) std::cerr << world.failure();
//
// A killed process loses every event that was scheduled for it, and receives nothing
// until it is started again. A stopped process (SIGSTOP) receives everything when it is
// resumed, in the order of arrival.
#ifndef TESTS_SIMULATION_WORLD_H_
#define TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "tests/simulation/event_queue.h"
#include "tests/simulation/local_clock.h"
#include "tests/simulation/messages.h"
#include "tests/simulation/network.h"
#include "tests/simulation/rare_paths.h"

namespace concordat::simulation {

// A process of the world. The object outlives the process's crashes: what it keeps in
// Crash() is its disk.
class Process {
 public:
  virtual ~Process() = default;
  virtual void Start() = 0;
  // Loses everything in memory; with `power`, also what was not flushed.
  virtual void Crash(bool power) = 0;
  virtual void Receive(const Packet& packet) = 0;
};

class World {
 public:
  explicit World(uint64_t seed);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // --- Time -------------------------------------------------------------------------

  [[nodiscard]] Timestamp now() const { return queue_.now(); }
  [[nodiscard]] EventQueue& queue() { return queue_; }
  // Runs events until that time, or until the run has failed.
  void RunUntil(Timestamp when);
  void RunFor(Duration span) { RunUntil(now() + span); }
  // Runs one event. False: none is left, or the run has failed.
  bool Step();
  // Runs the action in any case: for the nemesis and for devices.
  void After(Duration delay, Action action) {
    queue_.At(now() + delay, std::move(action));
  }
  // Runs the action unless the process's present incarnation ends before.
  void After(ProcessId process, Duration delay, Action action);

  // --- Processes --------------------------------------------------------------------

  ProcessId AddProcess(std::string name, Process* process);
  void Start(ProcessId process);
  void Kill(ProcessId process, bool power);
  void Pause(ProcessId process);
  void Resume(ProcessId process);
  [[nodiscard]] bool IsUp(ProcessId process) const { return HostOf(process).up; }
  [[nodiscard]] bool IsPaused(ProcessId process) const { return HostOf(process).paused; }
  // The number of its starts.
  [[nodiscard]] uint64_t IncarnationOf(ProcessId process) const {
    return HostOf(process).incarnation;
  }
  [[nodiscard]] const std::string& NameOf(ProcessId process) const {
    return HostOf(process).name;
  }
  [[nodiscard]] LocalClock& ClockOf(ProcessId process) { return *HostOf(process).clock; }

  // --- Network ----------------------------------------------------------------------

  [[nodiscard]] Network& network() { return network_; }
  void Send(ProcessId from, ProcessId to, CallId call, Payload payload);
  [[nodiscard]] CallId NewCall() { return CallId(++last_call_); }

  // --- Chance, history and verdict --------------------------------------------------

  [[nodiscard]] uint64_t seed() const { return seed_; }
  // The seed of a separate random stream for one user, so that one more draw in one
  // stream does not change the others.
  [[nodiscard]] uint64_t NewSeed() { return random_.Next(); }
  [[nodiscard]] RarePaths& rare() { return rare_; }

  // Keeps the last `lines` lines of history; 0 keeps none.
  void KeepHistory(size_t lines) { history_size_ = lines; }
  [[nodiscard]] bool keeps_history() const {
    return history_size_ != 0 || history_out_ != nullptr;
  }
  // Prints each line at once, so that it is not lost when a check ends the process.
  void PrintHistory(std::ostream* out) { history_out_ = out; }
  void Note(std::string_view line);
  [[nodiscard]] const std::deque<std::string>& history() const { return history_; }

  // Reports a violation, which ends the run. The first one counts.
  void Fail(std::string what);
  [[nodiscard]] bool failed() const { return failure_.has_value(); }
  [[nodiscard]] const std::string& failure() const { return *failure_; }

  // Called after every event.
  void SetAfterEvent(std::function<void()> check) { after_event_ = std::move(check); }

  // A digest of all that has happened: two runs of the same seed must agree.
  [[nodiscard]] uint64_t fingerprint() const { return fingerprint_; }
  void Mix(uint64_t value) {
    fingerprint_ = (fingerprint_ ^ value) * 0x9e3779b97f4a7c15 + (fingerprint_ >> 29);
  }

 private:
  struct Host {
    std::string name;
    Process* process = nullptr;
    std::unique_ptr<LocalClock> clock;
    bool up = false;
    bool paused = false;
    uint64_t incarnation = 0;
    std::deque<Action> waiting;  // to run when it is resumed
  };

  [[nodiscard]] const Host& HostOf(ProcessId process) const;
  [[nodiscard]] Host& HostOf(ProcessId process);
  void Run(ProcessId process, uint64_t incarnation, Action action);
  void Deliver(const Packet& packet);

  const uint64_t seed_;
  Random random_;
  EventQueue queue_;
  Network network_;
  std::vector<Host> hosts_;
  uint64_t last_call_ = 0;
  RarePaths rare_;
  std::function<void()> after_event_;
  size_t history_size_ = 0;
  std::ostream* history_out_ = nullptr;
  std::deque<std::string> history_;
  std::optional<std::string> failure_;
  uint64_t fingerprint_ = 0;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_WORLD_H_
