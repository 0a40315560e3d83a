#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "coordinator/base/file_env.h"
#include "tests/support/temp_dir.h"
#include "tests/unit/wal/log_fixture.h"
#include "wal/log_writer.h"

namespace concordat::wal {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Runs `body` in a process of its own and returns its exit status.
template <class Body>
int InChild(Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  CONCORDAT_CHECK(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Opens a log for `owner` there and returns what the directory then holds.
std::vector<std::string> NamesAfterOpen(const std::string& dir, const char* owner,
                                        absl::StatusCode code) {
  LogOptions options = SmallLog();
  options.dir = dir;
  options.owner = owner;
  const Opened opened = OpenLog(PosixFileEnv(), options);
  EXPECT_EQ(opened.status.code(), code) << opened.status;
  auto names = PosixFileEnv()->List(dir);
  EXPECT_TRUE(names.ok());
  return *names;
}

TEST(PosixEnv, DirectoryThatIsNotTheLogs_GetsNoLockFile) {
  const testing::TempDir dir;
  FileEnv* env = PosixFileEnv();
  const auto refused = absl::StatusCode::kFailedPrecondition;
  ASSERT_TRUE(env->Create(dir.path() + "/letters.txt").ok());
  EXPECT_THAT(NamesAfterOpen(dir.path(), "test", refused), ElementsAre("letters.txt"));

  // Another owner's log, copied without its lock.
  ASSERT_TRUE(env->Remove(dir.path() + "/letters.txt").ok());
  NamesAfterOpen(dir.path(), "test", absl::StatusCode::kOk);
  ASSERT_TRUE(env->Remove(dir.path() + "/LOCK").ok());
  EXPECT_THAT(NamesAfterOpen(dir.path(), "kv", refused), Not(Contains("LOCK")));
}

TEST(PosixEnv, FilesNamesAndSizes_AreWhatWasAskedFor) {
  const testing::TempDir dir;
  FileEnv* env = PosixFileEnv();
  const std::string sub = dir.path() + "/a/b/c";
  ASSERT_TRUE(env->CreateDir(sub).ok());
  ASSERT_TRUE(env->CreateDir(sub).ok());
  auto file = env->Create(sub + "/one");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(env->Create(sub + "/one").status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE((*file)->Preallocate(10000).ok());
  EXPECT_EQ(*(*file)->Size(), 10000u);
  EXPECT_TRUE((*file)->WriteAt(9998, "abcd").ok());
  EXPECT_EQ(*(*file)->Size(), 10002u);
  EXPECT_TRUE((*file)->Sync().ok());
  EXPECT_TRUE((*file)->Truncate(10001).ok());
  char buffer[10] = {};
  EXPECT_EQ(*(*file)->ReadAt(9997, 10, buffer), 4u);
  EXPECT_EQ(std::string(buffer, 4), std::string("\0abc", 4));
  ASSERT_TRUE(env->Rename(sub + "/one", sub + "/two").ok());
  EXPECT_TRUE(env->SyncDir(sub).ok());
  EXPECT_THAT(*env->List(sub), ElementsAre("two"));
  EXPECT_TRUE(env->Remove(sub + "/two").ok());
  EXPECT_EQ(env->Open(sub + "/two").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(env->Open(sub + "/two").status().ToString(), HasSubstr(sub + "/two"));
}

TEST(PosixEnv, Lock_IsRefusedInThisProcessAndInAnotherUntilItIsLetGo) {
  const testing::TempDir dir;
  FileEnv* env = PosixFileEnv();
  const std::string path = dir.path() + "/LOCK";
  auto lock = env->Lock(path);
  ASSERT_TRUE(lock.ok()) << lock.status();
  auto second = env->Lock(path);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.status().ToString(), HasSubstr(absl::StrCat("process ", getpid())));
  const auto try_lock = [&] { return env->Lock(path).ok() ? 0 : 1; };
  EXPECT_EQ(InChild(try_lock), 1);
  lock->reset();
  EXPECT_EQ(InChild(try_lock), 0);
}

TEST(PosixEnv, FileMayNotGrow_IsToldAsAFullDisk) {
  const testing::TempDir dir;
  const int status = InChild([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {100000, 100000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    auto file = PosixFileEnv()->Create(dir.path() + "/f");
    return absl::IsResourceExhausted((*file)->Preallocate(200000)) ? 0 : 1;
  });
  EXPECT_EQ(status, 0);
}

// On a real file system that is really full.
TEST(PosixEnv, Scenario42_FullFileSystem_LogRefusesNewWorkAndGoesOnWhenThereIsSpace) {
  const testing::TempDir dir;
  const std::string mount = dir.path() + "/small";
  ASSERT_TRUE(PosixFileEnv()->CreateDir(mount).ok());
  if (::mount("tmpfs", mount.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "may not mount a file system here";
  }
  LogOptions options = SmallLog();
  options.dir = mount + "/log";
  options.segment_bytes = 65536;
  {
    LogWriterOptions writer_options;
    writer_options.queue_bytes = 20000;
    writer_options.space_retry = Duration::Millis(1);
    auto opened = LogWriter::Open(PosixFileEnv(), options, writer_options, nullptr);
    ASSERT_TRUE(opened.ok()) << opened.status();
    LogWriter* writer = opened->get();
    absl::Status refused;
    Lsn last;
    while (refused.ok()) {
      auto lsn = writer->Append(1, std::string(1000, 'x'), Reserve::kNormal);
      refused = lsn.status();
      if (lsn.ok()) last = *lsn;
    }
    EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
    EXPECT_GT(last, Lsn(600));
    auto finish = writer->Append(2, "decided", Reserve::kFinish);
    ASSERT_TRUE(finish.ok()) << finish.status();
    writer->WaitDurable(*finish);
    writer->ReleaseBefore(*finish);
    while (!writer->HasSpace(Reserve::kNormal)) ::usleep(1000);
    EXPECT_TRUE(writer->Append(1, "new work", Reserve::kNormal).ok());
  }
  EXPECT_EQ(::umount(mount.c_str()), 0);
}

}  // namespace
}  // namespace concordat::wal
