// How a client finds the leader: it sends the same request, with the same gtid, to one
// node after the other until one knows the answer. The client library's own code says
// what the answers mean (coordinator/client/request_fate.h).
//
//   calls.Outcome(CommitCall{...}, deadline,
//                 [](const OutcomeReply& last, client::Verdict verdict) { ... });
#ifndef TESTS_SIMULATION_COORDINATOR_CALLS_H_
#define TESTS_SIMULATION_COORDINATOR_CALLS_H_

#include <functional>
#include <memory>

#include "coordinator/base/random.h"
#include "coordinator/client/request_fate.h"
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

  using OutcomeDone = std::function<void(const OutcomeReply&, client::Verdict)>;
  // `fate`: whether a request with this gtid was sent before.
  void Outcome(Payload request, Timestamp deadline, OutcomeDone done,
               client::RequestFate fate = client::RequestFate());
  void Enlist(const BranchId& branch, Timestamp deadline, std::function<void(Code)> done);
  void Begin(uint32_t count, Timestamp deadline,
             std::function<void(const BeginReply&)> done);

  // Sends it once to one node, and does not wait for the answer.
  void SendOnce(Payload request, ProcessId to,
                std::function<void(const OutcomeReply&)> done);
  [[nodiscard]] ProcessId SomeNode();
  // Mostly the node that answered last.
  [[nodiscard]] ProcessId LikelyLeader() {
    return believed_leader_.is_none() || random_.Percent(15) ? SomeNode()
                                                             : believed_leader_;
  }

 private:
  // One request until its end.
  struct Question {
    Payload request;
    Timestamp deadline;
    // What the reply means (null: none arrived), and what to do at the end.
    std::function<client::Answer(const Payload*)> read;
    std::function<void(const Payload*, client::Verdict)> done;
    client::RequestFate fate;
    int attempts = 0;
  };
  void Start(Question question);
  void Ask(const std::shared_ptr<Question>& question, ProcessId node);
  void OnReply(const std::shared_ptr<Question>& question, ProcessId node,
               const Payload* reply);

  World* world_;
  const Directory* directory_;
  Caller* caller_;
  Random random_;
  ProcessId process_;
  ProcessId believed_leader_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_COORDINATOR_CALLS_H_
