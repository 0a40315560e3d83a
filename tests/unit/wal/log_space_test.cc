// Scenario 42: on a full disk new work is refused before anything is promised, promised
// work can be finished, and new work is accepted again when there is space.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/wal/log_fixture.h"

namespace concordat::wal {
namespace {

// Appends until this kind of record is refused. Returns how many were accepted.
uint64_t FillUp(Log* log, Reserve use, size_t bytes = 500) {
  for (uint64_t n = 0; n < 100000; ++n) {
    auto lsn = log->Append(1, std::string(bytes, 'f'), use);
    if (!lsn.ok()) {
      CONCORDAT_CHECK(absl::IsResourceExhausted(lsn.status())) << lsn.status().message();
      return n;
    }
    log->Sync();
  }
  CONCORDAT_CHECK(false) << "never full";
  return 0;
}

TEST(LogSpace, FullDisk_RefusesNormalRecordsBeforeNumberingThem) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  env.SetCapacity(env.used_bytes() + 20000);
  const uint64_t taken = FillUp(a.log.get(), Reserve::kNormal);
  EXPECT_GT(taken, 20u);
  EXPECT_EQ(a.log->next_lsn(), Lsn(taken + 1));
  EXPECT_EQ(a.log->durable_lsn(), Lsn(taken));
  a.log.reset();
  Opened b = OpenLog(&env);
  ASSERT_TRUE(b.status.ok()) << b.status;
  EXPECT_EQ(b.entries.size(), taken);
}

TEST(LogSpace, FullDisk_FinishingRecordsHaveTheirReserve) {
  FaultEnv env(1);
  LogOptions options = SmallLog();
  options.reserve_bytes = 40000;
  Opened a = OpenLog(&env, options);
  env.SetCapacity(env.used_bytes());
  FillUp(a.log.get(), Reserve::kNormal);
  const uint64_t finished = FillUp(a.log.get(), Reserve::kFinish);
  // Each flush of one record of 500 bytes takes two sectors.
  EXPECT_GE(finished * 1024, options.reserve_bytes);
  EXPECT_FALSE(a.log->Append(1, "x", Reserve::kNormal).ok());
}

TEST(LogSpace, SpaceReturns_NormalRecordsAreTakenAgain) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  env.SetCapacity(env.used_bytes());
  FillUp(a.log.get(), Reserve::kNormal);
  FillUp(a.log.get(), Reserve::kFinish);
  env.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(a.log->Append(1, "new work", Reserve::kNormal).ok());
  EXPECT_GE(a.log->spare_segments(), a.log->reserve_segments());
}

TEST(LogSpace, ReserveUsedUp_NormalRecordsWaitUntilItIsWholeAgain) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  env.SetCapacity(env.used_bytes());
  FillUp(a.log.get(), Reserve::kNormal);
  // One finishing record opens the reserve: there is room in the segment now, but not for
  // new work.
  ASSERT_TRUE(a.log->Append(1, std::string(8000, 'd'), Reserve::kFinish).ok());
  EXPECT_FALSE(a.log->Append(1, "x", Reserve::kNormal).ok());
  EXPECT_TRUE(a.log->Append(1, "x", Reserve::kFinish).ok());
}

TEST(LogSpace, FullDiskAndNoReserveLeft_ReleasingMakesRoom) {
  // However little is left of the last segment, a release has a sector of its own.
  for (size_t bytes = 300; bytes < 1500; bytes += 50) {
    FaultEnv env(1);
    Opened a = OpenLog(&env);
    env.SetCapacity(env.used_bytes());
    FillUp(a.log.get(), Reserve::kNormal, bytes);
    FillUp(a.log.get(), Reserve::kFinish, bytes);
    const Lsn before = a.log->first_lsn();
    a.log->ReleaseBefore(a.log->durable_lsn());
    a.log->Sync();
    EXPECT_GT(a.log->first_lsn(), before) << bytes;
    EXPECT_TRUE(a.log->Append(1, "x", Reserve::kNormal).ok()) << bytes;
    a.log->Sync();
    a.log.reset();
    EXPECT_TRUE(OpenLog(&env).status.ok()) << bytes;
  }
}

TEST(LogSpace, FullDisk_OpensAndReplaysAndFinishes) {
  FaultEnv env(1);
  Opened a = OpenLog(&env);
  env.SetCapacity(env.used_bytes());
  const uint64_t taken = FillUp(a.log.get(), Reserve::kNormal);
  for (int i = 0; i < 20; ++i) {
    a.log.reset();
    env.Crash(FaultEnv::Unsynced::kDropAll);
    a = OpenLog(&env);
    ASSERT_TRUE(a.status.ok()) << a.status;
    ASSERT_GE(a.entries.size(), taken);
  }
  // Restarts have used no space.
  EXPECT_GE(FillUp(a.log.get(), Reserve::kFinish) * 1024, 15000u);
}

TEST(LogSpace, NoRoomForTheFirstSegment_OpenSaysSoAndLeavesNothingInTheWay) {
  FaultEnv env(1);
  env.SetCapacity(10000);
  EXPECT_EQ(OpenLog(&env).status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(env.used_bytes(), 0u);
  env.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(OpenLog(&env).status.ok());
}

TEST(LogSpace, RoomForTheLogButNotForItsReserve_OpensAndRefusesNormalRecords) {
  FaultEnv env(1);
  env.SetCapacity(20000);
  Opened a = OpenLog(&env);
  ASSERT_TRUE(a.status.ok()) << a.status;
  EXPECT_EQ(a.log->Append(1, "x", Reserve::kNormal).status().code(),
            absl::StatusCode::kResourceExhausted);
  env.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(a.log->Append(1, "x", Reserve::kNormal).ok());
}

}  // namespace
}  // namespace concordat::wal
