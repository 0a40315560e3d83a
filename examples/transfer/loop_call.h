// Runs a function on an event loop and waits for its end.
#ifndef EXAMPLES_TRANSFER_LOOP_CALL_H_
#define EXAMPLES_TRANSFER_LOOP_CALL_H_

#include <functional>

#include "coordinator/client/async_client.h"

namespace concordat::transfer {

// Not from the loop's own thread.
void CallOnLoop(rpc::EventLoop* loop, const std::function<void()>& function);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_LOOP_CALL_H_
