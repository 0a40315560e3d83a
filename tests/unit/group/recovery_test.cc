// A node begins with the snapshot that its log names, and with no other.
#include "coordinator/group/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/group/snapshot_stream.h"
#include "coordinator/storage/raft_records.h"
#include "tests/support/counter_machine.h"

namespace concordat::group {
namespace {

using concordat::testing::CounterMachine;
using concordat::testing::EncodeCommand;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr GroupId kOurs{1};

raft::SnapshotMeta MetaAt(uint64_t index, uint64_t term = 3) {
  return {LogIndex(index), Term(term), raft::Configuration({NodeId(1)})};
}

// A snapshot of counters in which "name" counts 1.
std::string StateNamed(const std::string& name) {
  CounterMachine machine;
  EXPECT_TRUE(
      machine.Apply(LogIndex(1), EncodeCommand({Term(1), 1, name, 1, ""}), Timestamp())
          .ok());
  std::string state;
  const auto source = machine.TakeSnapshot();
  EXPECT_TRUE(WriteSnapshot(source.get(), [&](std::string_view bytes) {
                state.append(bytes);
                return absl::OkStatus();
              }).ok());
  return state;
}

class RecoverGroupTest : public ::testing::Test {
 protected:
  struct Snapshot {
    raft::SnapshotMeta meta;
    std::string state;
  };
  RecoverGroupTest() {
    Replay(storage::RecordType::kHardState,
           storage::EncodeHardState(kOurs, {Term(3), NodeId(1)}));
  }
  void Replay(storage::RecordType type, const std::string& payload) {
    store_.Replay(next_, static_cast<uint8_t>(type), payload);
    next_ = next_.Next();
  }
  absl::StatusOr<raft::RecoveredState> Recover() {
    const auto load =
        [this](
            GroupId, LogIndex index,
            storage::SnapshotStore::TakePart take) -> absl::StatusOr<raft::SnapshotMeta> {
      asked_.push_back(index);
      const auto found = files_.find(index);
      if (found == files_.end()) return absl::NotFoundError("no such file");
      if (absl::Status s = take(found->second.state); !s.ok()) return s;
      return found->second.meta;
    };
    return group::Recover(&store_, kOurs, load, &machine_);
  }

  storage::RaftStore store_;
  wal::Lsn next_{1};
  std::map<LogIndex, Snapshot> files_;
  std::vector<LogIndex> asked_;
  CounterMachine machine_;
};

TEST_F(RecoverGroupTest, WithoutASnapshot_NoFileIsLookedAt) {
  files_[LogIndex(9)] = {MetaAt(9), StateNamed("not ours to use")};
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(recovered->hard_state.term, Term(3));
}

// There is a later file if the node crashed after it was written and before the log had
// a record of it.
TEST_F(RecoverGroupTest, TheSnapshotThatTheLogNames_NotTheNewest) {
  Replay(storage::RecordType::kSnapshot,
         storage::EncodeSnapshot(kOurs, false, MetaAt(5)));
  files_[LogIndex(5)] = {MetaAt(5), StateNamed("five")};
  files_[LogIndex(9)] = {MetaAt(9), StateNamed("nine")};
  const auto recovered = Recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_THAT(machine_.counters(), ElementsAre(Pair("five", 1)));
  EXPECT_EQ(recovered->snapshot, MetaAt(5));
}

TEST_F(RecoverGroupTest, Scenario78_MissingOrOtherSnapshot_IsReported) {
  Replay(storage::RecordType::kSnapshot,
         storage::EncodeSnapshot(kOurs, false, MetaAt(5)));
  const absl::Status missing = Recover().status();
  EXPECT_TRUE(absl::IsDataLoss(missing)) << missing;
  EXPECT_THAT(missing.message(), HasSubstr("at entry 5"));
  EXPECT_THAT(missing.message(), HasSubstr("not there"));
  files_[LogIndex(5)] = {MetaAt(5, 2), StateNamed("of another term")};
  EXPECT_TRUE(absl::IsDataLoss(Recover().status()));
  EXPECT_THAT(machine_.counters(), IsEmpty()) << "nothing of it is used";
}

TEST_F(RecoverGroupTest, Scenario78_SnapshotThatIsCutOff_IsReported) {
  Replay(storage::RecordType::kSnapshot,
         storage::EncodeSnapshot(kOurs, false, MetaAt(5)));
  std::string state = StateNamed("five");
  state.pop_back();
  files_[LogIndex(5)] = {MetaAt(5), state};
  const absl::Status cut = Recover().status();
  EXPECT_TRUE(absl::IsDataLoss(cut)) << cut;
  EXPECT_THAT(machine_.counters(), IsEmpty());
}

}  // namespace
}  // namespace concordat::group
