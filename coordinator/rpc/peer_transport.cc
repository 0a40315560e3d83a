#include "coordinator/rpc/peer_transport.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/base/log.h"
#include "coordinator/rpc/raft_wire.h"

namespace concordat::rpc {

namespace {

// A list of this size is sent at once, without waiting for the end of the iteration.
constexpr size_t kMaxBatchBytes = size_t{2} << 20;
constexpr size_t kMaxBatchMessages = 1024;
// The estimated sizes of a message without its entries, and of an entry without its data.
constexpr size_t kMessageOverhead = 64;
constexpr size_t kEntryOverhead = 16;
constexpr size_t kMaxShownName = 64;

size_t EstimateBytes(const wire::RaftMessage& message) {
  size_t bytes = kMessageOverhead + message.chunk.size();
  for (const wire::RaftEntry& entry : message.entries) {
    bytes += kEntryOverhead + entry.data.size();
  }
  return bytes;
}

}  // namespace

Limits PeerLimits() {
  Limits limits;
  limits.max_frame_bytes = 16 << 20;
  limits.max_string_bytes = 8 << 20;
  limits.max_container_elements = 1 << 20;
  limits.max_frame_elements = 1 << 20;
  limits.max_buffered_in_bytes = size_t{64} << 20;
  limits.max_buffered_out_bytes = size_t{64} << 20;
  return limits;
}

PeerTransport::PeerTransport(EventLoop* loop, std::string cluster_name, SaidAddresses own,
                             uint64_t seed)
    : loop_(loop),
      cluster_name_(std::move(cluster_name)),
      own_(std::move(own)),
      seed_(seed) {}

void PeerTransport::SetPeers(const std::map<NodeId, std::string>& addresses) {
  std::erase_if(peers_, [&addresses](const auto& peer) {
    const auto found = addresses.find(peer.first);
    return found == addresses.end() || found->second != peer.second.address;
  });
  for (const auto& [node, text] : addresses) {
    if (peers_.contains(node)) continue;
    const auto address = Address::Parse(text);
    if (!address.ok()) {
      LogEvent(Level::kWarning, "peer address not usable")
          .Field("peer", node.value())
          .Field("why", address.status().message());
      continue;
    }
    ChannelOptions options;
    options.seed = seed_ + node.value();
    options.connect_timeout = Duration::Millis(500);
    // A node that is back must be reached within an election time-out.
    options.reconnect_max = Duration::Millis(100);
    // Nothing is answered on this connection, so only TCP notices that it is broken.
    options.unacknowledged_timeout = Duration::Seconds(1);
    options.keep_connected = true;
    Peer& peer = peers_[node];
    peer.address = text;
    peer.channel = std::make_unique<Channel>(loop_, *address, PeerLimits(), options);
  }
}

void PeerTransport::Send(raft::Message message) {
  const auto found = peers_.find(message.to);
  if (found == peers_.end()) return;
  Peer& peer = found->second;
  wire::RaftMessage out = ToWire(message);
  peer.pending_bytes += EstimateBytes(out);
  peer.pending.push_back(std::move(out));
  if (peer.pending_bytes >= kMaxBatchBytes || peer.pending.size() >= kMaxBatchMessages) {
    SendBatch(&peer);
  }
  if (deferred_) return;
  deferred_ = true;
  loop_->Defer(lifetime_.IfAlive([this] { SendAll(); }));
}

void PeerTransport::SendAll() {
  deferred_ = false;
  for (auto& [node, peer] : peers_) {
    if (!peer.pending.empty()) SendBatch(&peer);
  }
}

void PeerTransport::SendBatch(Peer* peer) {
  wire::RaftBatch batch;
  batch.cluster_name = cluster_name_;
  batch.version = wire::g_types_constants.PROTOCOL_VERSION;
  batch.messages = std::move(peer->pending);
  if (!own_.peer.empty()) batch.__set_peer_address(own_.peer);
  if (!own_.client.empty()) batch.__set_client_address(own_.client);
  peer->pending.clear();
  peer->pending_bytes = 0;
  (void)peer->channel->Oneway<wire::RaftService_deliver_pargs>("deliver", batch);
}

RaftServiceHandler::RaftServiceHandler(std::string cluster_name, Deliver deliver,
                                       Reject reject)
    : cluster_name_(std::move(cluster_name)),
      deliver_(std::move(deliver)),
      reject_(std::move(reject)) {}

void RaftServiceHandler::deliver(std::function<void()> cob,
                                 const wire::RaftBatch& batch) {
  if (batch.cluster_name != cluster_name_) {
    reject_(absl::FailedPreconditionError(absl::StrCat(
        "messages of a node of cluster '", batch.cluster_name.substr(0, kMaxShownName),
        "', which has an address of this one, '", cluster_name_, "'")));
  } else if (batch.version != wire::g_types_constants.PROTOCOL_VERSION) {
    reject_(absl::FailedPreconditionError(
        absl::StrCat("Raft messages of protocol version ", batch.version)));
  } else {
    const SaidAddresses said{batch.peer_address, batch.client_address};
    for (const wire::RaftMessage& in : batch.messages) {
      auto message = FromWire(in);
      if (message.ok()) {
        deliver_(std::move(*message), said);
      } else {
        reject_(message.status());
      }
    }
  }
  cob();
}

}  // namespace concordat::rpc
