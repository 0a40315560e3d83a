#include "wal/dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_cat.h"
#include "tests/unit/wal/log_fixture.h"
#include "wal/directory.h"

namespace concordat::wal {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Dumped {
  absl::Status status;
  std::string text;
};

Dumped DumpLog(FileEnv* env, const DumpOptions& options = {}) {
  std::ostringstream out;
  Dumped dumped;
  dumped.status = Dump(env, "/log", options, out);
  dumped.text = out.str();
  return dumped;
}

std::unique_ptr<FaultEnv> ThreeRecords() {
  auto env = std::make_unique<FaultEnv>(1);
  Opened a = OpenLog(env.get());
  MustAppend(a.log.get(), "alpha", 7);
  a.log->Sync();
  MustAppend(a.log.get(), "beta", 8);
  a.log->Sync();
  MustAppend(a.log.get(), "gamma", 9);
  a.log->Sync();
  return env;
}

TEST(Dump, WholeLog_PrintsSegmentsAndRecordsInHex) {
  auto env = ThreeRecords();
  const Dumped dumped = DumpLog(env.get());
  EXPECT_TRUE(dumped.status.ok()) << dumped.status;
  EXPECT_THAT(dumped.text, HasSubstr("owner test format 1"));
  EXPECT_THAT(dumped.text, HasSubstr("/log/segment-0000000001 generation=1"));
  EXPECT_THAT(dumped.text, HasSubstr("1 type=7 size=5 crc=ok 616c706861\n"));
  EXPECT_THAT(dumped.text, HasSubstr("3 type=9 size=5 crc=ok 67616d6d61\n"));
  EXPECT_THAT(dumped.text, HasSubstr("end next_lsn=4"));
  EXPECT_THAT(dumped.text, Not(HasSubstr("DAMAGED")));
}

TEST(Dump, FormatterAndRange_AreUsed) {
  auto env = ThreeRecords();
  DumpOptions options;
  options.from = options.to = Lsn(2);
  options.format_owner = "test";
  options.format = [](Lsn lsn, uint8_t type, std::string_view payload) {
    return absl::StrCat("<", lsn.value(), "/", type, "/", std::string(payload), ">");
  };
  const Dumped dumped = DumpLog(env.get(), options);
  EXPECT_THAT(dumped.text, HasSubstr("<2/8/beta>"));
  EXPECT_THAT(dumped.text, Not(HasSubstr("alpha")));
  EXPECT_THAT(dumped.text, Not(HasSubstr("gamma")));
  options.format_owner = "concordatd:";
  EXPECT_THAT(DumpLog(env.get(), options).text, HasSubstr("2 type=8 size=4"));
}

TEST(Dump, DamagedLog_SaysWhereAndGoesOnBehindIt) {
  auto env = ThreeRecords();
  env->FlipBit("/log/segment-0000000001", 1024 + 60, 3);  // the batch of record 2
  const Dumped dumped = DumpLog(env.get());
  EXPECT_EQ(dumped.status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(dumped.text, HasSubstr("DAMAGED at offset 1024"));
  EXPECT_THAT(dumped.text, HasSubstr("1 type=7"));
  EXPECT_THAT(dumped.text, Not(HasSubstr("2 type=8")));
  EXPECT_THAT(dumped.text, HasSubstr("3 type=9"));
}

TEST(Dump, EveryDamagedByteOfManySegments_IsReportedExactlyWhenOpenReportsIt) {
  FaultEnv env(9);
  LogOptions options = SmallLog();
  options.segment_bytes = 8192;
  {
    Opened a = OpenLog(&env, options);
    AppendRange(a.log.get(), 1, 45, 2);
    a.log->ReleaseBefore(Lsn(25));
    AppendRange(a.log.get(), 46, 70, 2);
  }
  const auto listing = ListLog(&env, "/log");
  for (const uint32_t generation : listing->segments) {
    for (uint64_t offset = 0; offset < 8192; offset += 13) {
      auto copy = env.Clone(1);
      copy->FlipBit(SegmentPath("/log", generation), offset, 4);
      const Dumped dumped = DumpLog(copy.get());
      const Opened opened = OpenLog(copy.get(), options);
      ASSERT_EQ(dumped.status.code(), opened.status.code())
          << generation << " " << offset << " " << dumped.status << opened.status;
    }
  }
}

TEST(Dump, TornTail_IsNoDamageAndNothingIsChanged) {
  FaultEnv env(1);
  {
    Opened a = OpenLog(&env);
    AppendRange(a.log.get(), 1, 2);
    MustAppend(a.log.get(), std::string(3000, 't'));
    a.log->Sync();
  }
  // Without its last sector, the third batch is one that was never flushed.
  auto bytes = ReadWholeFile(&env, "/log/segment-0000000001");
  const size_t end = bytes->find_last_of('t') / 512 * 512;
  env.ZeroFrom("/log/segment-0000000001", end);
  const uint64_t operations = env.operations();
  const Dumped dumped = DumpLog(&env);
  EXPECT_TRUE(dumped.status.ok()) << dumped.status;
  EXPECT_THAT(dumped.text, HasSubstr("torn batch"));
  EXPECT_EQ(env.operations(), operations);
}

TEST(Dump, NotALog_IsRefused) {
  FaultEnv env(1);
  EXPECT_EQ(DumpLog(&env).status.code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace concordat::wal
