// FaultEnv makes exactly the faults that its header calls legal.
#include "coordinator/base/fault_env.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace concordat::wal {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::unique_ptr<File> MustCreate(FaultEnv* env, const std::string& path) {
  auto file = env->Create(path);
  EXPECT_TRUE(file.ok()) << file.status();
  return *std::move(file);
}

std::string Contents(FaultEnv* env, const std::string& path) {
  return *ReadWholeFile(env, path);
}

TEST(FaultEnv, SyncedBytesAndNames_SurviveEveryCrash) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    FaultEnv env(seed);
    auto file = MustCreate(&env, "/d/a");
    ASSERT_TRUE(file->WriteAt(0, std::string(2000, 'x')).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(env.SyncDir("/d").ok());
    env.Crash();
    EXPECT_EQ(Contents(&env, "/d/a"), std::string(2000, 'x'));
  }
}

TEST(FaultEnv, UnsyncedSectors_AreEachTheNewOrTheOldOne) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    FaultEnv env(seed);
    auto file = MustCreate(&env, "/d/a");
    ASSERT_TRUE(file->WriteAt(0, std::string(1536, 'o')).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(env.SyncDir("/d").ok());
    ASSERT_TRUE(file->WriteAt(100, std::string(1400, 'n')).ok());
    env.Crash();
    const std::string bytes = Contents(&env, "/d/a");
    ASSERT_EQ(bytes.size(), 1536u);
    std::string pattern;
    for (const size_t at : {200u, 600u, 1200u}) pattern += bytes[at];
    EXPECT_EQ(bytes.substr(0, 100), std::string(100, 'o'));
    EXPECT_EQ(bytes.substr(512, 512), std::string(512, pattern[1]));
    seen.insert(pattern);
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST(FaultEnv, UnsyncedGrowth_IsThereOrNot) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    FaultEnv env(seed);
    auto file = MustCreate(&env, "/d/a");
    ASSERT_TRUE(file->Preallocate(512).ok());
    ASSERT_TRUE(file->Sync().ok());
    ASSERT_TRUE(env.SyncDir("/d").ok());
    ASSERT_TRUE(file->Preallocate(4096).ok());
    env.Crash();
    sizes.insert(Contents(&env, "/d/a").size());
  }
  EXPECT_THAT(sizes, ElementsAre(512, 4096));
}

TEST(FaultEnv, UnsyncedNames_AreThereOrNotInAnyCombination) {
  std::set<std::vector<std::string>> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    FaultEnv env(seed);
    MustCreate(&env, "/d/a").reset();
    ASSERT_TRUE(env.SyncDir("/d").ok());
    MustCreate(&env, "/d/b").reset();
    ASSERT_TRUE(env.Rename("/d/a", "/d/c").ok());
    env.Crash();
    seen.insert(*env.List("/d"));
  }
  const std::set<std::vector<std::string>> all = {{"a"}, {"a", "b"}, {"c"}, {"b", "c"}};
  EXPECT_EQ(seen, all);
}

TEST(FaultEnv, DropAllAndKeepAll_DoWhatTheySay) {
  for (const bool keep : {false, true}) {
    FaultEnv env(1);
    auto file = MustCreate(&env, "/d/a");
    ASSERT_TRUE(env.SyncDir("/d").ok());
    ASSERT_TRUE(file->WriteAt(0, "hello").ok());
    MustCreate(&env, "/d/b").reset();
    env.Crash(keep ? FaultEnv::Unsynced::kKeepAll : FaultEnv::Unsynced::kDropAll);
    EXPECT_EQ(Contents(&env, "/d/a"), keep ? "hello" : "");
    EXPECT_EQ(env.OpenReadOnly("/d/b").ok(), keep);
  }
}

TEST(FaultEnv, SameSeed_SameCrash) {
  std::vector<std::string> first;
  for (int run = 0; run < 2; ++run) {
    std::vector<std::string> results;
    FaultEnv env(77);
    for (int i = 0; i < 20; ++i) {
      const std::string path = "/d/" + std::to_string(i);
      auto file = MustCreate(&env, path);
      ASSERT_TRUE(env.SyncDir("/d").ok());
      ASSERT_TRUE(file->WriteAt(0, std::string(4000, static_cast<char>('a' + i))).ok());
      env.Crash();
      results.push_back(Contents(&env, path));
    }
    if (run == 0) first = results;
    EXPECT_EQ(results, first);
  }
}

TEST(FaultEnv, PowerOff_EverythingFailsUntilTheCrash) {
  FaultEnv env(1);
  auto file = MustCreate(&env, "/d/a");
  env.PowerOffAfter(1);
  EXPECT_TRUE(file->WriteAt(0, "x").ok());
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_FALSE(env.List("/d").ok());
  EXPECT_FALSE(env.Create("/d/b").ok());
  env.Crash();
  EXPECT_TRUE(env.List("/d").ok());
}

TEST(FaultEnv, Capacity_RefusesGrowthAndReturnsWithRemoval) {
  FaultEnv env(1);
  env.SetCapacity(1000);
  auto a = MustCreate(&env, "/d/a");
  EXPECT_TRUE(a->Preallocate(800).ok());
  auto b = MustCreate(&env, "/d/b");
  EXPECT_EQ(b->Preallocate(300).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(b->WriteAt(0, std::string(300, 'x')).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(a->WriteAt(0, std::string(800, 'x')).ok());
  ASSERT_TRUE(env.Remove("/d/a").ok());
  EXPECT_TRUE(b->Preallocate(300).ok());
}

TEST(FaultEnv, InjectedErrors_HappenOnce) {
  FaultEnv env(1);
  auto file = MustCreate(&env, "/d/a");
  env.FailNextWrite();
  EXPECT_FALSE(file->WriteAt(0, "x").ok());
  EXPECT_TRUE(file->WriteAt(0, "x").ok());
  env.FailNextSync();
  EXPECT_FALSE(file->Sync().ok());
  EXPECT_TRUE(file->Sync().ok());
  env.FailNextSyncDir();
  EXPECT_FALSE(env.SyncDir("/d").ok());
  EXPECT_TRUE(env.SyncDir("/d").ok());
}

TEST(FaultEnvDeathTest, HandleUsedAcrossACrash_IsAnErrorOfTheTest) {
  FaultEnv env(1);
  auto file = MustCreate(&env, "/d/a");
  env.Crash();
  EXPECT_DEATH((void)file->Sync(), "across a crash");
}

}  // namespace
}  // namespace concordat::wal
