// A machine's snapshot on its way through files and to another node.
#include "coordinator/group/snapshot_files.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "coordinator/base/byte_codec.h"
#include "coordinator/base/fault_env.h"
#include "coordinator/group/snapshot_stream.h"
#include "tests/support/counter_machine.h"

namespace concordat::group {
namespace {

using concordat::testing::AddCommand;
using concordat::testing::CounterMachine;
using concordat::testing::EncodeCommand;

constexpr GroupId kFilesGroup{3};

raft::SnapshotMeta At(uint64_t index) {
  return {LogIndex(index), Term(2), raft::Configuration({NodeId(1)})};
}

class SnapshotFilesTest : public ::testing::Test {
 protected:
  SnapshotFilesTest() {
    EXPECT_TRUE(store_.Open(1).ok());
    for (uint64_t i = 1; i <= 30; ++i) Add(&machine_, i);
  }
  static void Add(CounterMachine* machine, uint64_t i) {
    const AddCommand command{Term(1), i, "counter-" + std::to_string(i % 11), i, ""};
    EXPECT_TRUE(machine->Apply(LogIndex(i), EncodeCommand(command), Timestamp()).ok());
  }
  // In parts of that size, as another node sends them.
  void ReceiveInParts(size_t size, const raft::SnapshotMeta& meta) {
    std::string state;
    const auto source = machine_.TakeSnapshot();
    ASSERT_TRUE(WriteSnapshot(source.get(), [&](std::string_view bytes) {
                  state.append(bytes);
                  return absl::OkStatus();
                }).ok());
    for (size_t at = 0; at < state.size(); at += size) {
      files_.Receive({meta, at, raft::Payload(state.substr(at, size))});
    }
  }

  FaultEnv env_{1};
  storage::SnapshotStore store_{&env_, "/snapshots"};
  SnapshotFiles files_{&store_, kFilesGroup};
  CounterMachine machine_;
  CounterMachine other_;
};

TEST_F(SnapshotFilesTest, PartsOfAnySize_AreTheSameState) {
  uint64_t index = 30;
  for (const size_t size : {size_t{1}, size_t{7}, size_t{64}, size_t{100'000}}) {
    const raft::SnapshotMeta meta = At(index++);
    ReceiveInParts(size, meta);
    CounterMachine other;
    const auto restore = other.BeginRestore(meta.index);
    ASSERT_TRUE(files_.Restore(meta, restore.get()).ok());
    restore->Install();
    EXPECT_EQ(other.counters(), machine_.counters());
    EXPECT_EQ(other.digest(), machine_.digest());
  }
}

TEST_F(SnapshotFilesTest, WhatIsAppliedMeanwhile_IsNotInTheSnapshot) {
  const auto source = machine_.TakeSnapshot();
  const uint64_t digest = machine_.digest();
  Add(&machine_, 31);
  const auto bytes = files_.Save(At(30), source.get());
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_GT(*bytes, 0u);
  const auto restore = other_.BeginRestore(LogIndex(30));
  SnapshotParser parser(restore.get());
  ASSERT_TRUE(store_
                  .Load(kFilesGroup, LogIndex(30),
                        [&](std::string_view part) { return parser.Append(part); })
                  .ok());
  ASSERT_TRUE(parser.Finish().ok());
  restore->Install();
  EXPECT_EQ(other_.digest(), digest);
}

TEST_F(SnapshotFilesTest, NewTransfer_VoidsWhatWasReceivedBefore) {
  files_.Receive({At(20), 0, raft::Payload("of another leader")});
  ReceiveInParts(50, At(30));
  const auto restore = other_.BeginRestore(LogIndex(30));
  EXPECT_TRUE(files_.Restore(At(30), restore.get()).ok());
  EXPECT_TRUE(absl::IsNotFound(store_.Read(kFilesGroup, LogIndex(20), 0, 1).status()));
}

TEST_F(SnapshotFilesTest, PartThatFindsNoRoom_FailsTheWhole) {
  env_.SetCapacity(env_.used_bytes() + 200);
  ReceiveInParts(50, At(30));
  const auto restore = other_.BeginRestore(LogIndex(30));
  EXPECT_TRUE(absl::IsResourceExhausted(files_.Restore(At(30), restore.get())));
}

TEST_F(SnapshotFilesTest, BytesThatAreNoPortions_AreDamage) {
  files_.Receive({At(30), 0, raft::Payload(std::string(100, '\xff'))});
  EXPECT_TRUE(
      absl::IsDataLoss(files_.Restore(At(30), other_.BeginRestore(LogIndex(30)).get())));
  ByteWriter cut;
  cut.Varint(50);
  files_.Receive({At(31), 0, raft::Payload(cut.str() + "short")});
  EXPECT_TRUE(
      absl::IsDataLoss(files_.Restore(At(31), other_.BeginRestore(LogIndex(31)).get())));
}

TEST_F(SnapshotFilesTest, LaterStateThanTheSnapshotClaims_IsDamage) {
  ReceiveInParts(50, At(29));
  EXPECT_TRUE(
      absl::IsDataLoss(files_.Restore(At(29), other_.BeginRestore(LogIndex(29)).get())));
}

// Nobody waits for a megabyte that is not a portion.
TEST_F(SnapshotFilesTest, PortionLargerThanAny_IsDamageAtOnce) {
  const auto restore = other_.BeginRestore(LogIndex(30));
  SnapshotParser parser(restore.get());
  ByteWriter length;
  length.Varint(kMaxPortionBytes + 1);
  EXPECT_TRUE(absl::IsDataLoss(parser.Append(length.str())));
}

TEST_F(SnapshotFilesTest, PortionThatIsCutOffAfterAWholeState_IsDamage) {
  const auto restore = other_.BeginRestore(LogIndex(30));
  SnapshotParser parser(restore.get());
  const auto source = machine_.TakeSnapshot();
  ASSERT_TRUE(WriteSnapshot(source.get(), [&](std::string_view bytes) {
                return parser.Append(bytes);
              }).ok());
  ByteWriter cut;
  cut.Varint(50);
  ASSERT_TRUE(parser.Append(cut.str() + "short").ok());
  EXPECT_TRUE(absl::IsDataLoss(parser.Finish()));
}

TEST_F(SnapshotFilesTest, TransferThatIsGivenUp_LeavesNoFile) {
  files_.Receive({At(20), 0, raft::Payload("a part")});
  EXPECT_EQ(env_.List("/snapshots")->size(), 1u);
  files_.DropReceived();
  EXPECT_TRUE(env_.List("/snapshots")->empty());
  files_.DropReceived();
  ReceiveInParts(50, At(30));
  EXPECT_TRUE(files_.Restore(At(30), other_.BeginRestore(LogIndex(30)).get()).ok());
}

// The log needs the room.
TEST_F(SnapshotFilesTest, Scenario77_PartThatFindsNoRoom_LeavesNoFile) {
  env_.SetCapacity(env_.used_bytes() + 500);
  files_.Receive({At(30), 0, raft::Payload(std::string(100, 'x'))});
  EXPECT_EQ(env_.List("/snapshots")->size(), 1u);
  files_.Receive({At(30), 100, raft::Payload(std::string(1000, 'x'))});
  EXPECT_TRUE(env_.List("/snapshots")->empty());
  files_.Receive({At(30), 1100, raft::Payload("more")});
  const auto restore = other_.BeginRestore(LogIndex(30));
  EXPECT_TRUE(absl::IsResourceExhausted(files_.Restore(At(30), restore.get())));
}

}  // namespace
}  // namespace concordat::group
