// What the RPC runtime needs of the whole process, and where it reports to.
#ifndef THRIFT_RPC_PROCESS_H_
#define THRIFT_RPC_PROCESS_H_

#include <functional>
#include <string_view>

#include "coordinator/base/log.h"

namespace concordat::rpc {

// Ignores SIGPIPE, unless the program has set a handler of its own, and takes over
// Thrift's GlobalOutput. Done by EventLoop::Create; needed by hand only where Thrift's
// own sockets are used without a loop. Thread-safe, the first call counts.
void PrepareProcess();

// What this runtime has to say to operators.
struct Message {
  Level level;
  std::string_view event;   // a short phrase, the same for every message of its kind
  std::string_view source;  // the server's name, or "thrift"
  std::string_view text;    // one line
};

// Messages go to the log (coordinator/base/log.h). Of one event and source at most
// MessageLimiter::kMost are written in MessageLimiter::kWindow; the next one after that
// says how many were left out. Thread-safe.
void Report(const Message& message);

// Takes the place of the log, for tests; null: the log again. From any thread.
using MessageSink = std::function<void(const Message& message)>;
void SetMessageSink(MessageSink sink);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_PROCESS_H_
