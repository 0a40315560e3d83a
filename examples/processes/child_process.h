// A program that this one has started, and that never outlives it.
//
// The child is killed by the kernel when the thread that started it ends, however that
// comes about (PR_SET_PDEATHSIG of prctl(2)): start children from the main thread only.
// It has a process group of its own, so that a Ctrl-C at the terminal reaches this
// program and not the child.
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
  // Both outputs go to the file, behind what is there. The error names the program.
  [[nodiscard]] static absl::StatusOr<ChildProcess> Start(
      const std::vector<std::string>& words, const std::string& output_file);

  [[nodiscard]] pid_t pid() const { return pid_; }
  // False once it has ended; it has been waited for then.
  [[nodiscard]] bool Running();
  void Signal(int signal);
  // False when it still runs after that time.
  bool WaitForEnd(Duration timeout);
  // "killed by signal 9", "ended with status 74"; after its end.
  [[nodiscard]] std::string HowItEnded() const;
  [[nodiscard]] bool EndedWell() const;

 private:
  explicit ChildProcess(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  bool running_ = true;
  int wait_status_ = 0;
};

// Runs a program to its end and returns what it has written, to either output; that goes
// to the file as well. The error, UNAVAILABLE, has it too: it ended badly, or not in
// time.
[[nodiscard]] absl::StatusOr<std::string> RunProgram(
    const std::vector<std::string>& words, const std::string& output_file,
    Duration limit);

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_CHILD_PROCESS_H_
