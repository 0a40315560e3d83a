// The output during a run: lines, and on a terminal one live line below them.
#ifndef EXAMPLES_PROCESSES_CONSOLE_H_
#define EXAMPLES_PROCESSES_CONSOLE_H_

#include <cstdint>
#include <string>

#include "coordinator/base/clock.h"

namespace concordat::example {

// 1234567 as "1,234,567". In a decimal, groups the digits before the point.
[[nodiscard]] std::string Grouped(uint64_t number);
[[nodiscard]] std::string Grouped(std::string decimal);
// "1.23 ms", "34 ms", "1.2 s"
[[nodiscard]] std::string ForPeople(Duration duration);
// The part of the line that fits into `columns` columns; a line that was cut ends with
// "…". 0 columns: the whole line. Each character counts as one column.
[[nodiscard]] std::string FitTo(size_t columns, const std::string& line);

// For the main thread. Times are counted from the console's construction.
class Console {
 public:
  Console();
  // Prints a line with the time before it.
  void Say(const std::string& line);
  // Prints the live line, not more often than it can be read. It is cut to the terminal's
  // width, because a wrapped line could not be removed. Without a terminal it is an
  // ordinary line, at most once a second.
  void Live(const std::string& line);
  // Whether Live would print anything now.
  [[nodiscard]] bool LiveIsDue() const;
  // Removes the live line.
  void ClearLive();

 private:
  void Print(const std::string& line);

  const bool terminal_;  // standard output is a terminal
  const Timestamp start_;
  Timestamp last_live_;      // when Live has last printed
  bool live_shown_ = false;  // the last line is a live line
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_CONSOLE_H_
