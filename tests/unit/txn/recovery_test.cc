// What a new leader does, and what the old one does no more.
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

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest() { old.Lead(1); }
  // Stages at the old leader; log-committed.
  Gtid Staged(CommitMode mode = CommitMode::kDecided) {
    const Gtid g = old.NewGtid();
    old.Commit(g, {A(g), B(g)}, mode, 1000);
    old.CommitLog();
    return g;
  }
  Gtid Committed() {
    const Gtid g = Staged();
    old.Prepared({A(g), B(g)});
    old.CommitLog();
    return g;
  }
  void TakeOver() {
    next.CatchUp();
    next.Lead(2);
  }

  Log log;
  Node old{&log};
  Node next{&log};
};

TEST_F(RecoveryTest, NewLeader_NeitherDrivesNorAnswersBeforeItsOwnEntryIsApplied) {
  const Gtid staged = Staged();
  const Gtid committed = Committed();
  next.CatchUp();
  next.Lead(2, /*ready=*/false);
  const auto commit = next.Commit(staged, {A(staged), B(staged)});
  const auto inquiry = next.Inquire(A(committed));
  const auto gtids = next.Submit(AllocateGtidsRequest{1});
  const auto rollback = next.Rollback(G(1, 1));
  next.Vote(A(staged), Vote::kRefused);
  next.Pass(Duration::Millis(1999));
  for (const auto token : {commit, inquiry, gtids, rollback}) {
    EXPECT_EQ(next.Said(token), "");
  }
  EXPECT_THAT(next.Appended(), IsEmpty());
  EXPECT_EQ(next.Sent(Verb::kPrepare, A(staged)), 0);
  EXPECT_EQ(next.Sent(Verb::kCommit, A(committed)), 0);
  next.Ready();
  EXPECT_EQ(next.Said(inquiry), "BRANCH commit");
  EXPECT_THAT(next.Said(gtids), StartsWith("GTIDS 1.2.1 "));
  EXPECT_EQ(next.Sent(Verb::kPrepare, A(staged)), 1);
  EXPECT_EQ(next.Sent(Verb::kCommit, A(committed)), 1);
}

TEST_F(RecoveryTest, NewLeader_LetsRequestsWaitForABoundedTime) {
  CoreOptions options;
  options.max_not_ready = 2;
  Node small(&log, options);
  small.Lead(2, /*ready=*/false);
  const auto first = small.Outcome(G(1, 1));
  const auto second = small.Outcome(G(1, 1));
  EXPECT_EQ(small.Said(small.Outcome(G(1, 1))), "NOT_READY");
  EXPECT_EQ(small.core().NextTimer(), small.now() + Duration::Seconds(2));
  small.Pass(Duration::Seconds(2));
  EXPECT_EQ(small.Said(first), "NOT_READY");
  EXPECT_EQ(small.Said(second), "NOT_READY");
}

TEST_F(RecoveryTest, NewLeader_IgnoresTheEntryOfAnotherTerm) {
  next.Lead(2, /*ready=*/false);
  next.core().LeaderReady(Term(1), next.now());
  EXPECT_FALSE(next.core().is_ready());
  next.Ready();
  EXPECT_TRUE(next.core().is_ready());
}

TEST_F(RecoveryTest, NewLeader_DrivesStagedToTheEnd) {
  const Gtid g = Staged();
  TakeOver();
  EXPECT_EQ(next.Happened(EventKind::kInherited), 1);
  EXPECT_EQ(next.Sent(Verb::kPrepare, A(g)), 1);
  EXPECT_EQ(next.Sent(Verb::kPrepare, B(g)), 1);
  next.Prepared({A(g), B(g)});
  next.CommitLog();
  EXPECT_EQ(next.table().FindSettled(g)->outcome, Outcome::kCommitted);
  EXPECT_EQ(next.Sent(Verb::kCommit, B(g)), 1);
}

TEST_F(RecoveryTest, NewLeader_TellsDecidedAgain_CommitsAndAborts) {
  const Gtid committed = Committed();
  const Gtid aborted = Staged();
  old.Vote(B(aborted), Vote::kRefused);
  old.CommitLog();
  TakeOver();
  EXPECT_EQ(next.Sent(Verb::kCommit, A(committed)), 1);
  EXPECT_EQ(next.Sent(Verb::kRollback, A(aborted)), 1);
  for (const Gtid& g : {committed, aborted}) {
    next.Ack(A(g));
    next.Ack(B(g));
  }
  next.Pass(Duration::Millis(100));
  EXPECT_THAT(next.Appended(), ElementsAre("ENDED 1.1.1 1.1.2"));
}

TEST_F(RecoveryTest, NewLeader_LeavesEndedAndEnlistedAlone) {
  const Gtid ended = old.NewGtid();
  old.RunToEnd(ended, {A(ended)});
  const Gtid enlisted = old.NewGtid();
  old.Enlist(A(enlisted));
  old.CommitLog();
  TakeOver();
  EXPECT_EQ(next.core().Status().in_progress, 0u);
  EXPECT_THAT(next.Appended(), IsEmpty());
  EXPECT_EQ(next.Sent(Verb::kCommit, A(ended)), 0);
}

TEST_F(RecoveryTest, InheritedDecided_DeadlineIsCountedAfreshAndThenAborts) {
  const Gtid g = Staged(CommitMode::kDecided);
  old.Pass(Duration::Millis(900));
  next.Pass(Duration::Seconds(50));
  TakeOver();
  next.Pass(Duration::Millis(999));
  EXPECT_THAT(next.Appended(), IsEmpty());
  next.Pass(Duration::Millis(1));
  EXPECT_THAT(next.Appended(), ElementsAre(HasSubstr("cause=timed-out")));
  EXPECT_FALSE(next.table().FindSettled(g));
}

TEST_F(RecoveryTest, InheritedParallel_IsNeverAbortedByTimeoutOrClient) {
  const Gtid g = Staged(CommitMode::kParallel);
  TakeOver();
  const auto rollback = next.Rollback(g);
  const auto inquiry = next.Inquire(A(g));
  next.Prepared({A(g)});
  for (int i = 0; i < 720; ++i) next.Pass(Duration::Seconds(5));  // an hour
  EXPECT_EQ(next.Happened(EventKind::kDeciding), 0);
  next.CommitLog();  // a watermark, which does not reach it
  EXPECT_EQ(next.Said(inquiry), "BRANCH wait");
  EXPECT_EQ(next.Said(rollback), "UNDECIDED 1.1.1/bank-b/5f3c.1");
  EXPECT_GT(next.Sent(Verb::kPrepare, B(g)), 600);
  next.Prepared({B(g)});
  next.CommitLog();
  EXPECT_EQ(next.Said(next.Rollback(g)), "COMMITTED");
}

TEST_F(RecoveryTest, InheritedParallel_RefusalStillAborts) {
  const Gtid g = Staged(CommitMode::kParallel);
  TakeOver();
  next.Vote(A(g), Vote::kRefused);
  next.CommitLog();
  EXPECT_THAT(next.Said(next.Outcome(g)), StartsWith("ABORTED refused"));
}

TEST_F(RecoveryTest, OwnParallel_MayTimeOut_AndIsInheritedAfterReelection) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g)}, CommitMode::kParallel, 1000);
  old.CommitLog();
  old.Lose();
  old.Lead(3);
  old.Pass(Duration::Seconds(10));
  EXPECT_THAT(old.Appended(),
              IsEmpty());  // it may have answered in its first incarnation
  EXPECT_EQ(old.Happened(EventKind::kTimeoutSuppressed), 1);
}

// Trial: the leader changed and the reader's participant restarted between decision and
// ENDED; the COMMIT found neither branch nor evidence, and a hazard was put on record.
TEST_F(RecoveryTest, Decided_WhoVotedReadOnlyIsKnownFromTheLog_AndIsNotTold) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g), B(g)});
  old.Vote(A(g), Vote::kReadOnly);
  old.Prepared({B(g)});
  old.CommitLog();
  EXPECT_EQ(old.Sent(Verb::kCommit, A(g)), 0);
  old.Lose();
  Node later{&log};
  Core restored(kGroup, CoreOptions());
  ASSERT_TRUE(
      Restore(&restored, SnapshotOf(&old.core()), old.table().last_applied()).ok());
  EXPECT_THAT(restored.table().FindLive(g)->read_only, ElementsAre(A(g)));
  TakeOver();
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(next.Sent(Verb::kCommit, B(g)), 1);
  next.Ack(B(g));
  next.Pass(Duration::Millis(200));
  next.CommitLog();
  EXPECT_EQ(next.table().StateOf(g), TxnState::kEnded);
}

TEST_F(RecoveryTest, Decided_AllReadOnly_TheNextLeaderEndsIt) {
  const Gtid g = old.NewGtid();
  old.Commit(g, {A(g)});
  old.Vote(A(g), Vote::kReadOnly);
  old.CommitLog();
  old.Lose();
  TakeOver();
  next.Pass(Duration::Millis(200));
  next.CommitLog();
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 0);
  EXPECT_EQ(next.table().StateOf(g), TxnState::kEnded);
}

TEST_F(RecoveryTest, LostLeadership_AnswersEveryWaitingRequest) {
  const Gtid g = Staged();
  const auto commit = old.Commit(g, {A(g)});
  const auto inquiry = old.Inquire(A(g));
  const Gtid h = old.NewGtid();
  const auto enlist = old.Enlist(A(h));
  old.Lose();
  EXPECT_EQ(old.Said(commit), "UNDECIDED 1.1.1/bank-a/5f3c.1 1.1.1/bank-b/5f3c.1");
  // Its record may reach the log under the next leader.
  EXPECT_EQ(old.Said(enlist), "UNDECIDED");
  EXPECT_EQ(old.Said(inquiry), "NOT_LEADER");
  EXPECT_EQ(old.Said(old.Commit(g, {A(g)})), "NOT_LEADER");
  old.Vote(A(g), Vote::kRefused);
  old.Ack(A(g));
  old.Pass(Duration::Seconds(100));
  EXPECT_THAT(old.Appended(), IsEmpty());
  EXPECT_EQ(old.core().NextTimer(), Timestamp::Infinite());
}

TEST_F(RecoveryTest, LostLeadership_WaitingForReadinessIsAnsweredToo) {
  next.Lead(2, /*ready=*/false);
  const auto token = next.Outcome(G(1, 1));
  next.Lose();
  EXPECT_EQ(next.Said(token), "NOT_LEADER");
}

// A proposal that nobody took must not reach the log in a later term.
TEST_F(RecoveryTest, LostLeadership_DropsProposalsThatWereNotTaken) {
  Core core(kGroup, CoreOptions());
  core.BecomeLeader(Term(1), Timestamp());
  core.LeaderReady(Term(1), Timestamp());
  const auto submit = [&core](uint64_t token, Request request) {
    core.Handle(SubmittedRequest{RequestToken(token), std::move(request)}, Timestamp());
  };
  submit(1, AllocateGtidsRequest{2});
  submit(2, CommitRequest{G(1, 1), {A(G(1, 1))}});
  submit(3, OutcomeRequest{G(1, 2)});
  core.LoseLeadership(Timestamp());
  const Output output = core.TakeOutput();
  EXPECT_THAT(output.proposals, IsEmpty());
  EXPECT_THAT(output.reads, IsEmpty());
}

TEST_F(RecoveryTest, Follower_AppliesAndKeepsQuiet) {
  const Gtid g = Committed();
  next.CatchUp();
  next.Pass(Duration::Seconds(100));
  EXPECT_EQ(next.table().StateOf(g), TxnState::kDecided);
  EXPECT_TRUE(next.core().TakeOutput().empty());
  EXPECT_EQ(next.Sent(Verb::kCommit, A(g)), 0);
}

TEST_F(RecoveryTest, Snapshot_StandsInForTheLog) {
  const Gtid g = Staged();
  Log rest;
  rest.committed = log.committed;
  Core core(kGroup, CoreOptions());
  ASSERT_TRUE(Restore(&core, SnapshotOf(&old.core()), old.table().last_applied()).ok());
  EXPECT_EQ(core.table().Hash(), old.table().Hash());
  core.BecomeLeader(Term(2), Timestamp());
  core.LeaderReady(Term(2), Timestamp());
  const Output out = core.TakeOutput();
  ASSERT_EQ(out.messages.size(), 2u);
  EXPECT_EQ(out.messages[0].branch, A(g));
}

TEST_F(RecoveryTest, Snapshot_OfAnotherGroup_IsRefused) {
  Core other(GroupId(2), CoreOptions());
  EXPECT_EQ(Restore(&other, SnapshotOf(&old.core()), old.table().last_applied()).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Restore(&other, {"junk"}, LogIndex(1)).code(),
            absl::StatusCode::kUnimplemented);
}

TEST_F(RecoveryTest, SecondTermIsNotHigher_IsAProgrammersError) {
  EXPECT_DEATH(old.Lead(1), "after 1");
}

}  // namespace
}  // namespace concordat::txn
