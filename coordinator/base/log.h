// What the processes tell operators: events with a name and fields, one line each.
//
//   LogEvent(Level::kInfo, "leader elected").Field("node", id).Field("term", term);
//
//   2026-03-01T12:00:00.000123Z info leader elected node=1 term=7
//
// One line a state change; nothing per message above trace. The line is written
// when the statement ends. Field names are the same everywhere: node, term, index,
// gtid, branch, resource, peer, error. Values with spaces, quotes, '=' or control
// characters are quoted and escaped, so a line never spans two.
//
// Nothing is written before InitLogging: a service that embeds Concordat decides
// itself what goes to its standard error. An event below the level costs one
// relaxed load; its arguments are still evaluated, so guard dear ones with
// LogEnabled(). Writing is synchronous and each line is handed to the kernel at
// once: the last lines before a crash are the ones that are wanted.
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
  Level min_level = Level::kInfo;
  // Put behind every line as process=...; none when empty.
  std::string process_name;
  // Appended to; standard error when empty. Its folder must exist.
  std::string file;
  // A file that has grown beyond this is renamed to FILE.00001, FILE.00002, ...
  uint64_t rotate_bytes = uint64_t{64} << 20;
  // The oldest renamed files go when there are more than this.
  uint32_t keep_files = 8;
};

// Starts logging, or changes where it goes. Thread-safe against LogEvent, not
// against itself. Fails, and leaves logging off, when the file cannot be opened.
[[nodiscard]] absl::Status InitLogging(const LogOptions& options);
// Closes the log file and opens it anew, for whoever has renamed it. Where that fails,
// logging goes on at standard error, and its first line says so. Threads as InitLogging.
void ReopenLog(const LogOptions& options);
// Flushes and ends logging; later events are dropped. Called at exit by itself.
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
  // The name is a short phrase, the same for every event of its kind.
  LogEvent(Level level, std::string_view name)
      : level_(level), enabled_(LogEnabled(level)) {
    if (enabled_) line_.assign(name);
  }
  LogEvent(const LogEvent&) = delete;
  LogEvent& operator=(const LogEvent&) = delete;
  ~LogEvent() {
    if (enabled_) internal::WriteLogEvent(level_, line_);
  }

  // A number, a bool, a text, an id, a status, anything with ToString or operator<<.
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
  const bool enabled_;
  std::string line_;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_LOG_H_
