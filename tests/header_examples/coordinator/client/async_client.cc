#include "coordinator/client/async_client.h"

namespace concordat::client {

void AsyncClientExample(rpc::EventLoop* loop, LinkProvider& links, ClientOptions options,
                        const wire::ExecuteRequest& work) {
  // EXAMPLE
}

}  // namespace concordat::client
