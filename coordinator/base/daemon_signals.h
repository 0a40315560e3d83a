// The signals that a daemon acts on, for the thread that waits for them.
#ifndef COORDINATOR_BASE_DAEMON_SIGNALS_H_
#define COORDINATOR_BASE_DAEMON_SIGNALS_H_

#include <signal.h>

namespace concordat {

// SIGTERM and SIGINT, which end a process in good order. They are blocked in the calling
// thread and in those that it starts from now on: call it before any thread is started,
// then sigwait(3) for what it returns.
[[nodiscard]] sigset_t BlockStopSignals();
// The same and SIGHUP, at which a daemon opens its log file anew: logrotate(8) sends it.
[[nodiscard]] sigset_t BlockDaemonSignals();

}  // namespace concordat

#endif  // COORDINATOR_BASE_DAEMON_SIGNALS_H_
