// The log when nothing fails.
#include "wal/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/wal/log_fixture.h"

namespace concordat::wal {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Log, New_IsEmptyAndBeginsWithOne) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  ASSERT_TRUE(a.status.ok()) << a.status;
  EXPECT_THAT(a.entries, IsEmpty());
  EXPECT_EQ(a.log->next_lsn(), Lsn(1));
  EXPECT_EQ(a.log->durable_lsn(), Lsn(0));
  EXPECT_EQ(a.log->first_lsn(), Lsn(1));
}

TEST(Log, Append_IsDurableAfterSyncAndNotBefore) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  EXPECT_EQ(MustAppend(a.log.get(), "one"), Lsn(1));
  EXPECT_EQ(MustAppend(a.log.get(), "two"), Lsn(2));
  EXPECT_EQ(a.log->durable_lsn(), Lsn(0));
  a.log->Sync();
  EXPECT_EQ(a.log->durable_lsn(), Lsn(2));
  MustAppend(a.log.get(), "three");
  a.log.reset();
  env.Crash(FaultEnv::Unsynced::kDropAll);
  Opened b = OpenLog(&env);
  ASSERT_TRUE(b.status.ok()) << b.status;
  ASSERT_EQ(b.entries.size(), 2u);
  EXPECT_EQ(b.entries[0], (Entry{Lsn(1), 1, "one"}));
  EXPECT_EQ(b.entries[1], (Entry{Lsn(2), 1, "two"}));
  EXPECT_EQ(b.log->next_lsn(), Lsn(3));
}

TEST(Log, Reopened_ReplaysEverythingInOrderAndGoesOn) {
  FaultEnv env(1);
  uint64_t next = 1;
  for (uint64_t life = 0; life < 6; ++life) {
    Opened a = OpenLog(&env);
    ASSERT_TRUE(a.status.ok()) << a.status;
    ASSERT_EQ(a.entries, EntriesOfRange(1, next - 1));
    EXPECT_EQ(a.log->durable_lsn(), Lsn(next - 1));
    AppendRange(a.log.get(), next, next + 60, life + 1);
    next += 61;
  }
}

TEST(Log, EmptyAndLongestPayloads_ComeBack) {
  FaultEnv env(1);
  const LogOptions options = SmallLog();
  const std::string longest(MaxPayload(options.segment_bytes), 'x');
  {
    Opened a = OpenLog(&env, options);
    EXPECT_EQ(a.log->max_payload(), longest.size());
    MustAppend(a.log.get(), "");
    MustAppend(a.log.get(), longest);
    MustAppend(a.log.get(), longest);
    MustAppend(a.log.get(), "");
    a.log->Sync();
    EXPECT_EQ(a.log->Append(1, longest + "x", Reserve::kNormal).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
  Opened b = OpenLog(&env, options);
  ASSERT_EQ(b.entries.size(), 4u);
  EXPECT_EQ(b.entries[1].payload, longest);
  EXPECT_EQ(b.entries[2].payload, longest);
  EXPECT_EQ(b.entries[3].payload, "");
}

TEST(Log, DefaultSegments_TakeSixteenMebibytes) {
  EXPECT_GE(MaxPayload(LogOptions().segment_bytes), 16u << 20);
}

TEST(Log, Release_FreesWholeSegmentsAtTheNextSync) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  AppendRange(a.log.get(), 1, 200, 3);
  const uint64_t used = env.used_bytes();
  a.log->ReleaseBefore(Lsn(150));
  EXPECT_EQ(a.log->first_lsn(), Lsn(1));
  a.log->Sync();
  const Lsn first = a.log->first_lsn();
  EXPECT_GT(first, Lsn(1));
  EXPECT_LE(first, Lsn(150));
  EXPECT_LT(env.used_bytes(), used);
  a.log.reset();
  Opened b = OpenLog(&env);
  ASSERT_TRUE(b.status.ok()) << b.status;
  EXPECT_EQ(b.entries, EntriesOfRange(first.value(), 200));
}

TEST(Log, Release_LowerThanBefore_ChangesNothing) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  AppendRange(a.log.get(), 1, 200, 3);
  a.log->ReleaseBefore(Lsn(150));
  a.log->Sync();
  const Lsn first = a.log->first_lsn();
  a.log->ReleaseBefore(Lsn(2));
  a.log->Sync();
  EXPECT_EQ(a.log->first_lsn(), first);
}

TEST(Log, ReleasedForEver_UsesABoundedNumberOfFiles) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  uint64_t most = 0;
  for (uint64_t n = 1; n <= 3000; ++n) {
    AppendRange(a.log.get(), n, n);
    if (n > 20) a.log->ReleaseBefore(Lsn(n - 20));
    most = std::max(most, env.used_bytes());
  }
  EXPECT_LE(most, 8u * 16384);
  a.log.reset();
  Opened b = OpenLog(&env);
  ASSERT_TRUE(b.status.ok()) << b.status;
  ASSERT_FALSE(b.entries.empty());
  EXPECT_LE(b.entries.front().lsn, Lsn(2980));
  EXPECT_EQ(b.entries, EntriesOfRange(b.entries.front().lsn.value(), 3000));
}

TEST(Log, SegmentSizeChanged_OldSegmentsAreReadAndNewOnesHaveTheNewSize) {
  FaultEnv env(1);
  LogOptions options = SmallLog();
  uint64_t next = 1;
  for (const uint64_t bytes : {16384u, 65536u, 8192u, 32768u}) {
    options.segment_bytes = bytes;
    Opened a = OpenLog(&env, options);
    ASSERT_TRUE(a.status.ok()) << a.status;
    ASSERT_EQ(a.entries, EntriesOfRange(1, next - 1));
    AppendRange(a.log.get(), next, next + 150, 4);
    next += 151;
  }
  Opened b = OpenLog(&env, options);
  EXPECT_EQ(b.entries, EntriesOfRange(1, next - 1));
  b.log->ReleaseBefore(Lsn(next - 1));
  b.log->Sync();
  EXPECT_GT(b.log->first_lsn(), Lsn(400));
}

TEST(Log, LockedDirectory_IsRefused) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  Opened b = OpenLog(&env);
  EXPECT_EQ(b.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(b.status.ToString(), HasSubstr("locked"));
  a.log.reset();
  EXPECT_TRUE(OpenLog(&env).status.ok());
}

TEST(Log, DirectoryOfAnotherOwner_IsRefusedAndUntouched) {
  FaultEnv env(1);
  AppendRange(OpenLog(&env).log.get(), 1, 5);
  LogOptions other = SmallLog();
  other.owner = "kv";
  Opened b = OpenLog(&env, other);
  EXPECT_EQ(b.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(b.status.ToString(), HasSubstr("'test', not of 'kv'"));
  EXPECT_EQ(OpenLog(&env).entries, EntriesOfRange(1, 5));
}

TEST(Log, Scenario78_MissingOrAnotherLog_IsNotMadeAnew) {
  FaultEnv env(1);
  uint64_t id = 0;
  {
    Opened first = OpenLog(&env);
    ASSERT_TRUE(first.log) << first.status;
    id = first.log->log_id();
    AppendRange(first.log.get(), 1, 3);
  }
  ASSERT_NE(id, 0u);
  LogOptions options = SmallLog();
  options.log_id = id;
  EXPECT_EQ(OpenLog(&env, options).entries.size(), 3u);
  options.log_id = id ^ 1;
  const Opened other = OpenLog(&env, options);
  EXPECT_TRUE(absl::IsFailedPrecondition(other.status)) << other.status;
  // Nothing is there, as when a mount is missing; and nothing is made there.
  options.log_id = id;
  options.dir = "/elsewhere";
  const Opened missing = OpenLog(&env, options);
  EXPECT_TRUE(absl::IsFailedPrecondition(missing.status)) << missing.status;
  ASSERT_TRUE(env.CreateDir("/elsewhere").ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenLog(&env, options).status));
  EXPECT_TRUE(env.List("/elsewhere")->empty());
}

TEST(Log, DirectoryOfAnotherFormatVersion_IsRefused) {
  FaultEnv env(1);
  OpenLog(&env).log.reset();
  ASSERT_TRUE(env.Remove("/log/IDENTITY").ok());
  auto file = env.Create("/log/IDENTITY");
  ASSERT_TRUE((*file)
                  ->WriteAt(0,
                            "concordat-wal\nformat 2\nwhatever version 2 has\n"
                            "crc32 c4ff6143\n")
                  .ok());
  Opened b = OpenLog(&env);
  EXPECT_EQ(b.status.code(), absl::StatusCode::kFailedPrecondition) << b.status;
  EXPECT_THAT(b.status.ToString(), HasSubstr("format version 2, this program reads 1"));
}

TEST(Log, DirectoryWithForeignFiles_IsRefusedAndUntouched) {
  FaultEnv env(1);
  ASSERT_TRUE(env.Create("/log/letters.txt").ok());
  Opened b = OpenLog(&env);
  EXPECT_EQ(b.status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(b.status.ToString(), HasSubstr("letters.txt"));
  EXPECT_TRUE(env.OpenReadOnly("/log/letters.txt").ok());
}

TEST(Log, BadOptions_AreRefused) {
  FaultEnv env(1);
  LogOptions options = SmallLog();
  options.segment_bytes = 5000;
  EXPECT_EQ(OpenLog(&env, options).status.code(), absl::StatusCode::kInvalidArgument);
  options = SmallLog();
  options.owner = "two words";
  EXPECT_EQ(OpenLog(&env, options).status.code(), absl::StatusCode::kInvalidArgument);
  options = SmallLog();
  options.dir = "";
  EXPECT_EQ(OpenLog(&env, options).status.code(), absl::StatusCode::kInvalidArgument);
}

TEST(LogDeathTest, ReleaseBeyondTheDurable_IsAProgrammersError) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  AppendRange(a.log.get(), 1, 3);
  EXPECT_DEATH(a.log->ReleaseBefore(Lsn(5)), "not yet durable");
}

TEST(LogDeathTest, Scenario41_FailedFlush_EndsTheProcessAndIsNotRetried) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  MustAppend(a.log.get(), "x");
  env.FailNextSync();
  EXPECT_EXIT(a.log->Sync(), ::testing::ExitedWithCode(kExitStorageFailed),
              "fdatasync of /log/.*");
}

TEST(LogDeathTest, Scenario41_FailedWrite_EndsTheProcess) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  MustAppend(a.log.get(), "x");
  env.FailNextWrite();
  EXPECT_EXIT(a.log->Sync(), ::testing::ExitedWithCode(kExitStorageFailed),
              "write of /log/.*");
}

TEST(LogDeathTest, Scenario41_FailedDirectoryFlush_EndsTheProcess) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  env.FailNextSyncDir();
  EXPECT_EXIT(AppendRange(a.log.get(), 1, 200),
              ::testing::ExitedWithCode(kExitStorageFailed), "fsync of /log");
}

}  // namespace
}  // namespace concordat::wal
