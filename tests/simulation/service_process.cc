#include "tests/simulation/service_process.h"

#include <utility>

namespace concordat::simulation {

ServiceProcess::ServiceProcess(World* world, const Directory* directory,
                               std::vector<std::string> resources, uint32_t accounts)
    : world_(world),
      directory_(directory),
      resources_(std::move(resources)),
      accounts_(accounts),
      random_(world->NewSeed()),
      caller_(world),
      calls_(world, directory, &caller_, world->NewSeed()) {}

void ServiceProcess::SetProcess(ProcessId id) {
  process_ = id;
  caller_.SetProcess(id);
  calls_.SetProcess(id);
}

void ServiceProcess::Receive(const Packet& packet) {
  if (const auto* call = As<ServiceCall>(packet)) {
    Serve(packet, call->gtid);
  } else {
    (void)caller_.OnReply(packet);
  }
}

void ServiceProcess::Serve(const Packet& packet, const Gtid& gtid) {
  const std::string& resource = resources_[random_.Below(resources_.size())];
  const int64_t amount = random_.Between(1, 10);
  ExecuteCall call;
  call.start = gtid;
  call.writes = {{static_cast<uint32_t>(random_.Below(accounts_)), -amount},
                 {static_cast<uint32_t>(random_.Below(accounts_)), amount}};
  caller_.Call(directory_->resources.at(resource), call, Duration::Millis(300),
               [this, packet](const Payload* payload) {
                 const auto* reply = ReplyAs<ExecuteReply>(payload);
                 if (reply == nullptr || reply->code != Code::kOk) {
                   Reply(packet, Code::kUnavailable);
                 } else {
                   Enlist(packet, reply->branch);
                 }
               });
}

void ServiceProcess::Enlist(const Packet& packet, const BranchId& branch) {
  calls_.Enlist(
      branch, world_->now() + Duration::Seconds(2), [this, packet, branch](Code code) {
        if (code == Code::kBranchGone) {
          // Too late: the branch belongs to no transaction; the caller is told.
          caller_.Call(directory_->resources.at(branch.resource), ReleaseCall{branch},
                       Duration::Millis(300), [](const Payload*) {});
        }
        Reply(packet, code);
      });
}

}  // namespace concordat::simulation
