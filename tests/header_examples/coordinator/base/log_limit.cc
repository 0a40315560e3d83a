#include "coordinator/base/log_limit.h"

#include "coordinator/base/log.h"
#include "thrift/rpc/event_loop.h"

namespace concordat {

void LogLimitExample(rpc::EventLoop* loop_, std::string_view why) {
  // EXAMPLE
}

}  // namespace concordat
