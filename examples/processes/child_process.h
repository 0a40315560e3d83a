// A child process that never outlives this process.
//
// The kernel kills the child when the thread that has started it ends for any reason
// (PR_SET_PDEATHSIG of prctl(2)), so children must be started from the main thread. The
// child has a process group of its own, so that Ctrl-C at the terminal reaches this
// process and not the child.
#ifndef EXAMPLES_PROCESSES_CHILD_PROCESS_H_
#define EXAMPLES_PROCESSES_CHILD_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"

namespace concordat::example {

// Not thread-safe.
class ChildProcess {
 public:
  // Standard output and error are appended to the file. The error names the program.
  [[nodiscard]] static absl::StatusOr<ChildProcess> Start(
      const std::vector<std::string>& words, const std::string& output_file);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // False once it has ended; its status has then been collected.
  [[nodiscard]] bool Running();
  void Signal(int signal);
  // False: it still runs after that time.
  bool WaitForEnd(Duration timeout);
  // "killed by signal 9", "ended with status 74". Only after its end.
  [[nodiscard]] std::string HowItEnded() const;
  // Only after its end: the exit status, or 128 + the number of the signal that ended it,
  // as in shells.
  [[nodiscard]] int ExitStatus() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  bool running_ = true;
  int wait_status_ = 0;  // of waitpid(2), after its end
};

// Runs a program to its end and returns its output, standard error included, which is
// also appended to the file. UNAVAILABLE, with the output in the message: the program has
// failed, or has not ended in time.
[[nodiscard]] absl::StatusOr<std::string> RunProgram(
    const std::vector<std::string>& words, const std::string& output_file,
    Duration limit);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_CHILD_PROCESS_H_
