// What one sees while it runs: lines, and on a terminal one live line below them.
#ifndef EXAMPLES_PROCESSES_CONSOLE_H_
#define EXAMPLES_PROCESSES_CONSOLE_H_

#include <cstdint>
#include <string>

#include "coordinator/base/clock.h"

namespace concordat::example {

// 1234567 as "1,234,567"; and the same for the digits before a decimal point.
[[nodiscard]] std::string Grouped(uint64_t number);
[[nodiscard]] std::string Grouped(std::string decimal);
// "1.23 ms", "34 ms", "1.2 s"
[[nodiscard]] std::string ForPeople(Duration duration);
// What of the line fits into so many columns; a cut one ends with "…". 0 columns: all of
// it. Each character of the line counts as one column.
[[nodiscard]] std::string FitTo(size_t columns, const std::string& line);

// Main thread. Times are counted from the making of the console.
class Console {
 public:
  Console();
  // A line with the time before it.
  void Say(const std::string& line);
  // The live line, as often as it can be read, cut to the terminal's width: what wraps
  // could not be taken away again. Without a terminal a line a second.
  void Live(const std::string& line);
  // Whether Live would show anything now.
  [[nodiscard]] bool LiveIsDue() const;
  // Takes the live line away.
  void ClearLive();

 private:
  void Print(const std::string& line);

  const bool terminal_;
  const Timestamp start_;
  Timestamp last_live_;
  bool live_shown_ = false;
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_CONSOLE_H_
