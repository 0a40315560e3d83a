#include "examples/processes/observer.h"

namespace concordat::example {

void ObserverExample(rpc::EventLoop* loop, std::vector<std::string> nodes,
                     std::vector<std::string> participants) {
  // EXAMPLE
}

}  // namespace concordat::example
