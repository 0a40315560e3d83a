// Ctrl-C and the like: ends everything, whatever the program is doing at the moment.
#ifndef EXAMPLES_PROCESSES_INTERRUPT_H_
#define EXAMPLES_PROCESSES_INTERRUPT_H_

#include <functional>

namespace concordat::example {

// From now on SIGINT, SIGTERM and SIGHUP run `clean_up` on a thread of its own and then
// end the process with 128 + the signal's number. Call it once, before any other thread
// is started: threads inherit that these signals are blocked.
void OnInterrupt(std::function<void()> clean_up);

// For who is about to report that something has failed: when it was the clean-up that
// ended it, this does not return.
void StandStillIfInterrupted();

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_INTERRUPT_H_
