// What process tests and benchmarks share: child processes, free ports, the floor that
// the machine sets (a flush, a round trip), and percentiles.
#ifndef TESTS_SUPPORT_PROCESSES_H_
#define TESTS_SUPPORT_PROCESSES_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace concordat::testing {

// A folder of its own, removed with everything in it.
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

// A port on 127.0.0.1 that was free a moment ago, and that this process has not named
// before. Below those that the system gives to connections (ip_local_port_range).
[[nodiscard]] uint16_t FreePort();

// A child process that ends with its parent.
class Child {
 public:
  // Standard output and error go to `log_file`.
  Child(std::vector<std::string> words, std::string log_file);
  ~Child();  // kills it
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Waits until the log has a line with this text; false after `seconds`.
  [[nodiscard]] bool WaitForLine(const std::string& text, double seconds) const;
  void Kill();    // SIGKILL, and waits
  void Pause();   // SIGSTOP
  void Resume();  // SIGCONT
  // SIGTERM, and waits; the exit status, or -1 when a signal ended it.
  int Stop();
  // Waits until it ends by itself; the exit status, or -1 when a signal ended it, or
  // when it has not ended within `seconds` (it is killed then).
  int WaitForExit(double seconds);
  [[nodiscard]] pid_t pid() const { return pid_; }
  // User and system time so far, in seconds.
  [[nodiscard]] double CpuSeconds() const;

 private:
  pid_t pid_ = -1;
  std::string log_file_;
};

[[nodiscard]] double NowSeconds();  // monotonic
void SleepMs(int64_t ms);
// All of a file; nothing when it cannot be read.
[[nodiscard]] std::string TextOf(const std::string& file);
// Waits until the condition holds; false when it does not within `seconds`.
[[nodiscard]] bool WaitUntil(double seconds, const std::function<bool()>& condition);
// The p-th part (0 to 1) of the values in order; 0 without values.
[[nodiscard]] double Percentile(std::vector<double> values, double p);
[[nodiscard]] inline double Median(const std::vector<double>& values) {
  return Percentile(values, 0.5);
}

// Medians, in microseconds, measured with nothing else running.
struct Floor {
  double flush_us = 0;       // 512 bytes into a preallocated file, and fdatasync
  double round_trip_us = 0;  // one byte over loopback TCP and back, between two threads
};
[[nodiscard]] Floor MeasureFloor(const std::string& dir, double seconds);

// The folder of the program that runs.
[[nodiscard]] std::string ProgramDir();

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_PROCESSES_H_
