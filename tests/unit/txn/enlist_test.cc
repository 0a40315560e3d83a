// Branches that services make known themselves (step 1 of the protocol).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class EnlistTest : public ::testing::Test {
 protected:
  EnlistTest() { node.Lead(1); }
  Log log;
  Node node{&log};
};

TEST_F(EnlistTest, IsAnsweredOnceApplied) {
  const Gtid g = node.NewGtid();
  const auto enlist = node.Enlist(C(g));
  EXPECT_THAT(node.Appended(), ElementsAre("ENLISTED 1.1.1/bank-c/5f3c.1"));
  EXPECT_EQ(node.Said(enlist), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(enlist), "ENLISTED");
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(EnlistTest, RepeatedOne_IsAnsweredWithoutARecord) {
  const Gtid g = node.NewGtid();
  node.Enlist(C(g));
  node.CommitLog();
  EXPECT_EQ(node.Said(node.Enlist(C(g))), "ENLISTED");
  node.Commit(g, {A(g)});
  EXPECT_EQ(node.Said(node.Enlist(C(g))), "ENLISTED");  // in the set, whatever came
  node.Prepared({A(g), C(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(node.Enlist(C(g))), "ENLISTED");
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST_F(EnlistTest, CommitCoversTheUnion) {
  const Gtid g = node.NewGtid();
  node.Enlist(C(g));
  node.CommitLog();
  const auto commit = node.Commit(g, {A(g)});
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 1);
  node.CommitLog();
  node.Prepared({A(g)});
  EXPECT_EQ(node.Said(commit), "");
  node.Prepared({C(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, C(g)), 1);
}

// ENLISTED and STAGED are on their way together: ENLISTED stands first.
TEST_F(EnlistTest, PendingEnlistment_BelongsToTheSet) {
  const Gtid g = node.NewGtid();
  const auto enlist = node.Enlist(C(g));
  const auto commit = node.Commit(g, {A(g)}, CommitMode::kParallel);
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 1);
  node.Prepared({A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(enlist), "ENLISTED");
  EXPECT_EQ(node.Said(commit), "");
  node.Prepared({C(g)});
  EXPECT_EQ(node.Said(commit), "COMMITTED");
}

TEST_F(EnlistTest, AfterTheCommitRequest_IsRefusedAndRolledBackLater) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  const auto early = node.Enlist(B(g));  // STAGED appended
  node.CommitLog();
  const auto late = node.Enlist(C(g));  // STAGED applied
  EXPECT_THAT(node.Said(early), StartsWith("REFUSED too-late"));
  EXPECT_THAT(node.Said(late), StartsWith("REFUSED too-late"));
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 0);
  node.Prepared({A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kCommit, C(g)), 0);
}

// Its ENLISTED stands before the STAGED: "too late" would be wrong.
TEST_F(EnlistTest, RepeatedBehindACommitRequest_IsAnsweredAsTheFirst) {
  const Gtid g = node.NewGtid();
  const auto first = node.Enlist(C(g));
  node.Commit(g, {A(g)});
  const auto repeated = node.Enlist(C(g));
  EXPECT_EQ(node.Said(repeated), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "ENLISTED");
  EXPECT_EQ(node.Said(repeated), "ENLISTED");
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 0);
}

TEST_F(EnlistTest, OvertakenInTheLog_IsRefusedWhenApplied) {
  const Gtid g = node.NewGtid();
  const auto enlist = node.Enlist(C(g));
  log.committed.push_back(EncodeRecord(
      StagedRecord{g, {A(g)}, 1000, CommitMode::kDecided}));  // another leader's
  node.CatchUp();
  node.CommitLog();
  EXPECT_THAT(node.Said(enlist), StartsWith("REFUSED too-late"));
}

TEST_F(EnlistTest, AfterADecision_IsRefused) {
  const Gtid g = node.NewGtid();
  node.Rollback(g);
  const auto pending = node.Enlist(A(g));
  node.CommitLog();
  EXPECT_THAT(node.Said(pending), StartsWith("REFUSED too-late"));
  EXPECT_THAT(node.Said(node.Enlist(B(g))), StartsWith("REFUSED too-late"));
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
}

TEST_F(EnlistTest, Rollback_TellsTheEnlisted) {
  const Gtid g = node.NewGtid();
  node.Enlist(C(g));
  node.CommitLog();
  node.Rollback(g, {A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Sent(Verb::kRollback, C(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  node.Ack(C(g));
  node.Ack(A(g));
  node.Pass(Duration::Millis(100));
  EXPECT_THAT(node.Appended(), ElementsAre("ENDED 1.1.1"));
  node.CommitLog();
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(EnlistTest, UnlistedThatNeverAnswers_IsGivenUpAfterSomeTries) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  node.Enlist(B(g));
  for (int i = 0; i < 100; ++i) node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 8);
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

// What nobody staged is rolled back for whoever names it, as far as there is room.
TEST_F(EnlistTest, UnlistedOfTransactionsThatAreOver_AreBounded) {
  CoreOptions options;
  options.max_in_progress = 2;
  LeadingNode small(options);
  std::vector<Gtid> over;
  for (int i = 0; i < 5; ++i) {
    over.push_back(small.NewGtid());
    small.RunToEnd(over.back(), {A(over.back())});
  }
  for (const Gtid& gtid : over) small.Enlist(B(gtid));
  EXPECT_EQ(small.core().Status().in_progress, 2u);
}

TEST_F(EnlistTest, UnlistedOfOneTransaction_AreBounded) {
  CoreOptions options;
  options.max_branches = 2;
  LeadingNode small(options);
  const Gtid g = small.NewGtid();
  small.Commit(g, {A(g), B(g)});
  for (uint64_t n = 2; n < 20; ++n) small.Commit(g, {MakeBranch(g, "bank-c", n)});
  small.CommitLog();
  small.Vote(A(g), Vote::kRefused);
  small.CommitLog();
  int told = 0;
  for (uint64_t n = 2; n < 20; ++n) {
    told += small.Sent(Verb::kRollback, MakeBranch(g, "bank-c", n)) > 0 ? 1 : 0;
  }
  EXPECT_EQ(told, 2);
}

TEST_F(EnlistTest, TooMany_AreRefused) {
  CoreOptions options;
  options.max_branches = 2;
  LeadingNode small(options);
  const Gtid g = small.NewGtid();
  small.Enlist(A(g));
  small.Enlist(B(g));
  small.CommitLog();
  EXPECT_THAT(small.Said(small.Enlist(C(g))), StartsWith("REFUSED too-many-branches"));
}

// The limit counted applied branches only: a burst put thousands of records into the log.
TEST_F(EnlistTest, Scenario90_BurstOfEnlistments_StopsAtTheLimit) {
  const Gtid g = node.NewGtid();
  const size_t limit = CoreOptions().max_branches;
  std::vector<RequestToken> tokens;
  for (uint64_t number = 1; number <= 5000; ++number) {
    tokens.push_back(node.Enlist(MakeBranch(g, "bank-a", number)));
  }
  EXPECT_EQ(node.Appended().size(), limit);
  for (size_t i = limit; i < tokens.size(); ++i) {
    ASSERT_THAT(node.Said(tokens[i]), StartsWith("REFUSED too-many-branches"));
  }
  node.CommitLog();
  for (size_t i = 0; i < limit; ++i) ASSERT_EQ(node.Said(tokens[i]), "ENLISTED");
  EXPECT_THAT(node.Said(node.Enlist(MakeBranch(g, "bank-b", 1))),
              StartsWith("REFUSED too-many-branches"));
  EXPECT_EQ(node.table().FindLive(g)->branches.size(), limit);
}

TEST_F(EnlistTest, Scenario90_RepeatedWhileItsRecordIsOnItsWay_IsNotAppendedAgain) {
  const Gtid g = node.NewGtid();
  const auto first = node.Enlist(A(g));
  const auto second = node.Enlist(A(g));
  EXPECT_EQ(node.Appended().size(), 1u);
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "ENLISTED");
  EXPECT_EQ(node.Said(second), "ENLISTED");
}

}  // namespace
}  // namespace concordat::txn
