// What the RPC runtime sets for the whole process, and how it reports to operators.
#ifndef THRIFT_RPC_PROCESS_H_
#define THRIFT_RPC_PROCESS_H_

#include <functional>
#include <string_view>

#include "coordinator/base/log.h"

namespace concordat::rpc {

// Ignores SIGPIPE, unless the program has set a handler of its own, and takes over
// Thrift's GlobalOutput. EventLoop::Create does this; a call is needed only where
// Thrift's own sockets are used without a loop. Thread-safe; only the first call has an
// effect.
void PrepareProcess();

// A message of this runtime to operators.
struct Message {
  Level level;
  std::string_view event;   // a short phrase, the same for every message of its kind
  std::string_view source;  // the server's name, or "thrift"
  std::string_view text;    // one line
};

// Writes a message to the log (coordinator/base/log.h). At most MessageLimiter::kMost
// messages of one event and source are written in MessageLimiter::kWindow; the next
// message after that says how many were left out. Thread-safe.
void Report(const Message& message);

// For tests: messages go to the sink instead of the log. Null: to the log again.
// Thread-safe.
using MessageSink = std::function<void(const Message& message)>;
void SetMessageSink(MessageSink sink);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_PROCESS_H_
