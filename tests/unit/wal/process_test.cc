// Scenario 37, on a real process and real files: after the process is killed with SIGKILL
// while it writes, everything that it has acknowledged is there.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/wal/log_fixture.h"
#include "wal/log_writer.h"

namespace concordat::wal {
namespace {

LogOptions DiskLog(const std::string& dir) {
  LogOptions options = SmallLog();
  options.dir = dir;
  options.segment_bytes = 65536;
  return options;
}

std::string Numbered(Lsn lsn) {
  std::string payload = absl::StrCat("record ", lsn.value(), " ");
  payload.resize(payload.size() + lsn.value() * 13 % 400, '.');
  return payload;
}

// Appends without end, and writes the number of each durable record to `pipe`.
[[noreturn]] void WriteForEver(const std::string& dir, int pipe) {
  LogWriterOptions options;
  options.queue_bytes = 20000;
  LogWriter* handle = nullptr;
  options.on_durable = [&](Lsn durable) {
    const uint64_t number = durable.value();
    if (::write(pipe, &number, sizeof(number)) != sizeof(number)) ::_exit(1);
    if (number > 500) handle->ReleaseBefore(Lsn(number - 500));
  };
  auto writer = LogWriter::Open(PosixFileEnv(), DiskLog(dir), options, nullptr);
  if (!writer.ok()) ::_exit(1);
  handle = writer->get();
  for (;;) {
    if (!handle->Append(1, Numbered(handle->next_lsn()), Reserve::kNormal).ok()) {
      ::_exit(1);
    }
  }
}

// Returns the last number that the child acknowledged before it died.
uint64_t RunAndKill(const std::string& dir, int milliseconds) {
  int ends[2];
  CONCORDAT_CHECK(::pipe(ends) == 0);
  const pid_t pid = ::fork();
  CONCORDAT_CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    WriteForEver(dir, ends[1]);
  }
  ::close(ends[1]);
  // The pipe is read all the time, so that the child never waits for it.
  uint64_t acknowledged = 0;
  std::thread killer([&] {
    ::usleep(static_cast<useconds_t>(milliseconds) * 1000);
    ::kill(pid, SIGKILL);
  });
  uint64_t number = 0;
  while (::read(ends[0], &number, sizeof(number)) == sizeof(number)) {
    acknowledged = number;
  }
  killer.join();
  int status = 0;
  CONCORDAT_CHECK(::waitpid(pid, &status, 0) == pid);
  CONCORDAT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  ::close(ends[0]);
  return acknowledged;
}

TEST(KilledProcess, WhileWriting_EverythingItAcknowledgedIsThere) {
  const testing::TempDir dir;
  Random random(11);
  uint64_t most = 0;
  for (int round = 0; round < 15; ++round) {
    const int milliseconds = 20 + static_cast<int>(random.Below(80));
    const uint64_t acknowledged = RunAndKill(dir.path(), milliseconds);
    Opened log = OpenLog(PosixFileEnv(), DiskLog(dir.path()));
    ASSERT_TRUE(log.status.ok()) << round << " " << log.status;
    ASSERT_GE(log.log->durable_lsn(), Lsn(acknowledged));
    for (size_t i = 0; i < log.entries.size(); ++i) {
      const Entry& entry = log.entries[i];
      ASSERT_EQ(entry.lsn.value(), log.entries.front().lsn.value() + i);
      ASSERT_EQ(entry.payload, Numbered(entry.lsn));
    }
    if (!log.entries.empty()) {
      ASSERT_EQ(log.entries.back().lsn, log.log->durable_lsn());
    }
    most = std::max(most, acknowledged);
  }
  EXPECT_GT(most, 100u);
}

}  // namespace
}  // namespace concordat::wal
