#include "coordinator/node/node.h"

namespace concordat::node {

void NodeExample(rpc::EventLoop* loop, NodeOptions options, rpc::PeerSender& peers,
                 rpc::ResourceSender& resources) {
  // EXAMPLE
}

}  // namespace concordat::node
