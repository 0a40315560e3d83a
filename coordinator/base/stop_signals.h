// The signals that end a daemon in good order, for the thread that waits for them.
#ifndef COORDINATOR_BASE_STOP_SIGNALS_H_
#define COORDINATOR_BASE_STOP_SIGNALS_H_

#include <signal.h>

namespace concordat {

// SIGTERM and SIGINT, blocked in the calling thread and in those that it starts from now
// on: call it before any thread is started, then sigwait(3) for what it returns.
[[nodiscard]] sigset_t BlockStopSignals();

}  // namespace concordat

#endif  // COORDINATOR_BASE_STOP_SIGNALS_H_
