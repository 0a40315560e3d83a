// Registry: the state machine that knows the resources: where each is served, from which
// store, and that store's generation. Every node applies its records. Only the leader
// answers requests and receives heartbeats.
//
//   Registry registry(options, &users);
//   registry.Submit(token, RegisterResourceRequest{...}, now);
//   proposals = registry.TakeProposals();
//   Output out = registry.TakeOutput();
//
// group/state_machine.h says what is called when. A follower answers a request NotLeader.
// At a leader that is not ready the request waits a while, until the leader is ready.
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
  // `users` outlives this. In a group, the users are told of leadership before the
  // registry is.
  Registry(const Options& options, ResourceUsers* users);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The request gets one Answer with this token, in the next output or a later one.
  void Submit(group::RequestToken token, Request request, Timestamp now);
  // Returns answers and events, and the proposals that were not taken by TakeProposals.
  [[nodiscard]] Output TakeOutput();

  // --- group::StateMachine.

  // The errors of both are those of DecodeRecord.
  [[nodiscard]] absl::Status Check(std::string_view command) const override;
  [[nodiscard]] absl::Status Apply(LogIndex index, std::string_view command,
                                   Timestamp now) override;
  void BecomeLeader(Term term, Timestamp now) override;
  void LeaderReady(Term term, Timestamp now) override;
  // Answers every waiting request: UndecidedReply if a record was proposed for it, and
  // otherwise NotLeaderReply.
  void LoseLeadership(Timestamp now) override;
  void AdmitNewWork(bool admit) override { room_.for_new_work = admit; }
  void Tick(Timestamp now) override;
  [[nodiscard]] bool HasMoreWork() const override;
  [[nodiscard]] Timestamp NextTimer() const override;
  [[nodiscard]] std::vector<std::string> TakeProposals() override;
  // There are none: what a node says about resources may be a moment old.
  [[nodiscard]] std::vector<group::ReadToken> TakeReads() override { return {}; }
  void OnReadConfirmed(group::ReadToken, Timestamp) override {}
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot() override;
  [[nodiscard]] std::unique_ptr<group::SnapshotRestore> BeginRestore(
      LogIndex at) override;

  // --- Views, at any node. Only the leader knows what the heartbeats have said.

  [[nodiscard]] const ResourceTable& table() const { return table_; }
  // In the order of names.
  [[nodiscard]] std::vector<ResourceView> Resources(Timestamp now) const {
    return registrar_.Views(now);
  }
  // Why the participant cannot use the resource now. Empty: it can, or nothing was heard
  // of it.
  [[nodiscard]] std::string Unavailable(const std::string& resource) const {
    return registrar_.Unavailable(resource);
  }

 private:
  enum class Role : uint8_t { kFollower, kLeading, kReady };

  class Restore;

  void Dispatch(group::RequestToken token, const Request& request, Timestamp now);
  // Handles the requests that have waited, up to the limit for one output.
  void WorkOff(Timestamp now);
  void Respond(group::RequestToken token, Reply reply);

  const Options options_;
  ResourceUsers& users_;
  ResourceTable table_;        // the replicated state
  DiskRoom room_;              // as AdmitNewWork has said
  Output out_;                 // for the next TakeOutput
  size_t work_in_output_ = 0;  // requests that have waited, handled since TakeOutput
  Role role_ = Role::kFollower;
  Term term_;      // of the last leadership
  Timestamp now_;  // of the last input
  group::UntilReady<Request> until_ready_;
  Registrar registrar_;  // refers to the members above
};

}  // namespace concordat::registry

#endif  // COORDINATOR_REGISTRY_REGISTRY_H_
