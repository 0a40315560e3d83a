// What process tests and benchmarks share, upon examples/processes: child processes, free
// ports, the machine's floor (the time of a flush and of a round trip), and percentiles.
#ifndef TESTS_SUPPORT_PROCESSES_H_
#define TESTS_SUPPORT_PROCESSES_H_

#include <signal.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "examples/processes/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/waiting.h"

namespace concordat::testing {

// Returns a port on 127.0.0.1 that stays reserved for this process's servers and children
// until it ends (examples/processes/reserved_port.h).
[[nodiscard]] uint16_t FreePort();

// A child process (examples/processes/child_process.h) of a test, which ends when it
// cannot be started.
class Child {
 public:
  // Starts the program `words[0]`. Its standard output and error go to `log_file`.
  Child(const std::vector<std::string>& words, std::string log_file);
  ~Child() { Kill(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Waits until the log has a line with this text; false after `seconds`.
  [[nodiscard]] bool WaitForLine(const std::string& text, double seconds) const;
  void Kill();  // SIGKILL, and waits
  void Signal(int signal) { process_->Signal(signal); }
  void Pause() { Signal(SIGSTOP); }
  void Resume() { Signal(SIGCONT); }
  // Sends SIGTERM and waits. Returns as WaitForExit.
  int Stop();
  // Waits until the process ends by itself. Returns the exit status, or -1 when a signal
  // ended it or when it has not ended within `seconds` (then it is killed).
  int WaitForExit(double seconds);
  // -1 after Kill, Stop and WaitForExit.
  [[nodiscard]] pid_t pid() const { return process_ ? process_->pid() : -1; }
  // The user and system time that the process has used, in seconds.
  [[nodiscard]] double CpuSeconds() const;

 private:
  std::optional<example::ChildProcess> process_;  // nullopt: its end is known
  const std::string log_file_;
};

// The content of a file; empty when it cannot be read.
[[nodiscard]] std::string TextOf(const std::string& file);
// The p-quantile of the values, p from 0 to 1; 0 when there are none.
[[nodiscard]] double Percentile(std::vector<double> values, double p);
[[nodiscard]] inline double Median(const std::vector<double>& values) {
  return Percentile(values, 0.5);
}

// Medians in microseconds, measured while the program does nothing else.
struct Floor {
  double flush_us = 0;       // 512 bytes into a preallocated file, and fdatasync
  double round_trip_us = 0;  // one byte over loopback TCP and back, between two threads
};
[[nodiscard]] Floor MeasureFloor(const std::string& dir, double seconds);

// The folder of the running program.
[[nodiscard]] std::string ProgramDir();

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_PROCESSES_H_
