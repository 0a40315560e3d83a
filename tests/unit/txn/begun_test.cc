// What was begun and what was not, as the core tells it (scenarios 76 and 77).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::IsEmpty;
using ::testing::StartsWith;

// Two nodes on one log. `old` leads term 1, `next` may take over in term 2.
class BegunTest : public ::testing::Test {
 protected:
  BegunTest() { old.Lead(1); }
  Gtid Staged() {
    const Gtid g = old.NewGtid();
    old.Commit(g, {A(g), B(g)});
    old.CommitLog();
    return g;
  }

  Log log;
  Node old{&log};
  Node next{&log};
};

// "Not begun" and "begun, unknown" are two answers: a client may take the first of them
// and a refusal elsewhere for the end, but not the second.
TEST_F(BegunTest, Scenario76_LeaderThatHadBegunStepsDown_SaysUndecided_TheNextCommits) {
  const Gtid g = Staged();
  const auto client = old.Commit(g, {A(g), B(g)});
  old.Lose();
  EXPECT_THAT(old.Said(client), StartsWith("UNDECIDED"));
  EXPECT_EQ(old.Said(old.Commit(g, {A(g), B(g)})), "NOT_LEADER");  // begun by nobody
  next.CatchUp();
  next.Lead(2);
  next.Prepared({A(g), B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
}

TEST_F(BegunTest, Scenario76_WaitingForReadiness_HasBegunNothing) {
  const Gtid g = old.NewGtid();
  next.Lead(2, /*ready=*/false);
  const auto client = next.Commit(g, {A(g)});
  next.Lose();
  EXPECT_EQ(next.Said(client), "NOT_LEADER");
}

TEST_F(BegunTest, Scenario76_RollbackAndEnlistmentOnTheirWay_AreUndecidedToo) {
  const Gtid g = old.NewGtid(), h = old.NewGtid();
  const auto rollback = old.Rollback(g);
  const auto enlist = old.Enlist(A(h));
  old.Lose();
  EXPECT_EQ(old.Said(rollback), "UNDECIDED");
  EXPECT_EQ(old.Said(enlist), "UNDECIDED");
}

TEST_F(BegunTest, Scenario77_NoRoom_OnlyAReadyLeaderRefuses_AndOnlyWhatIsNew) {
  const Gtid known = Staged();
  const Gtid fresh = old.NewGtid();
  for (Node* node : {&old, &next}) node->core().AdmitNewWork(false);
  EXPECT_EQ(next.Said(next.Commit(fresh, {A(fresh)})), "NOT_LEADER");
  EXPECT_EQ(next.Said(next.Submit(AllocateGtidsRequest{1})), "NOT_LEADER");

  EXPECT_THAT(old.Said(old.Commit(fresh, {A(fresh)})), StartsWith("REFUSED overloaded"));
  EXPECT_THAT(old.Said(old.Enlist(A(fresh))), StartsWith("REFUSED overloaded"));
  EXPECT_THAT(old.Said(old.Submit(AllocateGtidsRequest{1})),
              StartsWith("REFUSED overloaded"));
  EXPECT_THAT(old.Appended(), IsEmpty());
  const auto repeated = old.Commit(known, {A(known), B(known)});
  old.Prepared({A(known), B(known)});
  old.CommitLog();
  EXPECT_EQ(old.Said(repeated), "COMMITTED");

  // The new leader judges when it knows what has begun.
  next.CatchUp();
  next.Lead(2, /*ready=*/false);
  const auto begun = next.Commit(known, {A(known), B(known)});
  const auto refused = next.Commit(fresh, {A(fresh)});
  EXPECT_EQ(next.Said(begun) + next.Said(refused), "");
  next.Ready();
  EXPECT_EQ(next.Said(begun), "COMMITTED");
  EXPECT_THAT(next.Said(refused), StartsWith("REFUSED overloaded"));
}

// Scenario 10: that nothing is known of it, only a leader says that is confirmed to have
// led after it was asked.
TEST_F(BegunTest, Scenario10_NothingIsKnown_WaitsUntilTheLeaderIsConfirmed) {
  old.hold_reads = true;
  const Gtid g = old.NewGtid(), h = old.NewGtid();
  const auto unknown = old.Outcome(g), staged_meanwhile = old.Outcome(h);
  EXPECT_EQ(old.Said(unknown), "");
  old.Commit(h, {A(h)});
  old.CommitLog();
  old.ConfirmReads();
  EXPECT_EQ(old.Said(unknown), "NOT_FOUND");
  EXPECT_THAT(old.Said(staged_meanwhile), StartsWith("UNDECIDED"));
}

TEST_F(BegunTest, Scenario10_DeposedLeaderKnowsNothing_SendsTheCallerOn) {
  old.hold_reads = true;
  const Gtid g = old.NewGtid();
  next.CatchUp();
  next.Lead(2);
  next.Commit(g, {A(g)});
  next.CommitLog();
  next.Prepared({A(g)});
  next.CommitLog();
  const auto asked = old.Outcome(g);  // it has not heard of the other leader
  EXPECT_EQ(old.Said(asked), "");
  old.Lose();
  EXPECT_EQ(old.Said(asked), "NOT_LEADER");
  old.ConfirmReads();  // too late, and for nobody
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
}

}  // namespace
}  // namespace concordat::txn
