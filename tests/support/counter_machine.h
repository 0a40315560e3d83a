// CounterMachine: counters by name, the smallest state machine that needs all that
// group::StateMachine offers. It stands for any other: tests, the simulator and a
// benchmark run it through the seam that the transactions use.
//
//   machine.Add(token, "visits", 1, now);   // answered when it is applied
//   machine.Read(token, "visits", now);     // linearizable, nothing is appended
//   for (const CounterAnswer& answer : machine.TakeAnswers()) ...
#ifndef TESTS_SUPPORT_COUNTER_MACHINE_H_
#define TESTS_SUPPORT_COUNTER_MACHINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/group/state_machine.h"

namespace concordat::testing {

// The counters' number where they share a group.
inline constexpr group::MachineId kCounters{200};

struct AddCommand {
  Term term;            // of the leader that made it
  uint64_t number = 0;  // in that term
  std::string name;
  uint64_t amount = 0;
  std::string padding;  // makes it as long as a test wants
};
[[nodiscard]] std::string EncodeCommand(const AddCommand& command);
// UNIMPLEMENTED for another version, DATA_LOSS for no such command.
[[nodiscard]] absl::StatusOr<AddCommand> DecodeCommand(std::string_view bytes);

struct CounterAnswer {
  enum class Kind : uint8_t {
    kDone,      // `value` is the counter's: after the addition, or as it was read
    kNotBegun,  // this node does not lead, or has no room: nothing was done
    kUnknown,   // leadership was lost; it may be applied by the next leader
  };
  uint64_t token = 0;
  Kind kind = Kind::kDone;
  uint64_t value = 0;
};

class CounterMachine final : public group::StateMachine {
 public:
  // Each token gets one answer. `now` is not looked at: nothing here waits for time.
  void Add(uint64_t token, const std::string& name, uint64_t amount,
           std::string padding = {});
  void Read(uint64_t token, const std::string& name);
  [[nodiscard]] std::vector<CounterAnswer> TakeAnswers();

  [[nodiscard]] const std::map<std::string, uint64_t>& counters() const {
    return state_.counters;
  }
  [[nodiscard]] LogIndex last_applied() const { return state_.last_applied; }
  // Of all that was applied. Equal on every node at the same index.
  [[nodiscard]] uint64_t digest() const { return state_.digest; }
  [[nodiscard]] bool is_ready() const { return ready_; }

  [[nodiscard]] absl::Status Check(std::string_view command) const override;
  [[nodiscard]] absl::Status Apply(LogIndex index, std::string_view command,
                                   Timestamp now) override;
  void BecomeLeader(Term term, Timestamp now) override;
  void LeaderReady(Term term, Timestamp now) override;
  void LoseLeadership(Timestamp now) override;
  void AdmitNewWork(bool admit) override { admits_ = admit; }
  void Tick(Timestamp) override {}
  [[nodiscard]] bool HasMoreWork() const override { return false; }
  [[nodiscard]] Timestamp NextTimer() const override { return Timestamp::Infinite(); }
  [[nodiscard]] std::vector<std::string> TakeProposals() override;
  [[nodiscard]] std::vector<group::ReadToken> TakeReads() override;
  void OnReadConfirmed(group::ReadToken token, Timestamp now) override;
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot() override;
  [[nodiscard]] std::unique_ptr<group::SnapshotRestore> BeginRestore(
      LogIndex at) override;

 private:
  struct State {
    std::map<std::string, uint64_t> counters;
    LogIndex last_applied;
    uint64_t digest = 0;
  };
  class Source;
  class Restore;

  State state_;
  std::optional<Term> term_;  // while leading
  bool ready_ = false;
  bool admits_ = true;
  uint64_t last_number_ = 0;
  std::vector<std::string> proposals_;
  std::vector<group::ReadToken> reads_;
  std::map<uint64_t, uint64_t> adding_;              // number to token
  std::map<group::ReadToken, std::string> reading_;  // to the counter's name
  std::vector<CounterAnswer> answers_;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_COUNTER_MACHINE_H_
