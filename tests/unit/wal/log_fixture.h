// Used by all tests of the log: small logs in a FaultEnv, and their contents.
#ifndef TESTS_UNIT_WAL_LOG_FIXTURE_H_
#define TESTS_UNIT_WAL_LOG_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/fault_env.h"
#include "wal/log.h"

namespace concordat::wal {

struct Entry {
  Lsn lsn;
  uint8_t type = 0;
  std::string payload;
  friend bool operator==(const Entry&, const Entry&) = default;
};

inline LogOptions SmallLog() {
  LogOptions options;
  options.dir = "/log";
  options.owner = "test";
  options.segment_bytes = 16384;
  options.reserve_bytes = 1;
  return options;
}

// The n-th payload of a workload: its length and its bytes depend on n.
inline std::string PayloadOf(uint64_t n) {
  std::string payload((n * 37) % 700, '\0');
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(n * 31 + i * 7 + 1);
  }
  return payload;
}

struct Opened {
  absl::Status status;
  std::unique_ptr<Log> log;
  std::vector<Entry> entries;
};

inline Opened OpenLog(FileEnv* env, const LogOptions& options = SmallLog()) {
  Opened opened;
  auto log =
      Log::Open(env, options, [&](Lsn lsn, uint8_t type, std::string_view payload) {
        opened.entries.push_back({lsn, type, std::string(payload)});
      });
  opened.status = log.status();
  if (log.ok()) opened.log = *std::move(log);
  return opened;
}

inline Lsn MustAppend(Log* log, std::string_view payload, uint8_t type = 1) {
  auto lsn = log->Append(type, payload, Reserve::kNormal);
  CONCORDAT_CHECK(lsn.ok()) << lsn.status().message();
  return *lsn;
}

// Appends PayloadOf(n) for n in [from, to], with a flush after each `group` of them.
inline void AppendRange(Log* log, uint64_t from, uint64_t to, uint64_t group = 1) {
  for (uint64_t n = from; n <= to; ++n) {
    const Lsn lsn = MustAppend(log, PayloadOf(n), static_cast<uint8_t>(n));
    CONCORDAT_CHECK(lsn == Lsn(n)) << n;
    if (n % group == 0 || n == to) log->Sync();
  }
}

inline std::vector<Entry> EntriesOfRange(uint64_t from, uint64_t to) {
  std::vector<Entry> entries;
  for (uint64_t n = from; n <= to; ++n) {
    entries.push_back({Lsn(n), static_cast<uint8_t>(n), PayloadOf(n)});
  }
  return entries;
}

// While this object exists, a failed write throws instead of ending the process: the
// machine of the log has lost power, and the test goes on with its disk.
class PowerCuts {
 public:
  struct Off : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  PowerCuts() {
    before_ = SetFatalIoHandlerForTest(
        [](std::string_view what) { throw Off(std::string(what)); });
  }
  ~PowerCuts() { SetFatalIoHandlerForTest(before_); }
  PowerCuts(const PowerCuts&) = delete;
  PowerCuts& operator=(const PowerCuts&) = delete;

 private:
  FatalIoHandler before_ = nullptr;
};

}  // namespace concordat::wal

#endif  // TESTS_UNIT_WAL_LOG_FIXTURE_H_
