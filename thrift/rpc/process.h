// What the RPC runtime needs of the whole process, and where it reports to.
#ifndef THRIFT_RPC_PROCESS_H_
#define THRIFT_RPC_PROCESS_H_

#include <functional>
#include <string_view>

namespace concordat::rpc {

// Ignores SIGPIPE, unless the program has set a handler of its own, and takes over
// Thrift's GlobalOutput. Done by EventLoop::Create; needed by hand only where Thrift's
// own sockets are used without a loop. Thread-safe, the first call counts.
void PrepareProcess();

// Receives what Thrift prints and what this runtime has to say to people: one line
// without a newline, from any thread. Until it is set, lines are dropped.
using MessageSink = std::function<void(std::string_view line)>;
void SetMessageSink(MessageSink sink);

// To the sink.
void Report(std::string_view line);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_PROCESS_H_
