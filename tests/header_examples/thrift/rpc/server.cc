#include "thrift/rpc/server.h"

#include <functional>
#include <memory>

#include "concordat_rpc_test_wire/EchoService.h"

namespace concordat::rpc::testing {

EchoReply Answer(const EchoRequest& request);

void ServerExample(EventLoop* loop, std::shared_ptr<EchoServiceCobSvIf> handler) {
  using apache::thrift::TDelayedException;
  // EXAMPLE
}

void DeclaredExceptionExample(
    std::function<void(apache::thrift::TDelayedException*)> exn_cob,
    const Refused& refused) {
  using apache::thrift::TDelayedException;
  // EXAMPLE
}

}  // namespace concordat::rpc::testing
