#include "coordinator/txn/table.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

const Gtid kG = G(2, 5);

class TableTest : public ::testing::Test {
 protected:
  Effect Apply(Record record) {
    index_ = index_.Next();
    return table_.Apply(index_, record);
  }
  Ignored Stage(const Gtid& g, std::vector<BranchId> branches,
                CommitMode mode = CommitMode::kDecided) {
    return std::get<StagedEffect>(Apply(StagedRecord{g, std::move(branches), 1000, mode}))
        .ignored;
  }
  Ignored CommitIt(const Gtid& g) {
    return std::get<DecidedEffect>(Apply(DecidedRecord{g, Outcome::kCommitted})).ignored;
  }
  Ignored AbortIt(const Gtid& g, AbortCause cause = AbortCause::kRefused) {
    return std::get<DecidedEffect>(
               Apply(DecidedRecord{g, Outcome::kAborted, cause, "why", ""}))
        .ignored;
  }
  Ignored EnlistIt(const BranchId& branch) {
    return std::get<EnlistedEffect>(Apply(EnlistedRecord{branch})).ignored;
  }
  size_t End(std::vector<Gtid> gtids) {
    return std::get<EndedEffect>(Apply(EndedRecord{std::move(gtids)})).gtids.size();
  }
  Gtid Water(const Gtid& g) {
    return std::get<WatermarkEffect>(Apply(WatermarkRecord{g})).watermark;
  }

  TransactionTable table_{kGroup};
  LogIndex index_;
};

TEST_F(TableTest, StatesFollowTheRecords) {
  EXPECT_EQ(table_.StateOf(kG), TxnState::kUnknown);
  EXPECT_EQ(EnlistIt(A(kG)), Ignored::kNo);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kEnlisted);
  EXPECT_EQ(Stage(kG, {B(kG)}), Ignored::kNo);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kStaged);
  EXPECT_FALSE(table_.FindSettled(kG));
  EXPECT_EQ(CommitIt(kG), Ignored::kNo);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kDecided);
  EXPECT_EQ(table_.FindSettled(kG)->outcome, Outcome::kCommitted);
  EXPECT_EQ(End({kG}), 1u);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kEnded);
  EXPECT_EQ(table_.FindSettled(kG)->outcome, Outcome::kCommitted);
  EXPECT_EQ(Water(kG), kG);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kForgotten);
  EXPECT_FALSE(table_.FindSettled(kG));
}

TEST_F(TableTest, FirstStaged_FixesSetModeAndTimeout) {
  Stage(kG, {B(kG), A(kG), B(kG)}, CommitMode::kParallel);
  EXPECT_EQ(Stage(kG, {C(kG)}, CommitMode::kDecided), Ignored::kAlreadyStaged);
  const auto* entry = table_.FindLive(kG);
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->branches, (std::vector<BranchId>{A(kG), B(kG)}));
  EXPECT_EQ(entry->mode, CommitMode::kParallel);
  EXPECT_EQ(entry->timeout_ms, 1000u);
}

TEST_F(TableTest, StagedSet_IsTheUnionOfNamedAndEnlisted) {
  EnlistIt(C(kG));
  EnlistIt(A(kG));
  Stage(kG, {A(kG), B(kG)});
  EXPECT_EQ(table_.FindLive(kG)->branches, (std::vector<BranchId>{A(kG), B(kG), C(kG)}));
}

TEST_F(TableTest, EnlistedAfterStaged_IsIgnored) {
  Stage(kG, {A(kG)});
  EXPECT_EQ(EnlistIt(B(kG)), Ignored::kAlreadyStaged);
  EXPECT_EQ(EnlistIt(A(kG)), Ignored::kAlreadyEnlisted);
  EXPECT_FALSE(table_.FindLive(kG)->Contains(B(kG)));
}

TEST_F(TableTest, FirstDecision_Wins) {
  Stage(kG, {A(kG)});
  EXPECT_EQ(AbortIt(kG), Ignored::kNo);
  EXPECT_EQ(CommitIt(kG), Ignored::kAlreadyDecided);
  EXPECT_EQ(table_.FindSettled(kG)->outcome, Outcome::kAborted);
  const Gtid h = G(2, 6);
  Stage(h, {A(h)});
  EXPECT_EQ(CommitIt(h), Ignored::kNo);
  EXPECT_EQ(AbortIt(h), Ignored::kAlreadyDecided);
  EXPECT_EQ(table_.FindSettled(h)->outcome, Outcome::kCommitted);
}

TEST_F(TableTest, FirstDecision_WinsAlsoOverLaterOnesAfterTheEnd) {
  Stage(kG, {A(kG)});
  CommitIt(kG);
  End({kG});
  EXPECT_EQ(AbortIt(kG), Ignored::kAlreadyDecided);
  EXPECT_EQ(Stage(kG, {B(kG)}), Ignored::kAlreadyDecided);
  EXPECT_EQ(EnlistIt(B(kG)), Ignored::kAlreadyDecided);
  EXPECT_EQ(table_.FindSettled(kG)->outcome, Outcome::kCommitted);
}

TEST_F(TableTest, AbortOfUnknown_IsATombstone) {
  EXPECT_EQ(AbortIt(kG, AbortCause::kPresumed), Ignored::kNo);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kEnded);  // nobody to wait for
  EXPECT_EQ(table_.FindSettled(kG)->cause, AbortCause::kPresumed);
  EXPECT_EQ(Stage(kG, {A(kG)}), Ignored::kAlreadyDecided);
  EXPECT_EQ(table_.FindSettled(kG)->outcome, Outcome::kAborted);
}

TEST_F(TableTest, AbortOfEnlisted_KeepsTheBranchesUntilTheyAcknowledge) {
  EnlistIt(A(kG));
  AbortIt(kG);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kDecided);
  EXPECT_TRUE(table_.FindLive(kG)->Contains(A(kG)));
  End({kG});
  EXPECT_EQ(table_.StateOf(kG), TxnState::kEnded);
}

TEST_F(TableTest, CommitOfWhatWasNeverStaged_IsIgnored) {
  EXPECT_EQ(CommitIt(kG), Ignored::kNotStaged);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kUnknown);
  EnlistIt(A(kG));
  EXPECT_EQ(CommitIt(kG), Ignored::kNotStaged);
}

TEST_F(TableTest, EndOfUndecided_IsIgnored) {
  Stage(kG, {A(kG)});
  EXPECT_EQ(End({kG, G(9, 9)}), 0u);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kStaged);
}

TEST_F(TableTest, OnlyMembersOfACommittedSet_MayBeToldCommit) {
  Stage(kG, {A(kG)});
  EXPECT_FALSE(table_.InCommittedSet(A(kG)));
  CommitIt(kG);
  EXPECT_TRUE(table_.InCommittedSet(A(kG)));
  EXPECT_FALSE(table_.InCommittedSet(B(kG)));
  End({kG});
  EXPECT_TRUE(table_.InCommittedSet(A(kG)));
  EXPECT_FALSE(table_.InCommittedSet(B(kG)));
}

TEST_F(TableTest, OtherGroupsGtids_AreIgnored) {
  Gtid foreign = kG;
  foreign.group = GroupId(9);
  EXPECT_EQ(Stage(foreign, {A(foreign)}), Ignored::kForeignGroup);
  EXPECT_EQ(AbortIt(foreign), Ignored::kForeignGroup);
  EXPECT_EQ(EnlistIt(A(foreign)), Ignored::kForeignGroup);
  EXPECT_EQ(Water(foreign), table_.watermark());
  EXPECT_TRUE(table_.live().empty());
}

// Rule 6, at apply, whatever a leader thought when it proposed.
TEST_F(TableTest, Watermark_NeverPassesAnUndecidedOne) {
  Stage(kG, {A(kG)});
  EXPECT_EQ(Water(G(3, 0)), G(2, 4));
  EXPECT_EQ(table_.StateOf(kG), TxnState::kStaged);
  EXPECT_EQ(AbortIt(kG), Ignored::kNo);
  EXPECT_EQ(Water(G(3, 0)), G(3, 0));  // an aborted one it passes, ended or not
  EXPECT_EQ(table_.StateOf(kG), TxnState::kForgotten);
  EXPECT_TRUE(table_.live().empty());
}

TEST_F(TableTest, Watermark_NeverPassesACommitThatIsNotAcknowledged) {
  Stage(kG, {A(kG)});
  CommitIt(kG);
  EXPECT_EQ(Water(G(3, 0)), G(2, 4));
  EXPECT_TRUE(table_.InCommittedSet(A(kG)));
  End({kG});
  EXPECT_EQ(Water(G(3, 0)), G(3, 0));
}

TEST_F(TableTest, Watermark_NeverGoesBack) {
  Water(G(3, 7));
  EXPECT_EQ(Water(G(2, 9)), G(3, 7));
}

TEST_F(TableTest, BelowTheWatermark_NothingIsEverRecorded) {
  Water(G(2, 9));
  EXPECT_EQ(Stage(kG, {A(kG)}), Ignored::kBelowWatermark);
  EXPECT_EQ(EnlistIt(A(kG)), Ignored::kBelowWatermark);
  EXPECT_EQ(AbortIt(kG), Ignored::kBelowWatermark);
  EXPECT_EQ(table_.StateOf(kG), TxnState::kForgotten);
  EXPECT_EQ(Stage(G(2, 10), {}), Ignored::kNo);
}

TEST_F(TableTest, Watermark_DropsWhatWasOnlyEnlisted) {
  EnlistIt(A(kG));
  EXPECT_EQ(Water(kG), kG);
  EXPECT_EQ(Stage(kG, {}), Ignored::kBelowWatermark);
}

TEST_F(TableTest, Gtids_AreOrderedByTermThenSequence) {
  const Gtid early = G(2, 1'000'000);
  Stage(early, {A(early)});
  EXPECT_EQ(Water(G(3, 1)), G(2, 999'999));
}

TEST_F(TableTest, Heuristics_AreShownUntilForgotten) {
  Apply(HeuristicRecord{A(kG), Heuristic::kRollback, "by hand"});
  EXPECT_EQ(table_.heuristics().at(A(kG)).what, Heuristic::kRollback);
  Water(G(9, 0));
  EXPECT_EQ(table_.heuristics().size(), 1u);
  Apply(HeuristicRecord{A(kG), Heuristic::kForgotten, "by ann"});
  EXPECT_TRUE(table_.heuristics().empty());
}

class TableSnapshotTest : public TableTest {
 protected:
  void Fill() {
    for (uint64_t s = 1; s <= 40; ++s) {
      const Gtid g = G(s % 3 + 1, s);
      if (s % 7 == 0) EnlistIt(C(g));
      if (s % 5 != 0)
        Stage(g, {A(g), B(g)}, s % 2 ? CommitMode::kParallel : CommitMode::kDecided);
      if (s % 4 != 0 && s % 5 != 0) s % 3 ? CommitIt(g) : AbortIt(g);
      if (s % 8 == 1) End({g});
    }
    Water(G(1, 6));
    Apply(HeuristicRecord{A(kG), Heuristic::kHazard, "who knows"});
  }
};

TEST_F(TableSnapshotTest, RestoredTable_HasTheSameBytesHashAndAnswers) {
  Fill();
  const std::string bytes = EncodeSnapshot(&table_);
  auto copy = DecodeSnapshot(bytes);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(EncodeSnapshot(&*copy), bytes);
  EXPECT_EQ(copy->Hash(), table_.Hash());
  EXPECT_EQ(copy->last_applied(), index_);
  EXPECT_EQ(copy->watermark(), table_.watermark());
  EXPECT_EQ(copy->heuristics().at(A(kG)).detail, "who knows");
  for (uint64_t s = 1; s <= 40; ++s) {
    const Gtid g = G(s % 3 + 1, s);
    EXPECT_EQ(copy->StateOf(g), table_.StateOf(g)) << g;
    EXPECT_EQ(copy->InCommittedSet(A(g)), table_.InCommittedSet(A(g))) << g;
  }
}

TEST_F(TableSnapshotTest, RestoredTable_GoesOnLikeTheOriginal) {
  Fill();
  auto copy = DecodeSnapshot(EncodeSnapshot(&table_));
  ASSERT_TRUE(copy.ok());
  const Gtid g = G(9, 1);
  index_ = index_.Next();
  for (TransactionTable* table : {&table_, &*copy}) {
    table->Apply(index_, StagedRecord{g, {A(g)}, 5, CommitMode::kDecided});
  }
  EXPECT_EQ(copy->Hash(), table_.Hash());
  EXPECT_EQ(EncodeSnapshot(&*copy), EncodeSnapshot(&table_));
}

TEST_F(TableSnapshotTest, EveryTruncation_IsAnError) {
  Fill();
  const std::string bytes = EncodeSnapshot(&table_);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(DecodeSnapshot(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(DecodeSnapshot(bytes + "x").ok());
}

TEST_F(TableSnapshotTest, OtherVersion_IsRefused) {
  std::string bytes = EncodeSnapshot(&table_);
  ++bytes[1];  // behind the first portion's length
  EXPECT_EQ(DecodeSnapshot(bytes).status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(TableSnapshotTest, AnyByteChanged_NeverCrashes) {
  Fill();
  const std::string bytes = EncodeSnapshot(&table_);
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    auto table = DecodeSnapshot(changed);
    if (table.ok()) {
      (void)EncodeSnapshot(&*table);
      (void)table->InCommittedSet(A(kG));
    }
  }
}

TEST_F(TableSnapshotTest, Scenario51_SameRecordsSameHash_AnyDifferenceAnother) {
  Fill();
  TransactionTable other(kGroup);
  EXPECT_NE(other.Hash(), table_.Hash());
  const uint64_t before = table_.Hash();
  AbortIt(G(50, 1));
  EXPECT_NE(table_.Hash(), before);
  TransactionTable one(kGroup), two(kGroup);
  one.Apply(LogIndex(1), StagedRecord{kG, {A(kG)}, 5, CommitMode::kDecided});
  two.Apply(LogIndex(1), StagedRecord{kG, {B(kG)}, 5, CommitMode::kDecided});
  EXPECT_NE(one.Hash(), two.Hash());
}

TEST_F(TableTest, IndexThatGoesBack_IsAProgrammersError) {
  table_.Apply(LogIndex(4), WatermarkRecord{G(1, 0)});
  EXPECT_DEATH(table_.Apply(LogIndex(4), WatermarkRecord{G(1, 0)}), "after 4");
}

}  // namespace
}  // namespace concordat::txn
