// The log for operators: events with a name and fields, one line each.
//
//   LogEvent(Level::kInfo, "leader elected").Field("node", id).Field("term", term);
//
//   2026-03-01T12:00:00.000123Z info leader elected node=1 term=7
//
// Each change of state is one line; what happens for every message is logged at level
// trace only. The line is written when the statement ends. Field names are the same
// everywhere: node, term, index, gtid, branch, resource, peer, error. Values with spaces,
// quotes, '=' or control characters are quoted and escaped, so an event is always exactly
// one line.
//
// Nothing is written before InitLogging, so that a service that embeds Concordat decides
// what goes to its standard error. An event below the level costs one relaxed load, but
// its arguments are evaluated: guard expensive ones with LogEnabled(). Writing is
// synchronous, and each line is passed to the kernel at once, because the last lines
// before a crash matter most.
#ifndef COORDINATOR_BASE_LOG_H_
#define COORDINATOR_BASE_LOG_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/strong_id.h"

namespace concordat {

enum class Level : uint8_t { kTrace, kDebug, kInfo, kWarning, kError };

// "trace", "debug", "info", "warning", "error".
[[nodiscard]] std::string_view ToString(Level level);
// INVALID_ARGUMENT, naming the text, when it is none of them.
[[nodiscard]] absl::StatusOr<Level> ParseLevel(std::string_view text);

struct LogOptions {
  Level min_level = Level::kInfo;  // events below it are not written
  // Added to the end of every line as process=...; empty: not added.
  std::string process_name;
  // Lines are appended to this file, whose folder must exist. Empty: standard error.
  std::string file;
  // A file that has grown beyond this is renamed to FILE.00001, FILE.00002, ...
  uint64_t rotate_bytes = uint64_t{64} << 20;
  // The oldest renamed files are removed when there are more than this.
  uint32_t keep_files = 8;
};

// Starts logging, or changes its destination. Other threads may log meanwhile, but two
// threads must not call this at once. Returns an error, and leaves logging off, when the
// file cannot be opened.
[[nodiscard]] absl::Status InitLogging(const LogOptions& options);
// Closes the log file and opens it again, after a program has renamed it. If that fails,
// logging goes on to standard error, and its first line says so. Threads as InitLogging.
void ReopenLog(const LogOptions& options);
// Flushes and ends logging; later events are dropped. Called automatically at exit.
void ShutdownLogging();

namespace internal {

inline constexpr uint8_t kLoggingOff = 255;
extern std::atomic<uint8_t> min_log_level;

void AppendLogValue(std::string_view value, std::string* line);
void WriteLogEvent(Level level, const std::string& event_and_fields);

template <class T>
concept HasToString = requires(const T& value) {
  { ToString(value) } -> std::convertible_to<std::string_view>;
};

}  // namespace internal

// Whether an event of this level is written. Thread-safe.
[[nodiscard]] inline bool LogEnabled(Level level) {
  return static_cast<uint8_t>(level) >=
         internal::min_log_level.load(std::memory_order_relaxed);
}

// One event, as a temporary. Any number of threads may log at once.
class LogEvent {
 public:
  // `name` is a short phrase, the same for all events of one kind.
  LogEvent(Level level, std::string_view name)
      : level_(level), enabled_(LogEnabled(level)) {
    if (enabled_) line_.assign(name);
  }
  LogEvent(const LogEvent&) = delete;
  LogEvent& operator=(const LogEvent&) = delete;
  ~LogEvent() {
    if (enabled_) internal::WriteLogEvent(level_, line_);
  }

  // The value is a number, a bool, a text, an id, a status, or has ToString or
  // operator<<.
  template <class T>
  LogEvent& Field(std::string_view key, const T& value) {
    if (!enabled_) [[likely]] {
      return *this;
    }
    line_ += ' ';
    line_.append(key);
    line_ += '=';
    Append(value);
    return *this;
  }

 private:
  template <class T>
  void Append(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      line_ += value ? "true" : "false";
    } else if constexpr (std::is_same_v<T, char>) {
      internal::AppendLogValue(std::string_view(&value, 1), &line_);
    } else if constexpr (std::is_integral_v<T>) {
      line_ += std::to_string(value);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      internal::AppendLogValue(value, &line_);
    } else if constexpr (internal::HasToString<T>) {
      internal::AppendLogValue(ToString(value), &line_);
    } else {
      std::ostringstream out;
      out << value;
      internal::AppendLogValue(out.str(), &line_);
    }
  }

  const Level level_;
  const bool enabled_;  // false: fields are ignored
  std::string line_;    // name and fields so far; empty when not enabled
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_LOG_H_
