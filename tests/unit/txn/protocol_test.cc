// The numbered steps of the commit protocol (docs/protocol.md), one by one.
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

class ProtocolTest : public ::testing::Test {
 protected:
  ProtocolTest() { node.Lead(1); }
  Log log;
  Node node{&log};
};

TEST_F(ProtocolTest, Step1_Begin_GtidsComeInBlocksAndNothingIsLogged) {
  const auto first = node.Submit(AllocateGtidsRequest{100});
  const auto second = node.Submit(AllocateGtidsRequest{1});
  EXPECT_EQ(node.Said(first), "GTIDS 1.1.1 count=100 use_within_ms=120000");
  EXPECT_THAT(node.Said(second), StartsWith("GTIDS 1.1.65 count=1 "));
  EXPECT_THAT(node.Appended(), IsEmpty());
  EXPECT_THAT(node.Said(node.Submit(AllocateGtidsRequest{0})), StartsWith("REFUSED"));
  const auto greedy = node.Submit(AllocateGtidsRequest{UINT32_MAX});
  EXPECT_THAT(node.Said(greedy), HasSubstr("count=10000 "));
}

TEST_F(ProtocolTest, Step1_Begin_ANewTermCountsAnew) {
  EXPECT_EQ(node.NewGtid(), G(1, 1));
  node.Lose();
  node.Lead(5);
  EXPECT_EQ(node.NewGtid(), G(5, 1));
}

TEST_F(ProtocolTest, Step2_CommitRequest_StagesAndAsksInParallel) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {B(g), A(g)}, CommitMode::kParallel, 2500);
  EXPECT_THAT(node.Appended(),
              ElementsAre("STAGED 1.1.1 mode=parallel timeout_ms=2500 "
                          "branches=[1.1.1/bank-a/5f3c.1 1.1.1/bank-b/5f3c.1]"));
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kPrepare, B(g)), 1);
}

TEST_F(ProtocolTest, Step2_CommitRequest_OfAKnownGtidIsAnswered) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Vote(A(g), Vote::kRefused);
  node.CommitLog();
  EXPECT_THAT(node.Said(node.Commit(g, {A(g)})), StartsWith("ABORTED refused"));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST_F(ProtocolTest, Step2_CommitRequest_WithoutBranchesCommitsNothingAndSaysSo) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {});
  EXPECT_EQ(node.Said(commit), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.table().StateOf(g), TxnState::kEnded);
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(ProtocolTest, Step2_CommitRequest_ABranchOfAnotherGtidIsRefused) {
  const Gtid g = node.NewGtid();
  const Gtid h = node.NewGtid();
  EXPECT_THAT(node.Said(node.Commit(g, {A(h)})), StartsWith("REFUSED bad-request"));
  EXPECT_THAT(node.Said(node.Commit(g, {MakeBranch(g, "No Such Name")})),
              StartsWith("REFUSED bad-request"));
  std::vector<BranchId> many;
  for (uint64_t i = 0; i < 129; ++i) many.push_back(MakeBranch(g, "bank-a", i));
  EXPECT_THAT(node.Said(node.Commit(g, many)), StartsWith("REFUSED too-many-branches"));
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST_F(ProtocolTest, Step3_Unavailable_IsNoVoteAndIsAskedAgainSoon) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g)});
  node.CommitLog();
  node.Vote(A(g), Vote::kUnavailable, "recovering");
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Millis(50));
  EXPECT_EQ(node.Sent(Verb::kPrepare, A(g)), 2);
  node.Prepared({A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
}

TEST_F(ProtocolTest, Step3_LostPrepare_IsSentAgainEverLessOften) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)}, CommitMode::kDecided, 600'000);
  node.CommitLog();
  node.Prepared({B(g)});
  std::vector<int> sent;
  for (int second = 0; second < 60; ++second) {
    node.Pass(Duration::Seconds(1));
    sent.push_back(node.Sent(Verb::kPrepare, A(g)));
  }
  EXPECT_EQ(node.Sent(Verb::kPrepare, B(g)), 1);
  EXPECT_GE(sent[9], 4);        // 0.5, 1.5, 3.5, 7.5 s
  EXPECT_LE(sent[59], 6 + 11);  // then every 5 s
  EXPECT_GE(sent[59], 12);
}

TEST_F(ProtocolTest, Step4_Decided_AnsweredAndToldOnceLogCommitted) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  node.Prepared({A(g)});
  EXPECT_THAT(node.Appended(), IsEmpty());  // one vote is missing
  node.Vote(B(g), Vote::kReadOnly);
  EXPECT_THAT(node.Appended(),
              ElementsAre("DECIDED 1.1.1 committed read-only=[1.1.1/bank-b/5f3c.1]"));
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kCommit, B(g)), 0);
}

TEST_F(ProtocolTest, Step4_AllReadOnly_CommitsAndEndsWithoutATell) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.Vote(A(g), Vote::kReadOnly);
  node.Vote(B(g), Vote::kReadOnly);
  node.CommitLog();
  EXPECT_EQ(node.Said(commit), "COMMITTED");
  node.Pass(Duration::Millis(100));
  EXPECT_THAT(node.Appended(), ElementsAre("ENDED 1.1.1"));
  node.CommitLog();
  EXPECT_EQ(node.core().Status().in_progress, 0u);
}

TEST_F(ProtocolTest, Step5_Timeout_NamesWhoHadNotVoted) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)}, CommitMode::kDecided, 1000);
  node.CommitLog();
  node.Prepared({A(g)});
  node.Vote(B(g), Vote::kUnavailable, "recovering");
  node.Pass(Duration::Millis(999));
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Millis(1));
  EXPECT_EQ(node.Said(commit), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(commit),
            "ABORTED timed-out: no vote from 1.1.1/bank-b/5f3c.1 (recovering)");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 1);
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
}

TEST_F(ProtocolTest, Step5_ClientRollback_OfAStagedOne) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g)});
  const auto rollback = node.Rollback(g, {}, AbortCause::kRolledBack);
  EXPECT_EQ(node.Said(rollback), "");
  node.CommitLog();
  EXPECT_EQ(node.Said(rollback), "ABORTED rolled-back: changed its mind");
  EXPECT_EQ(node.Said(commit), node.Said(rollback));
}

TEST_F(ProtocolTest, Step5_Rollback_OfACommittedOneTellsTheTruth) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  node.CommitLog(1);
  const auto rollback = node.Rollback(g);  // DECIDED(commit) is on its way
  EXPECT_EQ(node.Appended().size(), 1u);
  node.CommitLog();
  EXPECT_EQ(node.Said(rollback), "COMMITTED");
  EXPECT_EQ(node.Said(node.Rollback(g)), "COMMITTED");
}

TEST_F(ProtocolTest, Step6_Acknowledged_EndedIsWrittenLazilyForMany) {
  std::vector<Gtid> gtids;
  for (int i = 0; i < 3; ++i) {
    const Gtid g = gtids.emplace_back(node.NewGtid());
    node.Commit(g, {A(g), B(g)});
    node.Prepared({A(g), B(g)});
  }
  node.CommitLog();
  for (const Gtid& g : gtids) node.Ack(A(g));
  node.Pass(Duration::Millis(200));
  EXPECT_THAT(node.Appended(), IsEmpty());
  for (const Gtid& g : gtids) node.Ack(B(g));
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Millis(100));
  EXPECT_THAT(node.Appended(), ElementsAre("ENDED 1.1.1 1.1.2 1.1.3"));
  node.CommitLog();
  EXPECT_EQ(node.table().StateOf(gtids[1]), TxnState::kEnded);
  EXPECT_EQ(node.core().Status().in_progress, 0u);
  EXPECT_EQ(node.core().NextTimer(), node.now() + Duration::Micros(4'700'000));
}

TEST_F(ProtocolTest, Step6_Ended_IsWrittenAtOnceWhenABatchIsFull) {
  CoreOptions options;
  options.ended_batch = 2;
  LeadingNode small(options);
  for (int i = 0; i < 2; ++i) {
    const Gtid g = small.NewGtid();
    small.Commit(g, {A(g)});
    small.Prepared({A(g)});
    small.CommitLog();
    small.Ack(A(g));
  }
  EXPECT_THAT(small.Appended(), ElementsAre("ENDED 1.1.1 1.1.2"));
}

TEST_F(ProtocolTest, Step6_LostCommit_IsSentAgainUntilAcknowledged) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  node.Ack(B(g));
  node.Ack(A(g), FinishState::kRetry);
  node.Pass(Duration::Millis(50));
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 2);
  node.Pass(Duration::Seconds(2));
  EXPECT_EQ(node.Sent(Verb::kCommit, A(g)), 3);
  EXPECT_EQ(node.Sent(Verb::kCommit, B(g)), 1);
}

TEST_F(ProtocolTest, Step6_Heuristic_IsRecordedAndShownUntilForgotten) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Prepared({A(g)});
  node.CommitLog();
  node.Ack(A(g), FinishState::kHeuristicRollback);
  node.CommitLog();
  ASSERT_EQ(node.core().Heuristics().size(), 1u);
  EXPECT_EQ(node.core().Heuristics()[0].what, Heuristic::kRollback);
  EXPECT_EQ(node.core().Show(g, node.now()).branches[0].heuristic, Heuristic::kRollback);
  node.Pass(Duration::Millis(200));
  node.CommitLog();
  EXPECT_EQ(node.table().StateOf(g), TxnState::kEnded);
  EXPECT_EQ(node.core().Heuristics().size(), 1u);
  // The transaction is over and its branches are not kept: it is shown all the same.
  const TransactionView over = node.core().Show(g, node.now());
  EXPECT_THAT(over.branches, IsEmpty());
  ASSERT_EQ(over.heuristics.size(), 1u);
  EXPECT_EQ(over.heuristics[0].branch, A(g));
  EXPECT_THAT(node.core().Show(node.NewGtid(), node.now()).heuristics, IsEmpty());
}

TEST_F(ProtocolTest, Step6_WhyABranchWasNotReached_IsNotShownOnceItIs) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g), B(g)});
  node.CommitLog();
  node.Ack(A(g), FinishState::kRetry, "cannot connect");
  EXPECT_EQ(node.core().Show(g, node.now()).branches[0].detail, "cannot connect");
  node.Ack(A(g));
  EXPECT_EQ(node.core().Show(g, node.now()).branches[0].detail, "");
}

TEST_F(ProtocolTest, Step7_CommittedAlone_AbortsTheRestAndIsRecorded) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  node.Prepared({B(g)});
  node.Vote(A(g), Vote::kCommittedAlone);
  node.CommitLog();
  EXPECT_THAT(node.Said(commit), StartsWith("ABORTED committed-alone: 1.1.1/bank-a"));
  EXPECT_EQ(node.Sent(Verb::kRollback, B(g)), 1);
  ASSERT_EQ(node.core().Heuristics().size(), 1u);
  EXPECT_EQ(node.core().Heuristics()[0].what, Heuristic::kCommittedAlone);
  node.Vote(A(g), Vote::kCommittedAlone);
  node.Ack(A(g), FinishState::kHeuristicCommit);
  node.CommitLog();
  EXPECT_EQ(node.core().Heuristics()[0].what, Heuristic::kCommittedAlone);
}

TEST_F(ProtocolTest, InDoubt_DecidedIsAnswered_StagedWaits_UnknownIsAborted) {
  const Gtid decided = node.NewGtid();
  node.Commit(decided, {A(decided)});
  node.Prepared({A(decided)});
  node.CommitLog();
  EXPECT_EQ(node.Said(node.Inquire(A(decided))), "BRANCH commit");

  const Gtid staged = node.NewGtid();
  node.Commit(staged, {A(staged)});
  const auto before = node.Inquire(A(staged));  // STAGED not even applied
  node.CommitLog();
  const auto waits = node.Inquire(A(staged));
  EXPECT_EQ(node.Said(before) + node.Said(waits), "");
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Pass(Duration::Millis(500));
  EXPECT_EQ(node.Said(before), "BRANCH wait");
  EXPECT_EQ(node.Said(waits), "BRANCH wait");

  const Gtid unknown = node.NewGtid();
  const auto asks = node.Inquire(A(unknown));
  EXPECT_EQ(node.Said(asks), "");
  EXPECT_THAT(node.Appended(), ElementsAre(HasSubstr("cause=presumed")));
  node.CommitLog();
  EXPECT_EQ(node.Said(asks), "BRANCH rollback");
  EXPECT_EQ(node.table().StateOf(unknown), TxnState::kEnded);
}

TEST_F(ProtocolTest, Outcome_DecidesNothing) {
  const Gtid g = node.NewGtid();
  EXPECT_EQ(node.Said(node.Outcome(g, true)), "NOT_FOUND");
  node.Commit(g, {A(g), B(g)});
  node.Prepared({A(g)});
  EXPECT_EQ(node.Said(node.Outcome(g)), "UNDECIDED 1.1.1/bank-b/5f3c.1");
  node.CommitLog();
  const auto waits = node.Outcome(g, true);
  EXPECT_EQ(node.Said(waits), "");
  node.Prepared({B(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(waits), "COMMITTED");
}

TEST_F(ProtocolTest, WaitingClient_IsToldUndecidedAfterAWhile_NeverAborted) {
  const Gtid g = node.NewGtid();
  const auto commit = node.Commit(g, {A(g)}, CommitMode::kDecided, 600'000);
  node.CommitLog();
  node.Pass(Duration::Seconds(30));
  EXPECT_EQ(node.Said(commit), "UNDECIDED 1.1.1/bank-a/5f3c.1");
  node.Prepared({A(g)});
  node.CommitLog();
  EXPECT_EQ(node.Said(node.Commit(g, {A(g)})), "COMMITTED");
}

// Also of one that stands in the log already, and of one that decides with its STAGED.
TEST_F(ProtocolTest, Answer_ComesWithinTheTimeThatTheCallerHas) {
  const Gtid g = node.NewGtid(), h = node.NewGtid();
  CommitRequest hurried{g, {A(g)}, CommitMode::kDecided, Duration::Seconds(600)};
  hurried.answer_within = Duration::Millis(200);
  const auto commit = node.Submit(hurried);
  CommitRequest voted{h, {A(h)}, CommitMode::kDecided, Duration::Seconds(600), {0}};
  voted.answer_within = Duration::Millis(200);
  const auto decides = node.Submit(voted);
  RollbackRequest rollback{g, {}};
  rollback.answer_within = Duration::Millis(250);
  const auto too_late = node.Submit(rollback);
  const Gtid i = node.NewGtid();
  EnlistRequest enlist{A(i), Duration::Millis(300)};
  const auto enlisted = node.Submit(enlist);
  node.Pass(Duration::Millis(199));
  EXPECT_EQ(node.Said(commit) + node.Said(decides), "");
  node.Pass(Duration::Millis(1));
  EXPECT_EQ(node.Said(commit), "UNDECIDED");  // the rollback's abort is on its way
  EXPECT_EQ(node.Said(decides), "UNDECIDED");
  EXPECT_EQ(node.Said(too_late), "");
  node.Pass(Duration::Millis(50));
  EXPECT_EQ(node.Said(too_late), "UNDECIDED");
  node.Pass(Duration::Millis(50));
  EXPECT_EQ(node.Said(enlisted), "UNDECIDED");
  EXPECT_EQ(node.Said(node.Outcome(h)), "UNDECIDED");  // begun: not "nobody has asked"
}

TEST_F(ProtocolTest, Answer_OfALeaderThatIsNotReady_ComesWithinTheCallersTimeToo) {
  Node next{&log};
  next.Lead(2, /*ready=*/false);
  const Gtid g = node.NewGtid();
  const auto patient = next.Commit(g, {A(g)});
  CommitRequest hurried{g, {A(g)}};
  hurried.answer_within = Duration::Millis(200);
  const auto commit = next.Submit(hurried);
  OutcomeRequest asks{g};
  asks.answer_within = Duration::Millis(300);
  const auto outcome = next.Submit(asks);
  next.Pass(Duration::Millis(200));
  EXPECT_EQ(next.Said(commit), "NOT_READY");
  EXPECT_EQ(next.Said(outcome), "");
  next.Ready();
  EXPECT_EQ(next.Said(outcome), "");  // the commit came first, so it waits for that
  EXPECT_EQ(next.Said(patient), "");
  EXPECT_THAT(next.Appended(), ElementsAre(StartsWith("STAGED 1.1.1")));
}

TEST_F(ProtocolTest, WrongCommitRequest_IsRefusedWithTheReason) {
  const Gtid g = node.NewGtid();
  EXPECT_THAT(node.Said(node.Commit(g, {A(g), B(g), A(g)})),
              AllOf(StartsWith("REFUSED bad-request"), HasSubstr("bank-a"),
                    HasSubstr("named twice")));
  std::vector<BranchId> many;
  for (uint64_t i = 1; i <= 129; ++i) many.push_back(MakeBranch(g, "bank-a", i));
  EXPECT_EQ(node.Said(node.Commit(g, many)),
            "REFUSED too-many-branches: 129 branches, at most 128 are allowed in one "
            "transaction");
  EXPECT_THAT(node.Appended(), IsEmpty());
  // Nothing was begun: it may be rolled back with all of them, and they are told.
  const auto rollback = node.Rollback(g, many);
  node.CommitLog();
  EXPECT_THAT(node.Said(rollback), StartsWith("ABORTED"));
  for (const BranchId& branch : many) EXPECT_EQ(node.Sent(Verb::kRollback, branch), 1);
}

// Of a repeated request the branches count for nothing, right or wrong.
TEST_F(ProtocolTest, WrongCommitRequest_OfAKnownOutcome_IsAnswered) {
  const Gtid g = node.NewGtid();
  node.RunToEnd(g, {A(g)});
  EXPECT_EQ(node.Said(node.Commit(g, {A(g), A(g)})), "COMMITTED");
  EXPECT_EQ(node.Sent(Verb::kRollback, A(g)), 0);
}

TEST_F(ProtocolTest, Overload_IsRefusedBeforePrepareAndNeverAfter) {
  CoreOptions options;
  options.max_in_progress = 2;
  LeadingNode small(options);
  const Gtid a = small.NewGtid(), b = small.NewGtid(), c = small.NewGtid();
  small.Commit(a, {A(a)});
  small.Commit(b, {A(b)});
  EXPECT_THAT(small.Said(small.Commit(c, {A(c)})), StartsWith("REFUSED overloaded"));
  EXPECT_THAT(small.Said(small.Enlist(A(c))), StartsWith("REFUSED overloaded"));
  EXPECT_EQ(small.Sent(Verb::kPrepare, A(c)), 0);
  EXPECT_EQ(small.Said(small.Commit(a, {A(a)})), "");  // attached
}

TEST_F(ProtocolTest, Operator_MayAbortWhatNobodyElseMay_OnRecord) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)}, CommitMode::kParallel);
  node.CommitLog();
  Node next(&log);
  next.CatchUp();
  next.Lead(2);
  const auto client = next.Rollback(g);
  EXPECT_THAT(next.Appended(), IsEmpty());
  const auto person = next.Rollback(g, {}, AbortCause::kOperator);
  EXPECT_THAT(next.Appended(), ElementsAre(HasSubstr("cause=operator by='the test'")));
  next.CommitLog();
  EXPECT_THAT(next.Said(person), StartsWith("ABORTED operator"));
  EXPECT_EQ(next.Said(client), next.Said(person));
  EXPECT_EQ(next.core().Show(g, next.now()).by, "the test");
}

// A refusal that lasts is told apart from one that may not come again, in the log and to
// whoever asks later.
TEST_F(ProtocolTest, Scenario101_CauseOfTheAbort_SaysWhetherItLasts) {
  const std::pair<Vote, const char*> cases[] = {{Vote::kRefused, "ABORTED refused"},
                                                {Vote::kConflict, "ABORTED conflict"},
                                                {Vote::kLost, "ABORTED lost"}};
  for (const auto& [vote, said] : cases) {
    const Gtid g = node.NewGtid();
    const auto asked = node.Commit(g, {A(g), B(g)});
    node.Vote(A(g), vote, "why");
    node.CommitLog();
    EXPECT_THAT(node.Said(asked), StartsWith(said));
    EXPECT_THAT(node.Said(node.Outcome(g)), StartsWith(said));
  }
}

TEST_F(ProtocolTest, Events_TellTheWholeStory) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g)});
  node.Vote(A(g), Vote::kRefused, "overdrawn");
  node.CommitLog();
  node.Ack(A(g));
  EXPECT_EQ(node.LastEvent(EventKind::kCommitAsked),
            "commit-asked 1.1.1 branches=1 mode=decided timeout_ms=10000");
  EXPECT_EQ(node.LastEvent(EventKind::kPrepareSent),
            "prepare-sent 1.1.1/bank-a/5f3c.1 attempt=1");
  EXPECT_EQ(node.LastEvent(EventKind::kVoted),
            "voted 1.1.1/bank-a/5f3c.1 refused overdrawn");
  EXPECT_THAT(node.LastEvent(EventKind::kDecided),
              StartsWith("decided 1.1.1 aborted cause=refused"));
  EXPECT_EQ(node.LastEvent(EventKind::kDecisionSent),
            "decision-sent 1.1.1/bank-a/5f3c.1 aborted attempt=1");
  EXPECT_EQ(node.LastEvent(EventKind::kAcknowledged), "acknowledged 1.1.1/bank-a/5f3c.1");
}

TEST_F(ProtocolTest, Views_ShowWhoIsWaitedFor) {
  const Gtid g = node.NewGtid();
  node.Commit(g, {A(g), B(g)});
  node.CommitLog();
  node.Prepared({A(g)});
  node.Pass(Duration::Millis(300));
  auto views = node.core().List(Gtid{}, 10, node.now());
  ASSERT_EQ(views.size(), 1u);
  EXPECT_EQ(views[0].gtid, g);
  EXPECT_EQ(views[0].state, TxnState::kStaged);
  EXPECT_TRUE(views[0].in_flight_here);
  EXPECT_EQ(views[0].age, Duration::Millis(300));
  EXPECT_EQ(views[0].until_deadline, Duration::Millis(9700));
  EXPECT_THAT(views[0].waiting_for, ElementsAre(B(g)));
  ASSERT_EQ(views[0].branches.size(), 2u);
  EXPECT_EQ(views[0].branches[0].vote, Vote::kPrepared);
  EXPECT_FALSE(views[0].branches[1].vote);

  node.Prepared({B(g)});
  node.CommitLog();
  node.Ack(B(g));
  const auto view = node.core().Show(g, node.now());
  EXPECT_EQ(view.outcome, Outcome::kCommitted);
  EXPECT_THAT(view.waiting_for, ElementsAre(A(g)));
  EXPECT_TRUE(view.branches[1].acknowledged);

  Node follower(&log);
  follower.CatchUp();
  const auto remote = follower.core().Show(g, follower.now());
  EXPECT_EQ(remote.state, TxnState::kDecided);
  EXPECT_FALSE(remote.in_flight_here);
  EXPECT_EQ(remote.branches.size(), 2u);
}

}  // namespace
}  // namespace concordat::txn
