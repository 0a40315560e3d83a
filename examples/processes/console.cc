#include "examples/processes/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/system_clock.h"

namespace concordat::example {

namespace {

constexpr Duration kTerminalPeriod = Duration::Millis(100);
constexpr Duration kPlainPeriod = Duration::Seconds(1);
constexpr char kClearLine[] = "\r\x1b[K";

// 0: the terminal does not say.
size_t TerminalColumns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

double Seconds(Duration duration) { return static_cast<double>(duration.micros()) / 1e6; }

}  // namespace

std::string Grouped(std::string decimal) {
  const size_t first = decimal.rfind('-', 0) == 0 ? 1 : 0;
  size_t point = decimal.find('.');
  if (point == std::string::npos) point = decimal.size();
  while (point > first + 3) {
    point -= 3;
    decimal.insert(point, 1, ',');
  }
  return decimal;
}

std::string Grouped(uint64_t number) { return Grouped(absl::StrCat(number)); }

std::string ForPeople(Duration duration) {
  const double millis = static_cast<double>(duration.micros()) / 1e3;
  if (millis >= 10'000) return absl::StrFormat("%.1f s", millis / 1e3);
  if (millis >= 10) return absl::StrFormat("%.0f ms", millis);
  return absl::StrFormat("%.2f ms", millis);
}

std::string FitTo(size_t columns, const std::string& line) {
  if (columns == 0) return line;
  size_t characters = 0;
  size_t end_of_last_but_one = 0;
  for (size_t i = 0; i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xc0) == 0x80) continue;  // inside UTF-8
    ++characters;
    if (characters == columns) end_of_last_but_one = i;
  }
  if (characters <= columns) return line;
  return line.substr(0, end_of_last_but_one) + "…";
}

Console::Console()
    : terminal_(isatty(STDOUT_FILENO) == 1),
      start_(SystemClock().Now()),
      last_live_(start_) {}

void Console::Print(const std::string& line) {
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

void Console::Say(const std::string& line) {
  ClearLive();
  Print(absl::StrFormat("%6.2f s  %s\n", Seconds(SystemClock().Now() - start_), line));
}

bool Console::LiveIsDue() const {
  return SystemClock().Now() - last_live_ >= (terminal_ ? kTerminalPeriod : kPlainPeriod);
}

void Console::Live(const std::string& line) {
  const Timestamp now = SystemClock().Now();
  last_live_ = now;
  live_shown_ = terminal_;
  const std::string text = absl::StrFormat("%6.2f s  %s", Seconds(now - start_), line);
  Print(terminal_ ? kClearLine + FitTo(TerminalColumns(), text) : text + "\n");
}

void Console::ClearLive() {
  if (live_shown_) Print(kClearLine);
  live_shown_ = false;
}

}  // namespace concordat::example
