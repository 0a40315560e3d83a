// What a node begins with: the snapshot that the log names, and no other.
#include "coordinator/storage/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/storage/raft_records.h"

namespace concordat::storage {
namespace {

using testing::HasSubstr;

constexpr GroupId kOurs{1};

raft::SnapshotMeta MetaAt(uint64_t index, uint64_t term = 3) {
  return {LogIndex(index), Term(term), raft::Configuration({NodeId(1)})};
}

class RecoverGroupTest : public testing::Test {
 protected:
  RecoverGroupTest() {
    Replay(RecordType::kHardState, EncodeHardState(kOurs, {Term(3), NodeId(1)}));
  }
  void Replay(RecordType type, const std::string& payload) {
    store_.Replay(next_, static_cast<uint8_t>(type), payload);
    next_ = next_.Next();
  }
  absl::StatusOr<RecoveredGroup> Recover() {
    return RecoverGroup(&store_, kOurs,
                        [this](GroupId, LogIndex index) -> absl::StatusOr<Snapshot> {
                          asked_.push_back(index);
                          const auto found = files_.find(index);
                          if (found == files_.end())
                            return absl::NotFoundError("no such file");
                          return found->second;
                        });
  }

  RaftStore store_;
  wal::Lsn next_{1};
  std::map<LogIndex, Snapshot> files_;
  std::vector<LogIndex> asked_;
};

TEST_F(RecoverGroupTest, WithoutASnapshot_NoFileIsLookedAt) {
  files_[LogIndex(9)] = {MetaAt(9), "not ours to use"};
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(recovered->raft.hard_state.term, Term(3));
}

// A later file is there when a crash came between the file and the log's record of it.
TEST_F(RecoverGroupTest, TheSnapshotThatTheLogNames_NotTheNewest) {
  Replay(RecordType::kSnapshot, EncodeSnapshot(kOurs, false, MetaAt(5)));
  files_[LogIndex(5)] = {MetaAt(5), "five"};
  files_[LogIndex(9)] = {MetaAt(9), "nine"};
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(recovered->snapshot_state, "five");
  EXPECT_EQ(recovered->raft.snapshot, MetaAt(5));
}

TEST_F(RecoverGroupTest, Scenario78_MissingOrOtherSnapshot_IsReported) {
  Replay(RecordType::kSnapshot, EncodeSnapshot(kOurs, false, MetaAt(5)));
  const absl::Status missing = Recover().status();
  EXPECT_TRUE(absl::IsDataLoss(missing)) << missing;
  EXPECT_THAT(missing.message(), HasSubstr("at entry 5"));
  EXPECT_THAT(missing.message(), HasSubstr("not there"));
  files_[LogIndex(5)] = {MetaAt(5, 2), "of another term"};
  EXPECT_TRUE(absl::IsDataLoss(Recover().status()));
}

}  // namespace
}  // namespace concordat::storage
