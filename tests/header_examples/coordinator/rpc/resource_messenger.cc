#include "coordinator/rpc/resource_messenger.h"

namespace concordat::rpc {

void ResourceMessengerExample(EventLoop* loop, uint64_t seed, const std::string& address,
                              const txn::Message& message) {
  // EXAMPLE
}

}  // namespace concordat::rpc
