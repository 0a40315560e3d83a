// Schedules that the model of the protocol has found. The numbers are those of
// docs/testing.md.
#include <gtest/gtest.h>

#include "tests/simulation/scenario.h"

namespace concordat::simulation {
namespace {

using txn::DecidedRecord;
using txn::Verb;

void AwaitPrepared(Scenario* s, const std::vector<BranchId>& branches) {
  ASSERT_TRUE(s->RunUntil([&] {
    for (const BranchId& branch : branches) {
      if (s->FactOf(branch) != BranchFact::kPrepared) return false;
    }
    return true;
  }));
}

TEST(Scenario61, LatePrepareAtABranchThatHasCommittedAndIsForgotten_NobodyHearsAborted) {
  Scenario s;
  CoordinatorNode& deposed = s.Elect();
  const Transfer t = s.BeginTransfer();
  // The first leader's PREPAREs are delayed for very long.
  s.Hold([&](const Packet& p) {
    return IsVerb(p, Verb::kPrepare) && p.from == deposed.process();
  });
  const auto asked = s.Commit(deposed, t);
  s.RunForMillis(2);
  s.CutFromPeers(deposed);
  s.ElectOther(deposed);
  EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kCommitted);
  // Its evidence is removed when the watermark has passed it.
  ASSERT_TRUE(s.RunUntil([&] {
    s.RunForMillis(500);
    (void)s.Begin();
    return s.bank(0).store().LookUp(t.branches[0]) == participant::Evidence::kNone;
  }));
  std::vector<Packet> votes;
  s.CopyTo(&votes, IsVote);
  EXPECT_GE(s.Release([](const Packet& p) { return IsVerb(p, Verb::kPrepare); }), 2u);
  s.RunForMillis(5);
  ASSERT_FALSE(votes.empty());
  EXPECT_EQ(As<VerbReply>(votes[0])->items.at(0).vote, Vote::kLost);
  s.Reconnect(deposed);
  s.RunForMillis(500);
  EXPECT_FALSE(asked->has_value() && (*asked)->code == Code::kOk &&
               (*asked)->outcome == Outcome::kAborted);
  s.Finish();
  EXPECT_EQ(s.FactOf(t.branches[0]), BranchFact::kCommitted);
}

TEST(Scenario62, InquiryWhileStagedIsPending_DoesNotOvertakeIt) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Hold(IsAppend);
  const auto asked = s.Commit(leader, t, CommitMode::kParallel);
  AwaitPrepared(&s, t.branches);
  EXPECT_FALSE(s.judge().IsStaged(t.gtid));
  const auto inquiry = s.Inquire(leader, t.branches[0]);
  s.RunForMillis(5);
  EXPECT_FALSE(inquiry->has_value());
  s.LetGo();
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  EXPECT_NE(s.Await(inquiry).items.at(0).answer, InquiryAnswer::kRollback);
  s.Finish();
}

TEST(Scenario63, TimeOutAbortAppendedThenTheLastVote_ParallelIsNotAnsweredCommitted) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Hold([&](const Packet& p) { return IsVote(p) && p.from == bank_b; });
  s.Hold([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  const auto asked = s.Commit(leader, t, CommitMode::kParallel, 50);
  s.RunForMillis(60);
  EXPECT_TRUE(s.judge().IsStaged(t.gtid));
  s.Release(IsVote);
  s.RunForMillis(2);
  EXPECT_EQ(s.Count(Rare::kTimeoutRacesLastVote), 1u);
  EXPECT_FALSE(asked->has_value()) << "answered with an abort on its way";
  s.LetGo();
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kAborted);
  s.Finish();
}

// Two leaders are asked to commit the same gtid with different branches. At the end the
// second set is decided, and the first leader is cut off.
struct TwoSets {
  Gtid gtid;
  BranchId debit;
  BranchId credit;
  BranchId other_credit;
};
TwoSets AskTwoLeaders(Scenario* s) {
  CoordinatorNode& deposed = s->Elect();
  TwoSets sets;
  sets.gtid = s->Begin();
  sets.debit = s->Work(0, sets.gtid, {{0, -6}});
  sets.credit = s->Work(1, sets.gtid, {{0, 6}});
  sets.other_credit = s->Work(2, sets.gtid, {{0, 6}});
  s->CutFromPeers(deposed);
  (void)s->Commit(deposed, sets.gtid, {sets.debit, sets.credit});
  AwaitPrepared(s, {sets.debit, sets.credit});
  CoordinatorNode& leader = s->ElectOther(deposed);
  const auto asked = s->Commit(leader, sets.gtid, {sets.debit, sets.other_credit});
  EXPECT_EQ(s->Await(asked).outcome, Outcome::kCommitted);
  return sets;
}

TEST(Scenario64, OneGtidTwoBranchSetsTwoLeaders_OneCommitsTheOtherRollsBack) {
  Scenario s;
  const TwoSets sets = AskTwoLeaders(&s);
  s.Finish();
  EXPECT_EQ(s.FactOf(sets.debit), BranchFact::kCommitted);
  EXPECT_EQ(s.FactOf(sets.other_credit), BranchFact::kCommitted);
  EXPECT_EQ(s.FactOf(sets.credit), BranchFact::kRolledBack);
}

TEST(Scenario65, InquiryOfABranchOutsideTheDecidedSet_IsToldRollback) {
  Scenario s;
  const TwoSets sets = AskTwoLeaders(&s);
  EXPECT_EQ(s.FactOf(sets.credit), BranchFact::kPrepared);
  CoordinatorNode& leader = s.Elect();
  const InquiryReply reply = s.Await(s.Inquire(leader, sets.credit));
  EXPECT_EQ(reply.items.at(0).code, Code::kOk);
  EXPECT_EQ(reply.items.at(0).answer, InquiryAnswer::kRollback);
  const InquiryReply member = s.Await(s.Inquire(leader, sets.other_credit));
  EXPECT_EQ(member.items.at(0).answer, InquiryAnswer::kCommit);
  s.Finish();
}

TEST(Scenario66, RetryInModeParallelOfADecidedTransaction_WaitsForTheDecision) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Hold([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  const auto first = s.Commit(leader, t, CommitMode::kDecided);
  const auto retry = s.Commit(leader, t, CommitMode::kParallel);
  AwaitPrepared(&s, t.branches);
  s.RunForMillis(50);
  EXPECT_TRUE(s.judge().IsStaged(t.gtid));
  EXPECT_FALSE(first->has_value());
  EXPECT_FALSE(retry->has_value()) << "the mode of STAGED counts";
  s.LetGo();
  EXPECT_EQ(s.Await(first).outcome, Outcome::kCommitted);
  EXPECT_EQ(s.Await(retry).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario66, RetryInModeDecidedAtTheNextLeader_StaysProtectedAsParallel) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  EXPECT_EQ(s.Await(s.Commit(old_leader, t, CommitMode::kParallel, 50)).outcome,
            Outcome::kCommitted);
  s.Kill(old_leader);
  s.KillBank(1);
  s.DropHeld();
  CoordinatorNode& leader = s.ElectOther(old_leader);
  const auto retry = s.Commit(leader, t, CommitMode::kDecided, 50);
  s.RunForMillis(500);
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt) << "a time-out took it back";
  s.RestartBank(1);
  EXPECT_EQ(s.Await(retry).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario67, RollbackAtAFreshLeaderWhileStagedSurvives_OneOutcome) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  CoordinatorNode& heir = *s.Others(old_leader)[0];
  CoordinatorNode& other = *s.Others(old_leader)[1];
  const Transfer t = s.BeginTransfer();
  // STAGED reaches only one follower, and its answer is lost.
  s.Drop([&](const Packet& p) {
    return (IsAppend(p) && p.to == other.process()) ||
           (p.from == heir.process() && p.to == old_leader.process());
  });
  (void)s.Commit(old_leader, t, CommitMode::kParallel);
  s.RunForMillis(3);
  EXPECT_FALSE(s.judge().IsStaged(t.gtid));
  s.Kill(old_leader);
  s.DropHeld();
  s.Hold(IsAppend);
  ASSERT_TRUE(s.RunUntil([&] { return s.simulation().Leader() == &heir; }));
  const auto rollback = s.Rollback(heir, t);
  s.RunForMillis(20);
  EXPECT_FALSE(rollback->has_value()) << "answered before its own entry";
  s.LetGo();
  const OutcomeReply outcome = s.Await(rollback);
  ASSERT_EQ(outcome.code, Code::kOk);
  EXPECT_TRUE(s.judge().IsStaged(t.gtid)) << "STAGED should have survived";
  const OutcomeReply again = s.Await(s.CommitAnywhere(t));
  EXPECT_EQ(again.code, Code::kOk);
  EXPECT_EQ(again.outcome, outcome.outcome);
  s.Finish();
}

TEST(Scenario69, ReadOnlyVoterRestartedAndLeaderChanged_NoCommittedIsTakenBack) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Gtid gtid = s.Begin();
  const BranchId debit = s.Work(0, gtid, {{0, -4}, {1, 4}});
  const BranchId reader = s.Work(1, gtid, {});
  s.Drop([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  const auto asked = s.Commit(old_leader, gtid, {debit, reader}, CommitMode::kParallel);
  AwaitPrepared(&s, {debit});
  s.RunForMillis(20);
  EXPECT_EQ(s.FactOf(reader), BranchFact::kReadOnly);
  EXPECT_TRUE(s.judge().IsStaged(gtid));
  EXPECT_FALSE(asked->has_value()) << "answered early with a READ_ONLY vote";
  s.KillBank(1);
  s.RestartBank(1);
  s.Kill(old_leader);
  s.DropHeld();
  CoordinatorNode& leader = s.ElectOther(old_leader);
  const auto retry = s.Commit(leader, gtid, {debit, reader}, CommitMode::kParallel);
  EXPECT_EQ(s.Await(retry).outcome, Outcome::kAborted);
  EXPECT_EQ(s.Count(Rare::kReadOnlyForgotten), 1u);
  s.Finish();
}

TEST(Scenario71, EnlistedAndCommittedThroughADeposedLeader_TheBranchIsInTheSet) {
  Scenario s;
  CoordinatorNode& deposed = s.Elect();
  const Transfer t = s.BeginTransfer();
  const BranchId service = s.Work(2, t.gtid, {{0, -3}, {1, 3}});
  s.CutFromPeers(deposed);
  CoordinatorNode& leader = s.ElectOther(deposed);
  EXPECT_EQ(s.Await(s.Enlist(leader, service)).code, Code::kOk);
  // The client knows only its own two branches and the old leader.
  (void)s.Commit(deposed, t);
  s.RunForMillis(5);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  EXPECT_TRUE(s.judge().InSet(service));
  s.Finish();
  EXPECT_EQ(s.FactOf(service), BranchFact::kCommitted);
}

TEST(Scenario72, EnlistmentAfterStaged_IsRefused) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const BranchId service = s.Work(2, t.gtid, {{0, -3}, {1, 3}});
  s.Hold(IsVote);
  const auto asked = s.Commit(leader, t);
  ASSERT_TRUE(s.RunUntil([&] { return s.judge().IsStaged(t.gtid); }));
  EXPECT_EQ(s.Await(s.Enlist(leader, service)).code, Code::kBranchGone);
  s.LetGo();
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  EXPECT_FALSE(s.judge().InSet(service));
  s.Finish();
  EXPECT_EQ(s.FactOf(service), BranchFact::kRolledBack);
}

TEST(Scenario73, EnlistedNeverStagedAndTheClientGone_TheBranchThatAsksIsToldRollback) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const BranchId service = s.Work(2, t.gtid, {{0, -3}, {1, 3}});
  EXPECT_EQ(s.Await(s.Enlist(old_leader, service)).code, Code::kOk);
  // PREPARE is sent, STAGED is not; then the leader dies, and the client disappears.
  old_leader.SetFlushTime(Duration::Seconds(1), Duration::Seconds(1));
  s.Drop(IsAppend);
  (void)s.Commit(old_leader, t);
  AwaitPrepared(&s, {service});
  s.CutFromPeers(old_leader);
  s.DropHeld();
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return s.FactOf(service) == BranchFact::kRolledBack; }));
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), Outcome::kAborted);
  EXPECT_EQ(s.Count(Rare::kInquiryEnlistedOnly), 1u);
  s.Finish();
}

TEST(Scenario74, BranchCommittedInOnePhaseThenNamedAgain_CommittedAloneAndRecorded) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Gtid gtid = s.Begin();
  const BranchId alone = s.Work(0, gtid, {{0, -5}, {1, 5}});
  EXPECT_TRUE(s.Await(s.CommitOnePhase(alone)).committed);
  const BranchId second = s.Work(1, gtid, {{0, -5}, {1, 5}});
  const OutcomeReply reply = s.Await(s.Commit(leader, gtid, {alone, second}));
  EXPECT_EQ(reply.outcome, Outcome::kAborted);
  EXPECT_EQ(reply.cause, AbortCause::kCommittedAlone);
  s.Finish();
  EXPECT_EQ(s.FactOf(alone), BranchFact::kAlone);
  EXPECT_EQ(s.FactOf(second), BranchFact::kRolledBack);
  const auto& heuristics = s.Elect().transactions().table().heuristics();
  ASSERT_TRUE(heuristics.contains(alone));
  EXPECT_EQ(heuristics.at(alone).what, Heuristic::kCommittedAlone);
}

}  // namespace
}  // namespace concordat::simulation
