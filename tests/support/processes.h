// What process tests and benchmarks share: child processes, free ports, the machine's
// floor (the time of a flush and of a round trip), and percentiles.
#ifndef TESTS_SUPPORT_PROCESSES_H_
#define TESTS_SUPPORT_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/waiting.h"

namespace concordat::testing {

// A new folder below `parent`; the destructor removes it with its content.
class TempDir {
 public:
  explicit TempDir(const std::string& parent);
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Returns a port on 127.0.0.1 that was free a moment ago and that this process has not
// returned before. It is below those that the system assigns to connections
// (ip_local_port_range).
[[nodiscard]] uint16_t FreePort();

// A child process that ends with its parent.
class Child {
 public:
  // Starts the program `words[0]`. Its standard output and error go to `log_file`.
  Child(std::vector<std::string> words, std::string log_file);
  ~Child();  // kills it
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Waits until the log has a line with this text; false after `seconds`.
  [[nodiscard]] bool WaitForLine(const std::string& text, double seconds) const;
  void Kill();    // SIGKILL, and waits
  void Pause();   // SIGSTOP
  void Resume();  // SIGCONT
  // Sends SIGTERM and waits. Returns the exit status, or -1 when a signal ended it.
  int Stop();
  // Waits until the process ends by itself. Returns the exit status, or -1 when a signal
  // ended it or when it has not ended within `seconds` (then it is killed).
  int WaitForExit(double seconds);
  [[nodiscard]] pid_t pid() const { return pid_; }
  // The user and system time that the process has used, in seconds.
  [[nodiscard]] double CpuSeconds() const;

 private:
  pid_t pid_ = -1;
  std::string log_file_;
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
