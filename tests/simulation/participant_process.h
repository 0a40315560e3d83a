// A participant in the simulated world: the real participant::BranchTable over a
// simulated store. It starts, executes, prepares and ends branches, recovers after a
// crash before it serves, and inquires about branches in doubt.
#ifndef TESTS_SIMULATION_PARTICIPANT_PROCESS_H_
#define TESTS_SIMULATION_PARTICIPANT_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/random.h"
#include "participant/sdk/core/branch_table.h"
#include "tests/simulation/coordinator_node.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/sim_store.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

struct ParticipantOptions {
  participant::BranchTableOptions table;
  StoreOptions store;
  // Unique to the participant; the number of the start is added.
  uint64_t incarnation_base = 0;
  Duration recovery_min = Duration::Millis(1);
  Duration recovery_max = Duration::Millis(60);
  Duration heartbeat = Duration::Millis(300);
  uint32_t refuse_permille = 10;       // the resource refuses PREPARE
  uint32_t unavailable_permille = 10;  // PREPARE or COMMIT is not possible now
};

class ParticipantProcess final : public Process {
 public:
  ParticipantProcess(World* world, const Directory* directory, Judge* judge,
                     std::string resource, const ParticipantOptions& options);

  void SetProcess(ProcessId id);
  [[nodiscard]] ProcessId process() const { return process_; }
  [[nodiscard]] const std::string& resource() const { return resource_; }
  [[nodiscard]] SimStore& store() { return store_; }
  [[nodiscard]] const participant::BranchTable* table() const { return table_.get(); }
  // For tests that want no random refusals.
  void SetTroubles(uint32_t refuse_permille, uint32_t unavailable_permille);
  void SetRecoveryTime(Duration min, Duration max);
  // `deposed`: whether a process is a coordinator that wrongly believes to be the leader;
  // for the counts of rare paths.
  void SetDeposed(std::function<bool(ProcessId)> deposed) {
    deposed_ = std::move(deposed);
  }

  void Start() override;
  void Crash(bool power) override;
  void Receive(const Packet& packet) override;

 private:
  // A VerbCall; it is answered when all of its branches are.
  struct PendingVerbs {
    ProcessId to;
    CallId call;
    VerbReply reply;
    size_t missing = 0;
  };
  struct PendingRequest {
    ProcessId from;
    CallId call;
    BranchId branch;
    std::shared_ptr<PendingVerbs> verbs;
    size_t position = 0;
    std::vector<Write> writes;  // of an Execute
    bool prepare = false;
  };
  struct Reply final : participant::ExecuteReply {
    Code code = Code::kOk;
    bool prepared = false;
  };

  void Handle(const Packet& packet, const ExecuteCall& call);
  void Handle(const Packet& packet, const VerbCall& call);
  void Handle(const Packet& packet, const OnePhaseCall& call);
  void Handle(const Packet& packet, const ReleaseCall& call);
  void Handle(const Packet& packet, const InquiryReply& reply);
  void Handle(const Packet& packet, const RegisterReply& reply);
  template <class T>
  void Handle(const Packet&, const T&) {}

  [[nodiscard]] Timestamp Now() { return world_->ClockOf(process_).Now(); }
  participant::RequestToken Keep(PendingRequest request);
  void OnRecovered();
  void Scan();
  void Heartbeat();
  // Carries out the table's commands.
  void Act();
  void CarryOut(const participant::Command& command);
  void Execute(const BranchId& branch, const PendingRequest& request);
  void Prepare(const BranchId& branch);
  void Commit(const BranchId& branch);
  void Answer(const participant::Answer& answer);
  void AnswerVerb(const PendingRequest& request, Vote vote, FinishState ack,
                  const std::string& detail);
  void Body(const PendingRequest& request, const participant::ExecuteAnswer& answer);
  void Body(const PendingRequest& request, const participant::VoteAnswer& answer);
  void Body(const PendingRequest& request, const participant::FinishAnswer& answer);
  void Body(const PendingRequest& request, const participant::OnePhaseAnswer& answer);
  void Inquire(const std::vector<BranchId>& branches);
  void CountVerb(const Packet& packet, txn::Verb verb, const BranchId& branch);
  void CountVote(const BranchId& branch, Vote vote);
  [[nodiscard]] ProcessId SomeNode();

  World* world_;
  const Directory* directory_;
  Judge* judge_;
  const std::string resource_;
  ParticipantOptions options_;
  ProcessId process_;
  Random random_;
  SimStore store_;
  uint64_t lives_ = 0;
  uint64_t asked_ = 0;

  // The state of the present incarnation.
  std::unique_ptr<participant::BranchTable> table_;
  uint64_t last_token_ = 0;
  absl::flat_hash_map<participant::RequestToken, PendingRequest> requests_;

  // For the counts of rare paths.
  std::function<bool(ProcessId)> deposed_;
  std::set<BranchId> read_only_votes_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_PARTICIPANT_PROCESS_H_
