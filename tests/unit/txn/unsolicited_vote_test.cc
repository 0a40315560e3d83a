// Votes that came to the client with its work, and to the coordinator with its request to
// commit (unsolicited votes; docs/protocol.md): STAGED is the decision then.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class UnsolicitedVoteTest : public ::testing::TestWithParam<CommitMode> {
 protected:
  UnsolicitedVoteTest() { node.Lead(1); }
  // All that are named have voted.
  RequestToken CommitPrepared(Node* at, const Gtid& gtid,
                              std::vector<BranchId> branches) {
    CommitRequest request{gtid, std::move(branches), GetParam(), Duration::Seconds(10)};
    for (uint32_t i = 0; i < request.branches.size(); ++i) request.prepared.push_back(i);
    return at->Submit(std::move(request));
  }
  Log log;
  Node node{&log};
  Node next{&log};
};
INSTANTIATE_TEST_SUITE_P(Modes, UnsolicitedVoteTest,
                         ::testing::Values(CommitMode::kDecided, CommitMode::kParallel),
                         [](const auto& param) {
                           return param.param == CommitMode::kDecided ? "Decided"
                                                                      : "Parallel";
                         });

TEST_P(UnsolicitedVoteTest, OfAllBranches_OneRecordDecidesAndNobodyIsAsked) {
  const Gtid g = node.NewGtid();
  const auto commit = CommitPrepared(&node, g, {B(g), A(g)});
  ASSERT_EQ(node.Appended().size(), 1u);
  EXPECT_THAT(node.Appended()[0], HasSubstr(" all-prepared branches=["));
  // Rule 1: not before it is log-committed.
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  node.CommitLog(1);
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)) + node.Sent(Verb::kPrepare, B(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kCommit, B(g)), 1);
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Ack(A(g));
  node.Ack(B(g));
  node.Pass(Duration::Seconds(1));
  node.CommitLog();
  EXPECT_EQ(node.table().StateOf(g), TxnState::kEnded);
}

TEST_P(UnsolicitedVoteTest, OfSomeBranches_TheOthersAreAsked) {
  const Gtid g = node.NewGtid();
  const auto commit =
      node.Submit(CommitRequest{g, {B(g), A(g)}, GetParam(), Duration::Seconds(10), {0}});
  EXPECT_THAT(node.Appended()[0], Not(HasSubstr("all-prepared")));
  EXPECT_EQ(node.Sent(Verb::kPrepare, B(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), 1);
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "");
  node.Vote(A(g), Vote::kPrepared);
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
}

TEST_P(UnsolicitedVoteTest, OfSomeBranches_ARefusalOfAnotherAbortsThemAll) {
  const Gtid g = node.NewGtid();
  const auto commit =
      node.Submit(CommitRequest{g, {B(g), A(g)}, GetParam(), Duration::Seconds(10), {0}});
  node.CommitLog();
  node.Vote(A(g), Vote::kRefused);
  node.CommitLog();
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED refused"));
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
}

TEST_P(UnsolicitedVoteTest, OfAllThatAreNamed_ABranchEnlistedBeforeIsAskedAllTheSame) {
  const Gtid g = node.NewGtid();
  node.Enlist(C(g));
  node.CommitLog();
  const auto commit = CommitPrepared(&node, g, {A(g), B(g)});
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 1);
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "");
  node.Vote(C(g), Vote::kPrepared);
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
}

// The leader has forgotten the enlistment that is still on its way to the log. It is the
// table that knows the set (rules 1 and 4), so that the record only stages.
TEST_P(UnsolicitedVoteTest, EnlistmentTheLeaderDoesNotRemember_TheRecordOnlyStages) {
  const Gtid g = node.NewGtid();
  const auto enlist = node.Enlist(C(g));
  node.Pass(Duration::Seconds(60));
  EXPECT_THAT(node.Said(enlist), StartsWith("UNDECIDED"));
  const auto commit = CommitPrepared(&node, g, {A(g), B(g)});
  ASSERT_THAT(node.Appended()[1], HasSubstr("all-prepared"));
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(node.Sent(Verb::kPrepare, C(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), 0);
  node.Vote(C(g), Vote::kRefused);
  node.CommitLog();
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED refused"));
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
}

TEST_P(UnsolicitedVoteTest, RollbackAndInquiryBehindIt_HearThatItCommitted) {
  const Gtid g = node.NewGtid();
  const auto commit = CommitPrepared(&node, g, {A(g), B(g)});
  const auto rollback = node.Rollback(g, {A(g), B(g)});
  const auto inquiry = node.Inquire(A(g));
  node.Pass(Duration::Millis(100));
  EXPECT_EQ(node.Said(rollback), "");
  EXPECT_EQ(node.Said(inquiry), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Said(rollback), "COMMITTED");
  EXPECT_THAT(node.Said(inquiry), HasSubstr("commit"));
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 0);
}

TEST_P(UnsolicitedVoteTest, TimeOutBeforeTheRecordIsLogCommitted_DecidesNothing) {
  const Gtid g = node.NewGtid();
  CommitPrepared(&node, g, {A(g), B(g)});
  node.Pass(Duration::Seconds(60));
  EXPECT_EQ(node.Appended().size(), 1u);
  node.CommitLog();
  EXPECT_EQ(node.table().FindSettled(g)->outcome, Outcome::kCommitted);
}

TEST_P(UnsolicitedVoteTest, NewLeader_FindsItDecidedAndTellsTheBranches) {
  const Gtid g = node.NewGtid();
  CommitPrepared(&node, g, {A(g), B(g)});
  node.CommitLog();
  node.Lose();
  next.CatchUp();
  next.Lead(2);
  EXPECT_EQ(next.Sent(Verb::kPrepare, A(g)), 0);
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(next.Said(next.Outcome(g)), "COMMITTED");
  EXPECT_EQ(next.table().Hash(), node.table().Hash());
}

// Rule 5: what a leader has only appended decides nothing.
TEST_P(UnsolicitedVoteTest, LostWithItsLeader_AbortsWhenABranchAsks_AndForARetryToo) {
  const Gtid g = node.NewGtid();
  const auto commit = CommitPrepared(&node, g, {A(g), B(g)});
  node.Lose();
  EXPECT_EQ(node.Said(commit), "UNDECIDED");
  next.Lead(2);
  const auto inquiry = next.Inquire(A(g));
  next.CommitLog();
  EXPECT_THAT(next.Said(inquiry), HasSubstr("rollback"));
  EXPECT_THAT(next.Said(CommitPrepared(&next, g, {A(g), B(g)})), StartsWith("ABORTED"));
}

TEST_P(UnsolicitedVoteTest, LostWithItsLeader_ARetryCommits) {
  const Gtid g = node.NewGtid();
  CommitPrepared(&node, g, {A(g), B(g)});
  node.Lose();
  next.Lead(2);
  const auto retry = CommitPrepared(&next, g, {A(g), B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(retry), "COMMITTED");
}

TEST_P(UnsolicitedVoteTest, OfABranchThatIsNotNamed_IsRefused) {
  const Gtid g = node.NewGtid();
  const auto commit =
      node.Submit(CommitRequest{g, {A(g)}, GetParam(), Duration::Seconds(10), {1}});
  EXPECT_THAT(node.Said(commit), StartsWith("REFUSED bad-request"));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

}  // namespace
}  // namespace concordat::txn
