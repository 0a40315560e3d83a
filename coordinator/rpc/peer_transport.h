// Sends Raft messages between the nodes of a cluster. There is one connection in each
// direction, and messages are sent in lists. Nothing is repeated: Raft does that.
//
//   PeerTransport transport(loop, cluster, own_addresses, seed);
//   transport.SetPeers({{NodeId(2), "b:7101"}, ...});   // again when they change
//   transport.Send(std::move(message));   // leaves at the end of the loop's iteration
//
// RaftServiceHandler receives them.
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
#include "coordinator/base/lifetime.h"
#include "coordinator/raft/types.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/channel.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::rpc {

// The limits of a frame between coordinator nodes. Snapshots are sent in chunks.
[[nodiscard]] Limits PeerLimits();

// How a node sends to its peers. For the loop's thread.
class PeerSender {
 public:
  virtual ~PeerSender() = default;
  // The message may be lost, repeated, delayed and reordered.
  virtual void Send(raft::Message message) = 0;
  // Where the other nodes are. Nodes that are not named are not sent to any more.
  virtual void SetPeers(const std::map<NodeId, std::string>& addresses) = 0;
};

// Where a node says with its messages that it is reached. Empty: it does not say.
struct SaidAddresses {
  std::string peer;    // by the other nodes
  std::string client;  // by clients and participants
};

class PeerTransport : public PeerSender {
 public:
  PeerTransport(EventLoop* loop, std::string cluster_name, SaidAddresses own,
                uint64_t seed);
  PeerTransport(const PeerTransport&) = delete;
  PeerTransport& operator=(const PeerTransport&) = delete;

  // A message to a node that is not known or cannot be reached is lost.
  void Send(raft::Message message) override;
  // The connections to those whose address has not changed stay. An address that is none
  // is logged, and that node is not reached.
  void SetPeers(const std::map<NodeId, std::string>& addresses) override;

 private:
  struct Peer {
    std::string address;
    std::unique_ptr<Channel> channel;
    std::vector<wire::RaftMessage> pending;  // sent at the end of the iteration
    size_t pending_bytes = 0;                // estimated
  };
  void SendBatch(Peer* peer);
  void SendAll();

  EventLoop* const loop_;
  const std::string cluster_name_;  // stands in every batch
  const SaidAddresses own_;         // so do these
  const uint64_t seed_;             // of the pauses between attempts to connect
  std::map<NodeId, Peer> peers_;    // all other nodes
  bool deferred_ = false;           // SendAll will run in this iteration
  Lifetime lifetime_;
};

// Passes the messages of the cluster's nodes to `deliver`, with the addresses that the
// sender says it has. If a message has another
// cluster's name, another version or an unknown type, `reject` is called with the reason.
class RaftServiceHandler : public wire::RaftServiceCobSvIf {
 public:
  using Deliver = absl::AnyInvocable<void(raft::Message, const SaidAddresses&)>;
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
