// Registry: the state machine that knows the resources, by whom and from which store they
// are served, and how far each store has come. Every node applies its records; only the
// leader answers requests and hears heartbeats.
//
//   Registry registry(options, &users);
//   registry.Submit(token, RegisterResourceRequest{...}, now);
//   proposals = registry.TakeProposals();
//   Output out = registry.TakeOutput();
//
// group/state_machine.h says what is called when. A request is answered NotLeader as
// follower, waits a while until a leader is ready, and is then dealt with.
#ifndef COORDINATOR_REGISTRY_REGISTRY_H_
#define COORDINATOR_REGISTRY_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/disk_room.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/group/until_ready.h"
#include "coordinator/registry/options.h"
#include "coordinator/registry/output.h"
#include "coordinator/registry/registrar.h"
#include "coordinator/registry/request.h"
#include "coordinator/registry/resource_users.h"
#include "coordinator/registry/table.h"
#include "coordinator/registry/view.h"

namespace concordat::registry {

class Registry final : public group::StateMachine {
 public:
  // `users` outlives it. In a group they are told of leadership before it.
  Registry(const Options& options, ResourceUsers* users);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The token gets one Answer, now or in a later output.
  void Submit(group::RequestToken token, Request request, Timestamp now);
  // Answers and events. Also proposals that were not taken.
  [[nodiscard]] Output TakeOutput();

  // --- group::StateMachine.

  // Errors of both as DecodeRecord's.
  [[nodiscard]] absl::Status Check(std::string_view command) const override;
  [[nodiscard]] absl::Status Apply(LogIndex index, std::string_view command,
                                   Timestamp now) override;
  void BecomeLeader(Term term, Timestamp now) override;
  void LeaderReady(Term term, Timestamp now) override;
  // Every waiting request is answered: UndecidedReply if a record was appended for it,
  // else NotLeaderReply.
  void LoseLeadership(Timestamp now) override;
  void AdmitNewWork(bool admit) override { room_.for_new_work = admit; }
  void Tick(Timestamp now) override;
  [[nodiscard]] bool HasMoreWork() const override;
  [[nodiscard]] Timestamp NextTimer() const override;
  [[nodiscard]] std::vector<std::string> TakeProposals() override;
  // It asks for none: what nodes tell of resources may be a moment old.
  [[nodiscard]] std::vector<group::ReadToken> TakeReads() override { return {}; }
  void OnReadConfirmed(group::ReadToken, Timestamp) override {}
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot() override;
  [[nodiscard]] std::unique_ptr<group::SnapshotRestore> BeginRestore(
      LogIndex at) override;

  // --- Views, at any node. What was heard in heartbeats is known at the leader only.

  [[nodiscard]] const ResourceTable& table() const { return table_; }
  // In the order of names.
  [[nodiscard]] std::vector<ResourceView> Resources(Timestamp now) const {
    return registrar_.Views(now);
  }
  // Why its participant cannot use the resource now. Empty: it can, or nothing was heard.
  [[nodiscard]] std::string Unavailable(const std::string& resource) const {
    return registrar_.Unavailable(resource);
  }

 private:
  enum class Role : uint8_t { kFollower, kLeading, kReady };

  class Restore;

  void Dispatch(group::RequestToken token, const Request& request, Timestamp now);
  // The requests that waited for this leader, as far as this output may hold them.
  void WorkOff(Timestamp now);
  void Respond(group::RequestToken token, Reply reply);

  const Options options_;
  ResourceUsers& users_;
  ResourceTable table_;
  DiskRoom room_;
  Output out_;
  size_t work_in_output_ = 0;
  Role role_ = Role::kFollower;
  Term term_;
  Timestamp now_;
  group::UntilReady<Request> until_ready_;
  Registrar registrar_;  // refers to what is above
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REGISTRY_H_
