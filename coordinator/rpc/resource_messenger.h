// Sends PREPARE, COMMIT and ROLLBACK from the coordinator to participants, and receives
// their answers. All messages of one loop iteration to one resource go in one call for
// each verb. The resources of a participant do not share a call, because its answer would
// have to wait for the slowest resource.
//
//   ResourceMessenger messenger(loop, seed, [](txn::Input answer) { ... });
//   messenger.SetAddress("bank-a", address);      // as the registry changes
//   messenger.Send(message);                      // leaves at the iteration's end
//
// Each message leads to exactly one later answer: the vote or the acknowledgement, or
// kUnavailable when the message could not be delivered or its answer was lost. The core
// then repeats the message.
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
#include "coordinator/base/lifetime.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/input.h"
#include "coordinator/txn/output.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::rpc {

// Gets the answers of participants, on the loop's thread.
using HandleAnswer = absl::AnyInvocable<void(txn::Input)>;
// The answer for a message that was not delivered, or whose answer was lost.
[[nodiscard]] txn::Input Unavailable(txn::Verb verb, const BranchId& branch,
                                     std::string_view why);

// How a node sends to participants. For the loop's thread.
class ResourceSender {
 public:
  virtual ~ResourceSender() = default;
  // The cluster that the messages name. To be called before the first of them.
  virtual void SetCluster(ClusterId cluster) = 0;
  virtual void Send(const txn::Message& message) = 0;
  // The resource is served at `address` from now on. Empty: it is not served.
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
    std::string address;                           // empty: it is not served
    std::array<std::vector<BranchId>, 3> pending;  // by verb, for SendAll
  };

  void SendAll();
  void SendPending(const std::string& address,
                   std::array<std::vector<BranchId>, 3> pending);
  void SendBatch(Channel* channel, txn::Verb verb, std::vector<BranchId> batch);
  void Fail(txn::Verb verb, const std::vector<BranchId>& batch, std::string_view why);
  // Drops a resource that is not served, unless messages to it are pending.
  void Forget(const std::string& resource);
  // Closes the connection to `address` if no resource is served there any more.
  void CloseUnused(const std::string& address);

  EventLoop* const loop_;
  ClusterId cluster_;  // none until SetCluster
  HandleAnswer handle_answer_;
  uint64_t next_seed_;                         // for the back-off of the next channel
  std::map<std::string, Resource> resources_;  // by name
  // By address. Several resources may be served at one address.
  std::map<std::string, std::unique_ptr<Channel>> channels_;
  std::vector<std::string> with_pending_;  // names of resources with pending messages
  bool deferred_ = false;                  // SendAll will run in this iteration
  Lifetime lifetime_;
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_RESOURCE_MESSENGER_H_
