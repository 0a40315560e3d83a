// Ends everything on Ctrl-C and similar signals, at any moment.
#ifndef EXAMPLES_PROCESSES_INTERRUPT_H_
#define EXAMPLES_PROCESSES_INTERRUPT_H_

#include <functional>

namespace concordat::example {

// From now on SIGINT, SIGTERM and SIGHUP run `clean_up` on a thread of its own, and then
// end the process with 128 + the signal's number. To be called once, before any other
// thread is started, because threads inherit that these signals are blocked.
void OnInterrupt(std::function<void()> clean_up);

// To be called before a failure is reported: if the failure is caused by the clean-up,
// this does not return.
void StandStillIfInterrupted();

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_INTERRUPT_H_
