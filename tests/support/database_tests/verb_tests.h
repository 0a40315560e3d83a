// Tests of the verbs. They are the same for every database that has a two-phase commit
// itself. A database's test includes this file after its support.h, which defines
// DatabaseTest and TestedOptions.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_VERB_TESTS_H_
#define TESTS_SUPPORT_DATABASE_TESTS_VERB_TESTS_H_

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

using wire::Code;

class VerbTest : public DatabaseTest {
 protected:
  VerbTest() { Open(); }
  std::string Balance(int id) {
    return Sql("SELECT balance FROM account WHERE id=" + std::to_string(id));
  }
};

TEST_F(VerbTest, PrepareAndCommit_WorkIsThereAfterCommitAndNotBefore) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=balance-5 WHERE id=1");
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Prepared(), std::vector<std::string>{NameOf(branch)});
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(LookUp(branch), Evidence::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "95");
  EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
}

TEST_F(VerbTest, PrepareAndRollback_NothingIsLeft) {
  const BranchId branch =
      BeginAndPrepare("UPDATE account SET balance=balance-5 WHERE id=1");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  EXPECT_EQ(EvidenceRows(), "0");
}

TEST_F(VerbTest, RollbackOfAnActiveBranch_NothingIsLeftAndTheConnectionIsUsedAgain) {
  for (int i = 0; i < 20; ++i) {
    const BranchId branch =
        BeginAndRun("UPDATE account SET balance=balance-5 WHERE id=1");
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
  EXPECT_EQ(Balance(1), "100");
  EXPECT_LE(manager().Stats().connects, 3u);  // one for each SessionUse
}

TEST_F(VerbTest, CommitOnePhase_IsThereWithEvidenceOfItsOwnKind) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=balance-5 WHERE id=1");
  EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Balance(1), "95");
  EXPECT_EQ(LookUp(branch), Evidence::kCommittedAlone);
}

TEST_F(VerbTest, CommitTwice_DoneTwiceAndAppliedOnce) {
  const BranchId branch =
      BeginAndPrepare("UPDATE account SET balance=balance-5 WHERE id=1");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "95");
}

TEST_F(VerbTest, RollbackOfABranchThatIsNotThere_IsDone) {
  EXPECT_EQ(Rollback(NextBranch()).state, FinishState::kDone);
}

TEST_F(VerbTest, RollbackAfterCommit_IsAHeuristicCommit) {
  const BranchId branch =
      BeginAndPrepare("UPDATE account SET balance=balance-5 WHERE id=1");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Rollback(branch).state, FinishState::kHeuristicCommit);
}

TEST_F(VerbTest, ExecuteInABranchThatIsNotThere_BranchGone) {
  EXPECT_EQ(Execute(NextBranch(), "SELECT 1").result.code, Code::BRANCH_GONE);
}

TEST_F(VerbTest, ABranchWithoutACall_IsReadOnly) {
  EXPECT_EQ(Prepare(Begin()).vote, Vote::kReadOnly);
  EXPECT_EQ(CommitOnePhase(Begin()).outcome, OnePhase::kReadOnly);
}

TEST_F(VerbTest, ReadOnlyInOnePhase_SaysSo) {
  EXPECT_EQ(CommitOnePhase(BeginAndRun("SELECT 1")).outcome, OnePhase::kReadOnly);
  EXPECT_EQ(EvidenceRows(), "0");
}

TEST_F(VerbTest, AWriteAfterReads_IsPrepared) {
  const BranchId branch = BeginAndRun("SELECT 1");
  Query(branch, "SELECT 2");
  Query(branch, "UPDATE account SET balance=7 WHERE id=3");
  Query(branch, "SELECT 3");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(3), "7");
}

// --- costs ---

struct Costs {
  uint64_t round_trips;
  uint64_t statements;
};
inline bool operator==(const Costs& a, const Costs& b) {
  return a.round_trips == b.round_trips && a.statements == b.statements;
}
inline std::ostream& operator<<(std::ostream& out, const Costs& c) {
  return out << c.round_trips << " round trips, " << c.statements << " statements";
}

class CostTest : public VerbTest {
 protected:
  // What `work` costs when the connections have been made before.
  template <class Work>
  Costs CostOf(Work work) {
    work();
    const auto before = manager().Stats();
    work();
    const auto after = manager().Stats();
    EXPECT_EQ(before.connects, after.connects);
    return {after.round_trips - before.round_trips, after.statements - before.statements};
  }
};

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_VERB_TESTS_H_
