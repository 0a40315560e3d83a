// How a client finds the leader and follows elections: the same request, with the
// same gtid, at one node after the other, until one of them knows the answer.
//
//   calls.Outcome(CommitCall{...}, give_up_at, [](const OutcomeReply& reply) { ... });
//   // reply.code: kOk, kForgotten, kNotFound, kInvalid; kUnknown when it gave up
#ifndef TESTS_SIMULATION_COORDINATOR_CALLS_H_
#define TESTS_SIMULATION_COORDINATOR_CALLS_H_

#include <functional>

#include "coordinator/base/random.h"
#include "tests/simulation/caller.h"
#include "tests/simulation/coordinator_node.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

class CoordinatorCalls {
 public:
  CoordinatorCalls(World* world, const Directory* directory, Caller* caller,
                   uint64_t seed)
      : world_(world), directory_(directory), caller_(caller), random_(seed) {}
  void SetProcess(ProcessId id) { process_ = id; }

  // `first`: the node that is asked first; none: the one that is believed to lead.
  void Outcome(Payload request, Timestamp give_up_at,
               std::function<void(const OutcomeReply&)> done,
               ProcessId first = ProcessId());
  void Enlist(const BranchId& branch, Timestamp give_up_at,
              std::function<void(Code)> done);
  void Begin(uint32_t count, Timestamp give_up_at,
             std::function<void(const BeginReply&)> done);

  // To one node, once, and nobody waits.
  void SendOnce(Payload request, ProcessId to,
                std::function<void(const OutcomeReply&)> done);
  [[nodiscard]] ProcessId SomeNode();
  // Mostly the one that answered last.
  [[nodiscard]] ProcessId LikelyLeader() {
    return believed_leader_.is_none() || random_.Percent(15) ? SomeNode()
                                                             : believed_leader_;
  }

 private:
  // Tells whether the answer is final.
  using Judged = std::function<bool(const Payload*)>;
  void Ask(ProcessId node, Payload request, Timestamp give_up_at, Judged judged,
           std::function<void()> gave_up, int attempt);

  World* world_;
  const Directory* directory_;
  Caller* caller_;
  Random random_;
  ProcessId process_;
  ProcessId believed_leader_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_COORDINATOR_CALLS_H_
