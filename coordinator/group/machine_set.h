// MachineSet: several state machines in one group, as one state machine. Each of them has
// a number, which is the first byte of its commands in the log and of its portions in a
// snapshot. A snapshot has the machines in the order of their numbers.
//
//   MachineSet set({{MachineId(1), &transactions}, {MachineId(2), &registry}});
//
// A command is applied to its own machine only. All machines are told of leadership, time
// and room on the disk, in the order of their numbers. While a machine applies a command
// it may read the state of another: both have applied the same part of the log, at every
// node.
#ifndef COORDINATOR_GROUP_MACHINE_SET_H_
#define COORDINATOR_GROUP_MACHINE_SET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/group/state_machine.h"

namespace concordat::group {

// A command of the log, split into its two parts.
struct MachineCommand {
  MachineId machine;
  std::string_view command;  // as the machine made it
};
// DATA_LOSS: `bytes` is empty.
[[nodiscard]] absl::StatusOr<MachineCommand> SplitCommand(std::string_view bytes);
[[nodiscard]] std::string JoinCommand(MachineId machine, std::string command);

class MachineSet final : public StateMachine {
 public:
  // The machines outlive the set and the restores that it begins.
  explicit MachineSet(std::map<MachineId, StateMachine*> machines);

  // See StateMachine. A command or a portion of a machine that is not in the set is
  // UNIMPLEMENTED.
  [[nodiscard]] absl::Status Check(std::string_view command) const override;
  [[nodiscard]] absl::Status Apply(LogIndex index, std::string_view command,
                                   Timestamp now) override;
  void BecomeLeader(Term term, Timestamp now) override;
  void LeaderReady(Term term, Timestamp now) override;
  void LoseLeadership(Timestamp now) override;
  void AdmitNewWork(bool admit) override;
  void Tick(Timestamp now) override;
  [[nodiscard]] bool HasMoreWork() const override;
  [[nodiscard]] Timestamp NextTimer() const override;
  [[nodiscard]] std::vector<std::string> TakeProposals() override;
  [[nodiscard]] std::vector<ReadToken> TakeReads() override;
  void OnReadConfirmed(ReadToken token, Timestamp now) override;
  [[nodiscard]] std::unique_ptr<SnapshotSource> TakeSnapshot() override;
  [[nodiscard]] std::unique_ptr<SnapshotRestore> BeginRestore(LogIndex at) override;

 private:
  [[nodiscard]] absl::StatusOr<StateMachine*> Find(MachineId machine) const;

  const std::map<MachineId, StateMachine*> machines_;  // not owned
  uint64_t last_read_ = 0;  // the last number that the set has given to a read
  // The reads that are not confirmed yet: by the set's number, the machine and its own
  // number.
  std::map<ReadToken, std::pair<StateMachine*, ReadToken>> reads_;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_MACHINE_SET_H_
