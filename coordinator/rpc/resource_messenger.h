// Carries PREPARE, COMMIT and ROLLBACK from the coordinator to participants and their
// answers back: everything of one loop iteration for one resource in one call a verb. Not
// for one participant: its answer would come when its slowest resource has answered.
//
//   ResourceMessenger messenger(loop, seed, [](txn::Input answer) { ... });
//   messenger.SetAddress("bank-a", address);      // as the registry changes
//   messenger.Send(message);                      // leaves at the iteration's end
//
// Each message leads to exactly one answer, later: the vote or the acknowledgement, with
// kUnavailable when it could not be delivered or its answer was lost. The core then
// repeats it.
#ifndef COORDINATOR_RPC_RESOURCE_MESSENGER_H_
#define COORDINATOR_RPC_RESOURCE_MESSENGER_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/input.h"
#include "coordinator/txn/output.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::rpc {

// Where answers of participants go. Called on the loop's thread.
using HandleAnswer = absl::AnyInvocable<void(txn::Input)>;
// The answer that says that the message did not reach anybody, or that its own was lost.
[[nodiscard]] txn::Input Unavailable(txn::Verb verb, const BranchId& branch,
                                     std::string_view why);

// How a node reaches the participants. Loop thread only.
class ResourceSender {
 public:
  virtual ~ResourceSender() = default;
  // Which cluster's the messages are; before the first of them.
  virtual void SetCluster(ClusterId cluster) = 0;
  virtual void Send(const txn::Message& message) = 0;
  // The resource is served there from now on; an empty text: nowhere.
  virtual void SetAddress(const std::string& resource, const std::string& address) = 0;
};

class ResourceMessenger : public ResourceSender {
 public:
  ResourceMessenger(EventLoop* loop, uint64_t seed, HandleAnswer handle_answer);
  ResourceMessenger(const ResourceMessenger&) = delete;
  ResourceMessenger& operator=(const ResourceMessenger&) = delete;

  void SetCluster(ClusterId cluster) override { cluster_ = cluster; }
  void Send(const txn::Message& message) override;
  void SetAddress(const std::string& resource, const std::string& address) override;

 private:
  struct Resource {
    std::string address;
    std::array<std::vector<BranchId>, 3> pending;  // by verb
  };

  void SendAll();
  void SendPending(const std::string& address,
                   std::array<std::vector<BranchId>, 3> pending);
  void SendBatch(Channel* channel, txn::Verb verb, std::vector<BranchId> batch);
  void Fail(txn::Verb verb, const std::vector<BranchId>& batch, std::string_view why);
  // What is kept of a resource that is served nowhere.
  void Forget(const std::string& resource);
  // Ends the connection to an address at which no resource is served any more.
  void CloseUnused(const std::string& address);

  EventLoop* const loop_;
  ClusterId cluster_;
  HandleAnswer handle_answer_;
  uint64_t next_seed_;
  std::map<std::string, Resource> resources_;  // by name
  // By address: several resources may be served at one.
  std::map<std::string, std::unique_ptr<Channel>> channels_;
  std::vector<std::string> with_pending_;  // names of resources
  bool deferred_ = false;
  // Answers that come after the end of this object find it expired.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_RESOURCE_MESSENGER_H_
