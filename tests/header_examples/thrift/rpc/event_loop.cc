#include "thrift/rpc/event_loop.h"

namespace concordat::rpc {

void EventLoopExample() {
  // EXAMPLE
}

}  // namespace concordat::rpc
