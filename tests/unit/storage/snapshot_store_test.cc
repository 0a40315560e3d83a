// Snapshots are there whole or not at all.
#include "coordinator/storage/snapshot_store.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "coordinator/base/fault_env.h"

namespace concordat::storage {
namespace {

constexpr GroupId kSnapshotGroup{1};
constexpr uint64_t kLog = 0xabc;

raft::SnapshotMeta Meta(uint64_t index) {
  return {LogIndex(index), Term(3), raft::Configuration({NodeId(1), NodeId(2)})};
}

absl::Status Save(SnapshotStore* store, uint64_t index, std::string_view state) {
  auto writer = store->Create(kSnapshotGroup, Meta(index));
  if (!writer.ok()) return writer.status();
  absl::Status status = (*writer)->Append(state);
  return status.ok() ? (*writer)->Finish() : status;
}

struct Loaded {
  raft::SnapshotMeta meta;
  std::string state;
};
absl::StatusOr<Loaded> Load(const SnapshotStore& store, uint64_t index) {
  Loaded loaded;
  const auto meta =
      store.Load(kSnapshotGroup, LogIndex(index), [&](std::string_view part) {
        loaded.state.append(part);
        return absl::OkStatus();
      });
  if (!meta.ok()) return meta.status();
  loaded.meta = *meta;
  return loaded;
}

TEST(SnapshotStore, WhatWasSaved_IsLoadedAndReadInParts) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  const std::string state(10'000, 's');
  ASSERT_TRUE(Save(&store, 5, state).ok());
  const auto loaded = Load(store, 5);
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  EXPECT_EQ(loaded->state, state);
  EXPECT_EQ(loaded->meta, Meta(5));
  const auto part = store.Read(kSnapshotGroup, LogIndex(5), 9'000, 4'000);
  ASSERT_TRUE(part.ok());
  EXPECT_EQ(part->data.size(), 1'000u);
  EXPECT_TRUE(part->last);
  EXPECT_TRUE(absl::IsNotFound(store.Read(kSnapshotGroup, LogIndex(6), 0, 1).status()));
}

// Scenario 45: old state or new, never a mixture.
TEST(SnapshotStore, Scenario45_CrashAtEveryStepOfASave_LeavesTheOldOneOrTheNewOne) {
  for (uint64_t step = 1; step < 20; ++step) {
    FaultEnv env(step);
    SnapshotStore store(&env, "/snapshots");
    ASSERT_TRUE(store.Open(kLog).ok());
    ASSERT_TRUE(Save(&store, 5, "old").ok());
    env.PowerOffAfter(step);
    (void)Save(&store, 9, "new");
    env.Crash();
    SnapshotStore after(&env, "/snapshots");
    ASSERT_TRUE(after.Open(kLog).ok());
    const auto old = Load(after, 5);
    ASSERT_TRUE(old.ok()) << "step " << step << ": " << old.status().message();
    EXPECT_EQ(old->state, "old");
    const auto newer = Load(after, 9);
    if (newer.ok()) {
      EXPECT_EQ(newer->state, "new");
    } else {
      EXPECT_TRUE(absl::IsNotFound(newer.status())) << newer.status().message();
    }
  }
}

TEST(SnapshotStore, WhatACrashHasLeft_IsRemovedAtTheStart) {
  FaultEnv env(1);
  ASSERT_TRUE(env.CreateDir("/snapshots").ok());
  ASSERT_TRUE(env.Create("/snapshots/group-1-5.snapshot.1.tmp").ok());
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  EXPECT_TRUE(env.List("/snapshots")->empty());
}

TEST(SnapshotStore, Scenario78_SnapshotsOfAnotherLog_AreRefused) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  ASSERT_TRUE(Save(&store, 5, "the state").ok());
  SnapshotStore other(&env, "/snapshots");
  const absl::Status refused = other.Open(kLog + 1);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "0000000000000abc")) << refused;
  EXPECT_TRUE(absl::IsFailedPrecondition(Load(other, 5).status()));
  EXPECT_TRUE(Load(store, 5).ok()) << "untouched";
}

TEST(SnapshotStore, AFlippedBit_IsFoundWhereverItIs) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  ASSERT_TRUE(Save(&store, 5, "the state").ok());
  const std::string path = "/snapshots/group-1-5.snapshot";
  const auto bytes = ReadWholeFile(&env, path);
  ASSERT_TRUE(bytes.ok());
  for (uint64_t at = 0; at < bytes->size(); ++at) {
    env.FlipBit(path, at, 3);
    EXPECT_FALSE(Load(store, 5).ok()) << "byte " << at;
    env.FlipBit(path, at, 3);
  }
  EXPECT_TRUE(Load(store, 5).ok());
}

// Scenario 83: a part is read and checked without the rest, wherever it begins.
TEST(SnapshotStore, Scenario83_APartOfTheState_IsCheckedAlone) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  std::string state;
  for (size_t i = 0; state.size() < 1'000'000; ++i) state += std::to_string(i);
  ASSERT_TRUE(Save(&store, 5, state).ok());
  for (const size_t part : {size_t{1'000}, size_t{65'536}, size_t{100'001}}) {
    std::string read;
    bool last = false;
    while (!last) {
      const auto chunk = store.Read(kSnapshotGroup, LogIndex(5), read.size(), part);
      ASSERT_TRUE(chunk.ok()) << chunk.status();
      read += chunk->data;
      last = chunk->last;
    }
    ASSERT_EQ(read, state);
  }
  const std::string path = "/snapshots/group-1-5.snapshot";
  const auto bytes = ReadWholeFile(&env, path);
  ASSERT_TRUE(bytes.ok());
  env.FlipBit(path, 980'000, 3);
  EXPECT_TRUE(store.Read(kSnapshotGroup, LogIndex(5), 0, 500'000).ok());
  EXPECT_TRUE(absl::IsDataLoss(
      store.Read(kSnapshotGroup, LogIndex(5), 900'000, 500'000).status()));
}

TEST(SnapshotStore, Scenario83_OlderSnapshots_GoButForTheOneThatIsSent) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  for (const uint64_t at : {uint64_t{3}, uint64_t{5}, uint64_t{7}, uint64_t{9}}) {
    ASSERT_TRUE(Save(&store, at, "state").ok());
  }
  store.RemoveOlder(kSnapshotGroup, LogIndex(9), LogIndex(5));
  const auto is_there = [&](uint64_t at) {
    return store.Read(kSnapshotGroup, LogIndex(at), 0, 5).ok();
  };
  EXPECT_FALSE(is_there(3));
  EXPECT_TRUE(is_there(5));
  EXPECT_FALSE(is_there(7));
  EXPECT_TRUE(is_there(9));
  store.RemoveOlder(kSnapshotGroup, LogIndex(9));
  EXPECT_FALSE(is_there(5)) << "nor is it read from a file that is open";
  EXPECT_TRUE(is_there(9));
}

TEST(SnapshotStore, FullDisk_KeepsTheOldSnapshot) {
  FaultEnv env(1);
  SnapshotStore store(&env, "/snapshots");
  ASSERT_TRUE(store.Open(kLog).ok());
  ASSERT_TRUE(Save(&store, 5, "old").ok());
  env.SetCapacity(env.used_bytes() + 100);
  const absl::Status saved = Save(&store, 9, std::string(100'000, 'n'));
  EXPECT_TRUE(absl::IsResourceExhausted(saved)) << saved.message();
  EXPECT_EQ(Load(store, 5)->state, "old");
}

}  // namespace
}  // namespace concordat::storage
