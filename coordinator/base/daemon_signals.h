// The signals on which a daemon acts, for the thread that waits for them.
#ifndef COORDINATOR_BASE_DAEMON_SIGNALS_H_
#define COORDINATOR_BASE_DAEMON_SIGNALS_H_

#include <signal.h>

namespace concordat {

// Blocks SIGTERM and SIGINT, which stop a process in good order, in the calling thread
// and in the threads that it starts afterwards. To be called before any thread is
// started; the result is then passed to sigwait(3).
[[nodiscard]] sigset_t BlockStopSignals();
// As BlockStopSignals, and also SIGHUP, on which a daemon reopens its log file:
// logrotate(8) sends it.
[[nodiscard]] sigset_t BlockDaemonSignals();

}  // namespace concordat

#endif  // COORDINATOR_BASE_DAEMON_SIGNALS_H_
