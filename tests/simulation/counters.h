// A second state machine in the coordinators' group: counters (tests/support), with
// clients that count, and a judge who says when something was lost. It shows that the
// replica and what carries snapshots work for any machine, and that two share a group.
//
// Checked:
//   - counters are equal on all nodes at the same index;
//   - what is answered "done" was applied, and what is answered "not begun" never is;
//   - nothing is applied more often than nodes were asked for it;
//   - linearizable: an answer shows all that was answered before it was asked for, and
//     nothing that is not in the log.
#ifndef TESTS_SIMULATION_COUNTERS_H_
#define TESTS_SIMULATION_COUNTERS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "coordinator/base/random.h"
#include "tests/simulation/caller.h"
#include "tests/simulation/world.h"
#include "tests/support/counter_machine.h"

namespace concordat::simulation {

struct Directory;

class CounterJudge {
 public:
  explicit CounterJudge(World* world) : world_(world) {}

  // A node was asked to carry the operation out, or has answered that it has not begun.
  void OnAsked(const std::string& operation) { ++operations_[operation].asked; }
  void OnNotBegun(const std::string& operation);
  // A node applies a command.
  void OnApplied(LogIndex index, std::string_view command);
  // What a node has, after that index.
  void OnDigest(NodeId node, LogIndex index, uint64_t digest);

  // The highest value that was answered so far.
  [[nodiscard]] uint64_t FloorOf(const std::string& name) { return floors_[name]; }
  // A client hears that its operation is done. `floor`: FloorOf when it asked. No
  // operation: it has read.
  void OnDone(const std::string& operation, const std::string& name, uint64_t floor,
              uint64_t amount, uint64_t value);

 private:
  struct Operation {
    uint64_t asked = 0;
    uint64_t not_begun = 0;
    uint64_t applied = 0;
  };
  void Check(const std::string& name, const Operation& operation);

  World* world_;
  testing::CounterMachine reference_;
  std::map<LogIndex, uint64_t> digests_;  // of the reference
  std::map<std::string, Operation> operations_;
  std::map<std::string, uint64_t> floors_;  // by counter
};

// Adds and reads, one operation after the other, wherever it is answered.
class CounterClient final : public Process {
 public:
  CounterClient(World* world, const Directory* directory, CounterJudge* judge,
                std::string name);
  void SetProcess(ProcessId id) {
    process_ = id;
    caller_.SetProcess(id);
  }
  [[nodiscard]] ProcessId process() const { return process_; }

  void Start() override { Think(); }
  void Crash(bool) override { caller_.Clear(); }
  void Receive(const Packet& packet) override { (void)caller_.OnReply(packet); }
  // It asks for nothing new.
  void Stop() { stopped_ = true; }
  [[nodiscard]] bool idle() const { return stopped_ && !asking_; }

 private:
  void Think();
  void Ask();

  World* world_;
  const Directory* directory_;
  CounterJudge* judge_;
  const std::string name_;
  ProcessId process_;
  Random random_;
  Caller caller_;
  ProcessId node_;  // answered last
  uint64_t last_operation_ = 0;
  bool asking_ = false;
  bool stopped_ = false;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_COUNTERS_H_
