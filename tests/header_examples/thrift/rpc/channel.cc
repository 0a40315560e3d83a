#include "thrift/rpc/channel.h"

#include "concordat_rpc_test_wire/EchoService.h"
#include "coordinator/base/random.h"

namespace concordat::rpc::testing {

void ChannelExample(EventLoop* loop, const Address& address, const Limits& limits,
                    Random rng, const EchoRequest& request) {
  // EXAMPLE
}

}  // namespace concordat::rpc::testing
