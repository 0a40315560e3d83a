#include "coordinator/rpc/peer_transport.h"

namespace concordat::rpc {

void PeerTransportExample(EventLoop* loop, const std::string& cluster,
                          const SaidAddresses& own_addresses, uint64_t seed,
                          raft::Message message) {
  // EXAMPLE
}

}  // namespace concordat::rpc
