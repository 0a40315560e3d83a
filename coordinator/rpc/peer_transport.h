// Carries Raft messages between the nodes of a cluster: one connection a direction,
// messages in lists, nothing repeated (Raft does that).
//
//   PeerTransport transport(loop, cluster, {{NodeId(2), address}, ...}, seed);
//   transport.Send(std::move(message));   // leaves at the end of the loop's iteration
//
// RaftServiceHandler is the receiving end.
#ifndef COORDINATOR_RPC_PEER_TRANSPORT_H_
#define COORDINATOR_RPC_PEER_TRANSPORT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "concordat_wire/RaftService.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::rpc {

// What a frame between coordinator nodes may hold; snapshots travel in chunks.
[[nodiscard]] Limits PeerLimits();

// How a node reaches its peers. Loop thread only.
class PeerSender {
 public:
  virtual ~PeerSender() = default;
  // May be lost, repeated, delayed, reordered.
  virtual void Send(raft::Message message) = 0;
};

class PeerTransport : public PeerSender {
 public:
  PeerTransport(EventLoop* loop, std::string cluster_name,
                std::map<NodeId, Address> peers, uint64_t seed);
  PeerTransport(const PeerTransport&) = delete;
  PeerTransport& operator=(const PeerTransport&) = delete;

  // To a node that is not known or cannot be reached: the message is lost.
  void Send(raft::Message message) override;

 private:
  struct Peer {
    std::unique_ptr<Channel> channel;
    std::vector<wire::RaftMessage> pending;
    size_t pending_bytes = 0;
  };
  void SendBatch(Peer* peer);
  void SendAll();

  EventLoop* const loop_;
  const std::string cluster_name_;
  std::map<NodeId, Peer> peers_;
  bool deferred_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// Hands the messages of a cluster's nodes to `deliver`; those of another cluster's name
// or another version, or of no known type, to `reject` with the reason.
class RaftServiceHandler : public wire::RaftServiceCobSvIf {
 public:
  using Deliver = absl::AnyInvocable<void(raft::Message)>;
  using Reject = absl::AnyInvocable<void(const absl::Status&)>;
  RaftServiceHandler(std::string cluster_name, Deliver deliver, Reject reject);

  void deliver(std::function<void()> cob, const wire::RaftBatch& batch) override;

 private:
  const std::string cluster_name_;
  Deliver deliver_;
  Reject reject_;
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_PEER_TRANSPORT_H_
