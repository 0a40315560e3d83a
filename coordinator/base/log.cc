#include "coordinator/base/log.h"

#include <time.h>

#include <array>
#include <boost/core/null_deleter.hpp>
#include <boost/log/core.hpp>
#include <boost/log/keywords/file_name.hpp>
#include <boost/log/sinks/sync_frontend.hpp>
#include <boost/log/sinks/text_file_backend.hpp>
#include <boost/log/sinks/text_ostream_backend.hpp>
#include <boost/log/sources/logger.hpp>
#include <boost/log/sources/record_ostream.hpp>
#include <boost/log/utility/exception_handler.hpp>
#include <boost/make_shared.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"

namespace concordat {

namespace {

namespace blog = boost::log;
namespace sinks = boost::log::sinks;
namespace keywords = boost::log::keywords;

constexpr std::array<std::string_view, 5> kLevelNames = {"trace", "debug", "info",
                                                         "warning", "error"};

bool NeedsQuotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c == 0x7f) {
      // Bytes of UTF-8 above 0x7f are negative, and stay as they are.
      if (static_cast<unsigned char>(c) < 0x80) return true;
    }
  }
  return false;
}

void AppendEscaped(char c, std::string* line) {
  static constexpr char kHex[] = "0123456789abcdef";
  switch (c) {
    case '"':
    case '\\':
      *line += '\\';
      *line += c;
      return;
    case '\n':
      *line += "\\n";
      return;
    case '\r':
      *line += "\\r";
      return;
    case '\t':
      *line += "\\t";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte < 0x20 || byte == 0x7f) {
    *line += "\\x";
    *line += kHex[byte >> 4];
    *line += kHex[byte & 15];
  } else {
    *line += c;
  }
}

// "2026-03-01T12:00:00.000123Z"
void AppendTime(int64_t wall_micros, std::string* line) {
  const auto seconds = static_cast<time_t>(wall_micros / 1'000'000);
  struct tm utc = {};
  gmtime_r(&seconds, &utc);
  char text[48];
  const size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
  const int fraction = snprintf(text + length, sizeof(text) - length, ".%06dZ",
                                static_cast<int>(wall_micros % 1'000'000));
  line->append(text, length + static_cast<size_t>(fraction));
}

// The end of every line. An earlier text is never freed, because a thread may still be
// writing it.
std::atomic<const std::string*> process_suffix{nullptr};

void SetProcessSuffix(const std::string& process_name) {
  static auto* all = new std::deque<std::string>;
  std::string& suffix = all->emplace_back();
  if (!process_name.empty()) {
    suffix = " process=";
    internal::AppendLogValue(process_name, &suffix);
  }
  process_suffix.store(&suffix);
}

blog::sources::logger_mt& Logger() {
  static auto* logger = new blog::sources::logger_mt;  // threads may log at exit
  return *logger;
}

absl::Status CheckAppendable(const std::string& file) {
  std::ofstream probe(file, std::ios::app);
  if (probe.is_open()) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot open the log file ", file, ": ", strerror(errno)));
}

void AddFileSink(const LogOptions& options) {
  const std::filesystem::path file(options.file);
  std::filesystem::path folder = file.parent_path();
  if (folder.empty()) folder = ".";
  auto backend = boost::make_shared<sinks::text_file_backend>(
      keywords::file_name = file.string(),
      keywords::target_file_name = file.filename().string() + ".%5N",
      keywords::open_mode = std::ios_base::out | std::ios_base::app,
      keywords::rotation_size = options.rotate_bytes, keywords::auto_flush = true,
      keywords::enable_final_rotation = false);
  backend->set_file_collector(sinks::file::make_collector(
      keywords::target = folder.string(), keywords::max_files = options.keep_files));
  backend->scan_for_files(sinks::file::scan_matching);
  blog::core::get()->add_sink(
      boost::make_shared<sinks::synchronous_sink<sinks::text_file_backend>>(backend));
}

void AddStderrSink() {
  auto backend = boost::make_shared<sinks::text_ostream_backend>();
  backend->add_stream(boost::shared_ptr<std::ostream>(&std::clog, boost::null_deleter()));
  backend->auto_flush(true);
  blog::core::get()->add_sink(
      boost::make_shared<sinks::synchronous_sink<sinks::text_ostream_backend>>(backend));
}

}  // namespace

namespace internal {

std::atomic<uint8_t> min_log_level{kLoggingOff};

void AppendLogValue(std::string_view value, std::string* line) {
  if (!NeedsQuotes(value)) {
    line->append(value);
    return;
  }
  *line += '"';
  for (const char c : value) AppendEscaped(c, line);
  *line += '"';
}

void WriteLogEvent(Level level, const std::string& event_and_fields) {
  std::string line;
  line.reserve(64 + event_and_fields.size());
  AppendTime(SystemClock().WallMicros(), &line);
  line += ' ';
  line.append(ToString(level));
  line += ' ';
  line += event_and_fields;
  if (const std::string* suffix = process_suffix.load()) line += *suffix;
  // Filtering happened in LogEvent, so the record needs no attributes.
  auto record = Logger().open_record();
  if (!record) return;
  blog::record_ostream out(record);
  out << line;
  out.flush();
  Logger().push_record(std::move(record));
}

}  // namespace internal

std::string_view ToString(Level level) { return kLevelNames[static_cast<size_t>(level)]; }

absl::StatusOr<Level> ParseLevel(std::string_view text) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == text) return static_cast<Level>(i);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no log level \"", absl::string_view(text.data(), text.size()),
                   "\"; it is trace, debug, info, warning or error"));
}

absl::Status InitLogging(const LogOptions& options) {
  ShutdownLogging();
  static const bool at_exit = std::atexit(ShutdownLogging) == 0;
  (void)at_exit;
  SetProcessSuffix(options.process_name);
  const auto core = blog::core::get();
  // A full disk loses log lines; it does not end a process that holds promises.
  core->set_exception_handler(blog::make_exception_suppressor());
  if (options.file.empty()) {
    AddStderrSink();
  } else {
    const absl::Status appendable = CheckAppendable(options.file);
    if (!appendable.ok()) return appendable;
    AddFileSink(options);
  }
  core->set_logging_enabled(true);
  internal::min_log_level.store(static_cast<uint8_t>(options.min_level));
  return absl::OkStatus();
}

void ReopenLog(const LogOptions& options) {
  const absl::Status opened = InitLogging(options);
  if (opened.ok()) {
    LogEvent(Level::kInfo, "log opened anew").Field("file", options.file);
    return;
  }
  LogOptions instead = options;
  instead.file.clear();
  (void)InitLogging(instead);
  LogEvent(Level::kError, "log file not opened, standard error instead")
      .Field("error", opened.message());
}

void ShutdownLogging() {
  internal::min_log_level.store(internal::kLoggingOff);
  const auto core = blog::core::get();
  core->set_logging_enabled(false);
  core->flush();
  core->remove_all_sinks();
}

}  // namespace concordat
