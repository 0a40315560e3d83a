// A service that the client knows nothing of: it works in a branch of its own for its
// caller's transaction, and enlists the branch at the coordinator before it answers.
#ifndef TESTS_SIMULATION_SERVICE_PROCESS_H_
#define TESTS_SIMULATION_SERVICE_PROCESS_H_

#include <string>
#include <vector>

#include "coordinator/base/random.h"
#include "tests/simulation/caller.h"
#include "tests/simulation/coordinator_calls.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

class ServiceProcess final : public Process {
 public:
  ServiceProcess(World* world, const Directory* directory,
                 std::vector<std::string> resources, uint32_t accounts);

  void SetProcess(ProcessId id);
  void Start() override {}
  void Crash(bool) override { caller_.Clear(); }
  void Receive(const Packet& packet) override;

 private:
  void Serve(const Packet& packet, const Gtid& gtid);
  void Enlist(const Packet& packet, const BranchId& branch);
  void Reply(const Packet& packet, Code code) {
    world_->Send(process_, packet.from, packet.call, ServiceReply{code});
  }

  World* world_;
  const Directory* directory_;
  const std::vector<std::string> resources_;
  const uint32_t accounts_;
  ProcessId process_;
  Random random_;
  Caller caller_;
  CoordinatorCalls calls_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_SERVICE_PROCESS_H_
