#include "coordinator/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/base/xid.h"
#include "tests/support/temp_dir.h"

namespace concordat {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<std::string> Lines(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

class LogTest : public ::testing::Test {
 protected:
  LogTest() { options_.file = folder_.File("node.log"); }
  ~LogTest() override { ShutdownLogging(); }

  void Start() {
    const absl::Status status = InitLogging(options_);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<std::string> Written() const { return Lines(options_.file); }
  // The only line written so far, without its time.
  std::string OnlyEvent() const {
    const auto lines = Written();
    EXPECT_THAT(lines, SizeIs(1));
    return lines.empty() ? "" : lines[0].substr(lines[0].find(' ') + 1);
  }

  const testing::TempDir folder_;
  LogOptions options_;
};

TEST_F(LogTest, Event_HasTimeLevelNameAndTypedFields) {
  Start();
  const Gtid gtid{GroupId(1), Term(7), 42};
  LogEvent(Level::kInfo, "leader elected")
      .Field("node", NodeId(3))
      .Field("term", 7)
      .Field("index", uint64_t{18446744073709551615u})
      .Field("delta", int64_t{-5})
      .Field("small", uint8_t{65})
      .Field("gtid", gtid)
      .Field("clean", true)
      .Field("load", 0.5)
      .Field("peer", "n2")
      .Field("level", Level::kDebug);
  EXPECT_EQ(OnlyEvent(),
            "info leader elected node=3 term=7 index=18446744073709551615 delta=-5 "
            "small=65 gtid=1.7.2a clean=true load=0.5 peer=n2 level=debug");
}

TEST_F(LogTest, Time_IsUtcWithMicroseconds) {
  Start();
  LogEvent(Level::kError, "x");
  const auto lines = Written();
  ASSERT_THAT(lines, SizeIs(1));
  EXPECT_TRUE(std::regex_match(
      lines[0], std::regex(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z error x)")))
      << lines[0];
}

TEST_F(LogTest, Values_ThatWouldBreakTheLine_AreQuotedAndEscaped) {
  Start();
  LogEvent(Level::kWarning, "odd")
      .Field("empty", "")
      .Field("space", "two words")
      .Field("quote", "say \"no\"")
      .Field("equals", "a=b")
      .Field("back", "a\\b")
      .Field("lines", std::string("a\nb\r\tc\x01\x7f"))
      .Field("utf8", "Košice")
      .Field("status", absl::NotFoundError("no such branch"));
  EXPECT_EQ(OnlyEvent(),
            "warning odd empty=\"\" space=\"two words\" quote=\"say \\\"no\\\"\" "
            "equals=\"a=b\" back=\"a\\\\b\" lines=\"a\\nb\\r\\tc\\x01\\x7f\" utf8=Košice "
            "status=\"NOT_FOUND: no such branch\"");
}

TEST_F(LogTest, ProcessName_EndsEveryLine) {
  options_.process_name = "concordatd 1";
  Start();
  LogEvent(Level::kInfo, "started");
  EXPECT_EQ(OnlyEvent(), "info started process=\"concordatd 1\"");
}

// Counts how often it is printed.
struct Counted {
  int* prints;
  friend std::ostream& operator<<(std::ostream& out, const Counted& c) {
    ++*c.prints;
    return out << "counted";
  }
};

TEST_F(LogTest, EventBelowTheLevel_IsNotWrittenAndItsFieldsAreNotFormatted) {
  options_.min_level = Level::kWarning;
  Start();
  int prints = 0;
  LogEvent(Level::kInfo, "filtered").Field("value", Counted{&prints});
  EXPECT_THAT(Written(), IsEmpty());
  EXPECT_EQ(prints, 0);
  EXPECT_FALSE(LogEnabled(Level::kInfo));
  EXPECT_TRUE(LogEnabled(Level::kWarning));
  LogEvent(Level::kWarning, "written").Field("value", Counted{&prints});
  EXPECT_THAT(Written(), SizeIs(1));
  EXPECT_EQ(prints, 1);
}

TEST_F(LogTest, BeforeInitAndAfterShutdown_NothingIsWrittenAnywhere) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  LogEvent(Level::kError, "before");
  Start();
  ShutdownLogging();
  LogEvent(Level::kError, "after");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_THAT(Written(), IsEmpty());
}

TEST_F(LogTest, NoFile_GoesToStandardError) {
  options_.file.clear();
  ::testing::internal::CaptureStderr();
  Start();
  LogEvent(Level::kInfo, "started").Field("node", 1);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              EndsWith(" info started node=1\n"));
}

TEST_F(LogTest, FileThatCannotBeOpened_IsAnErrorThatNamesIt) {
  options_.file = folder_.File("missing/node.log");
  const absl::Status status = InitLogging(options_);
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr(options_.file));
  EXPECT_FALSE(LogEnabled(Level::kError));
}

TEST_F(LogTest, Restart_AppendsToTheFile) {
  Start();
  LogEvent(Level::kInfo, "first");
  ShutdownLogging();
  Start();
  LogEvent(Level::kInfo, "second");
  const auto lines = Written();
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_THAT(lines[0], EndsWith("first"));
  EXPECT_THAT(lines[1], EndsWith("second"));
}

TEST_F(LogTest, FullFile_IsRotatedAndTheOldestGo) {
  options_.rotate_bytes = 1000;
  options_.keep_files = 2;
  Start();
  for (int i = 0; i < 100; ++i) LogEvent(Level::kInfo, "event").Field("i", i);
  ShutdownLogging();
  size_t rotated = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    if (entry.path() != options_.file) ++rotated;
    EXPECT_LE(entry.file_size(), 1100u) << entry.path();
  }
  EXPECT_EQ(rotated, 2u);
  ASSERT_FALSE(Written().empty());
  EXPECT_THAT(Written().back(), EndsWith("i=99"));
}

TEST_F(LogTest, ProcessThatEndsByUnderscoreExit_LeavesItsLastLine) {
  const pid_t child = fork();
  if (child == 0) {
    if (!InitLogging(options_).ok()) _exit(1);
    LogEvent(Level::kError, "last words");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_EQ(OnlyEvent(), "error last words");
}

TEST_F(LogTest, ManyThreads_LinesStayWholeAndInEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kEvents = 500;
  Start();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([t] {
      for (int i = 0; i < kEvents; ++i) {
        LogEvent(Level::kInfo, "step").Field("thread", t).Field("i", i);
      }
    });
  }
  for (auto& thread : threads) thread.join();

  std::vector<int> next(kThreads, 0);
  const std::regex form(R"(\S+ info step thread=(\d+) i=(\d+))");
  for (const std::string& line : Written()) {
    std::smatch match;
    ASSERT_TRUE(std::regex_match(line, match, form)) << line;
    const auto thread = static_cast<size_t>(std::stoi(match[1]));
    EXPECT_EQ(std::stoi(match[2]), next[thread]++);
  }
  EXPECT_EQ(next, std::vector<int>(kThreads, kEvents));
}

TEST_F(LogTest, Reconfiguring_WhileOthersLog_IsSafe) {
  options_.process_name = "p";  // the writer may be first
  Start();
  std::atomic<bool> stop{false};
  std::thread writer([&stop] {
    while (!stop) LogEvent(Level::kInfo, "busy").Field("n", 1);
  });
  for (int i = 0; i < 50; ++i) {
    options_.process_name = "p" + std::to_string(i);
    Start();
  }
  stop = true;
  writer.join();
  for (const std::string& line : Written()) {
    EXPECT_THAT(line, HasSubstr(" info busy n=1 process=p"));
  }
}

TEST(LevelTest, Text_GoesBothWays) {
  for (const Level level :
       {Level::kTrace, Level::kDebug, Level::kInfo, Level::kWarning, Level::kError}) {
    const auto parsed = ParseLevel(ToString(level));
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(*parsed, level);
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ParseLevel("loud").status()));
}

}  // namespace
}  // namespace concordat
