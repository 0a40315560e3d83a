// Runs a function on an event loop and waits for its end.
#ifndef EXAMPLES_PROCESSES_LOOP_CALL_H_
#define EXAMPLES_PROCESSES_LOOP_CALL_H_

#include <functional>

#include "coordinator/client/async_client.h"

namespace concordat::example {

// Must not be called on the loop's own thread.
void CallOnLoop(rpc::EventLoop* loop, const std::function<void()>& function);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_LOOP_CALL_H_
