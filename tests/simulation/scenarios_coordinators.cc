// Coordinators that die, stop or are cut off at the worst moment. The numbers are those
// of docs/testing.md.
#include <gtest/gtest.h>

#include "tests/simulation/scenario.h"

namespace concordat::simulation {
namespace {

using txn::DecidedRecord;
using txn::StagedRecord;
using txn::Verb;

// Waits until both branches are durably prepared and STAGED is log-committed.
void AwaitPrepared(Scenario* s, const Transfer& t) {
  ASSERT_TRUE(s->RunUntil([&] {
    for (const BranchId& branch : t.branches) {
      if (s->FactOf(branch) != BranchFact::kPrepared) return false;
    }
    return s->judge().IsStaged(t.gtid);
  }));
}

bool BothCommitted(Scenario* s, const Transfer& t) {
  return s->FactOf(t.branches[0]) == BranchFact::kCommitted &&
         s->FactOf(t.branches[1]) == BranchFact::kCommitted;
}

bool BothRolledBack(Scenario* s, const Transfer& t) {
  return s->FactOf(t.branches[0]) == BranchFact::kRolledBack &&
         s->FactOf(t.branches[1]) == BranchFact::kRolledBack;
}

TEST(Scenario01, LeaderKilledBeforeStagedIsLogCommitted_TheRetryCommits) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return IsAppend(p); });
  const auto first = s.Commit(old_leader, t);
  s.RunForMillis(2);
  EXPECT_FALSE(s.judge().IsStaged(t.gtid));
  s.Kill(old_leader);
  s.DropHeld();
  EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kCommitted);
  EXPECT_FALSE(first->has_value());
  s.Finish();
  EXPECT_TRUE(BothCommitted(&s, t));
}

TEST(Scenario02, LeaderKilledAfterSomePrepares_TheNextPreparesTheRestAndCommits) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) { return IsVerb(p, Verb::kPrepare) && p.to == bank_b; });
  (void)s.Commit(old_leader, t);
  ASSERT_TRUE(s.RunUntil([&] {
    return s.judge().IsStaged(t.gtid) && s.FactOf(t.branches[0]) == BranchFact::kPrepared;
  }));
  EXPECT_EQ(s.FactOf(t.branches[1]), BranchFact::kActive);
  s.Kill(old_leader);
  s.DropHeld();
  // No request is repeated: the new leader finishes it by itself.
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(2)));
  EXPECT_EQ(s.Count(Rare::kInheritedCommitted), 1u);
  s.Finish();
}

TEST(Scenario03, AllVotedAndDecidedNotAppended_TheNextAsksAgainAndCommits) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop(IsVote);
  (void)s.Commit(old_leader, t);
  AwaitPrepared(&s, t);
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt);
  s.Kill(old_leader);
  s.DropHeld();
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(2)));
  EXPECT_GE(s.Count(Rare::kPrepareTwice), 2u);
  s.Finish();
}

TEST(Scenario04, DecidedCommitOnTheOldLeadersDiskOnly_TheSurvivingLogDecides) {
  Settings settings = Settings::Quiet();
  Scenario s(settings);
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  (void)s.Commit(old_leader, t);
  AwaitPrepared(&s, t);
  s.RunForMillis(5);  // its own disk has the decision now
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt);
  s.Kill(old_leader);
  s.KillBank(1);  // and with it a branch that could vote
  s.DropHeld();
  CoordinatorNode& leader = s.ElectOther(old_leader);
  // It knows no decision, and the time-out expires: it aborts.
  ASSERT_TRUE(s.RunUntil([&] { return s.judge().DecisionOf(t.gtid).has_value(); }));
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), Outcome::kAborted);
  s.Restart(old_leader);
  s.RestartBank(1);
  s.RunForMillis(1000);
  EXPECT_GE(leader.replica()->raft().counters().elections_won, 1u);
  s.Finish();
  EXPECT_TRUE(BothRolledBack(&s, t));
  EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kAborted);
}

TEST(Scenario04, InquiryAtALeaderWithoutItsOwnEntry_Waits) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  (void)s.Commit(old_leader, t);
  AwaitPrepared(&s, t);
  s.Kill(old_leader);
  s.DropHeld();
  // The next leader wins its election and cannot commit anything yet.
  s.Hold(IsAppend);
  CoordinatorNode* fresh = nullptr;
  ASSERT_TRUE(s.RunUntil([&] {
    fresh = s.simulation().Leader();
    return fresh != nullptr && fresh != &old_leader;
  }));
  const auto inquiry = s.Inquire(*fresh, t.branches[0]);
  s.RunForMillis(20);
  EXPECT_FALSE(fresh->IsReadyLeader());
  EXPECT_FALSE(inquiry->has_value());
  s.LetGo();
  const InquiryReply reply = s.Await(inquiry);
  EXPECT_NE(reply.items.at(0).answer, InquiryAnswer::kRollback);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(2)));
  s.Finish();
}

TEST(Scenario05, DecidedCommitOnAQuorumAndNoAnswer_TheRetryReturnsIt) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([&](const Packet& p) {
    return p.to == s.client() && As<OutcomeReply>(p) != nullptr;
  });
  const auto first = s.Commit(old_leader, t);
  ASSERT_TRUE(s.RunUntil([&] { return s.judge().DecisionOf(t.gtid).has_value(); }));
  s.Kill(old_leader);
  s.DropHeld();
  EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kCommitted);
  EXPECT_FALSE(first->has_value());
  s.Finish();
}

TEST(Scenario06, ClientAnsweredAndCommitsUnsent_TheNextLeaderSendsThem) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return IsVerb(p, Verb::kCommit); });
  EXPECT_EQ(s.Await(s.Commit(old_leader, t)).outcome, Outcome::kCommitted);
  EXPECT_EQ(s.FactOf(t.branches[0]), BranchFact::kPrepared);
  s.Kill(old_leader);
  s.DropHeld();
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(2)));
  s.Finish();
}

TEST(Scenario07, HalfOfTheBranchesCommitted_TheRestCommit) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) { return IsVerb(p, Verb::kCommit) && p.to == bank_b; });
  (void)s.Commit(old_leader, t);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[0]) == BranchFact::kCommitted; }));
  s.Kill(old_leader);
  EXPECT_EQ(s.FactOf(t.branches[1]), BranchFact::kPrepared);
  s.DropHeld();
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(2)));
  s.Finish();
}

TEST(Scenario08, AllAcknowledgedAndEndedMissing_CommitIsRepeatedWithoutEffect) {
  Settings settings = Settings::Quiet();
  settings.node.txn.ended_wait = Duration::Seconds(1);
  Scenario s(settings);
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  EXPECT_EQ(s.Await(s.Commit(old_leader, t)).outcome, Outcome::kCommitted);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }));
  s.RunForMillis(5);
  const int64_t balance = s.bank(0).store().BalanceOf(0);
  EXPECT_EQ(s.Count(Rare::kEndedRecord), 0u);
  s.Kill(old_leader);
  s.ElectOther(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return s.Count(Rare::kEndedRecord) == 1; }));
  EXPECT_GE(s.Count(Rare::kCommitTwice), 2u);
  EXPECT_EQ(s.bank(0).store().BalanceOf(0), balance);
  s.Finish();
}

TEST(Scenario09, StoppedLeaderGoesOn_ItAnswersNobodyAsALeader) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.world().Pause(old_leader.process());
  const auto asked = s.Commit(old_leader, t);  // waits in its socket
  CoordinatorNode& leader = s.ElectOther(old_leader);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  s.world().Resume(old_leader.process());
  EXPECT_EQ(s.Await(asked).code, Code::kUndecided);
  s.Finish();
}

TEST(Scenario10, Follower_AskedForAnOutcome_Redirects) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  CoordinatorNode& follower = *s.Others(leader)[0];
  EXPECT_EQ(s.Await(s.AskOutcome(follower, t.gtid)).code, Code::kNotLeader);
  const InquiryReply inquiry = s.Await(s.Inquire(follower, t.branches[0]));
  EXPECT_EQ(inquiry.items.at(0).code, Code::kNotLeader);
  EXPECT_EQ(s.Await(s.CommitAnywhere(t)).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario10, StaleLeader_AskedForAnOutcome_NeverPresumesAbort) {
  Scenario s;
  CoordinatorNode& stale = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.CutFromPeers(stale);
  // It has not noticed that it is deposed, and does not know the gtid.
  const auto inquiry = s.Inquire(stale, t.branches[0]);
  const auto rollback = s.Rollback(stale, t);
  CoordinatorNode& leader = s.ElectOther(stale);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  s.Reconnect(stale);
  const InquiryReply reply = s.Await(inquiry);
  EXPECT_FALSE(reply.items.at(0).code == Code::kOk &&
               reply.items.at(0).answer == InquiryAnswer::kRollback);
  EXPECT_NE(s.Await(rollback).code, Code::kOk);
  s.Finish();
  EXPECT_TRUE(BothCommitted(&s, t));
}

// Its clock stands still, so that it continues to believe that it leads.
TEST(Scenario10, DeposedLeaderThatDoesNotKnowIt_NeverSaysThatNothingIsKnown) {
  Scenario s;
  CoordinatorNode& stale = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.CutFromPeers(stale);
  s.world().ClockOf(stale.process()).SetRate(0);
  CoordinatorNode& leader = s.ElectOther(stale);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  ASSERT_TRUE(stale.IsReadyLeader());
  const auto asked = s.AskOutcome(stale, t.gtid);
  s.RunForMillis(100);
  EXPECT_FALSE(asked->has_value());
  s.world().ClockOf(stale.process()).SetRate(1000);
  s.Reconnect(stale);
  EXPECT_EQ(s.Await(asked).code, Code::kNotLeader);
  s.Finish();
}

TEST(Scenario11, TimeOutAbortRacesTheLastVote_TheLogSaysWhatHappens) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Hold([&](const Packet& p) { return IsVote(p) && p.from == bank_b; });
  s.Hold([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  const auto asked = s.Commit(leader, t, CommitMode::kDecided, 50);
  s.RunForMillis(60);  // the abort is appended on this node only
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt);
  s.Release(IsVote);
  s.RunForMillis(2);
  EXPECT_EQ(s.Count(Rare::kTimeoutRacesLastVote), 1u);
  EXPECT_FALSE(asked->has_value());
  s.LetGo();
  const OutcomeReply reply = s.Await(asked);
  EXPECT_EQ(reply.outcome, Outcome::kAborted);
  EXPECT_EQ(reply.cause, AbortCause::kTimedOut);
  s.Finish();
  EXPECT_TRUE(BothRolledBack(&s, t));
}

TEST(Scenario12, BranchEnlistedAfterTheDecision_IsRefused) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  const BranchId late = s.Work(2, t.gtid, {{0, -3}, {1, 3}});
  EXPECT_EQ(s.Await(s.Enlist(leader, late)).code, Code::kBranchGone);
  s.Finish();
  EXPECT_EQ(s.FactOf(late), BranchFact::kRolledBack);
}

TEST(Scenario18, ForgedGtid_IsRefused) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  Transfer t = s.BeginTransfer();
  Transfer forged = t;
  forged.gtid.sequence += 1000;
  forged.branches.clear();
  EXPECT_EQ(s.Await(s.Commit(leader, forged)).code, Code::kInvalid);
  EXPECT_EQ(s.Await(s.Rollback(leader, forged)).code, Code::kInvalid);
  forged.gtid = t.gtid;
  forged.gtid.group = GroupId(9);
  EXPECT_EQ(s.Await(s.Commit(leader, forged)).code, Code::kInvalid);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario18, GtidsOfManyLeaders_AreNeverEqual) {
  Scenario s;
  std::set<Gtid> seen;
  for (int round = 0; round < 5; ++round) {
    CoordinatorNode& leader = s.Elect();
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(seen.insert(s.Begin()).second);
    s.Kill(leader);
    s.ElectOther(leader);
    s.Restart(leader);
    s.RunForMillis(500);
  }
  s.Finish();
}

TEST(Scenario19, ClientGivesUpAndRetries_HearsOneOutcome) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Hold([](const Packet& p) { return As<OutcomeReply>(p) != nullptr; });
  const auto first = s.Commit(leader, t);
  s.RunForMillis(700);
  EXPECT_FALSE(first->has_value());
  s.LetGo();
  const auto second = s.Commit(leader, t);
  EXPECT_EQ(s.Await(second).outcome, Outcome::kCommitted);
  EXPECT_EQ(s.Await(first).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario20, AskedAfterTheOutcomeWasDropped_IsForgottenAndNeverAborted) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  // Gtids are dropped when later ones have been assigned.
  for (int i = 0; i < 6; ++i) {
    s.RunForMillis(1500);
    (void)s.Begin();
  }
  ASSERT_TRUE(
      s.RunUntil([&] { return leader.transactions().table().IsForgotten(t.gtid); }));
  EXPECT_EQ(s.Await(s.AskOutcome(leader, t.gtid)).code, Code::kForgotten);
  EXPECT_EQ(s.Await(s.Commit(leader, t)).code, Code::kForgotten);
  EXPECT_EQ(s.Await(s.Rollback(leader, t)).code, Code::kForgotten);
  s.Finish();
}

TEST(Scenario21, ParallelLeaderDiesAfterItsAnswer_NobodyAbortsUntilTheRmReturns) {
  Settings settings = Settings::Quiet();
  // One simulated hour must not take long.
  raft::Config& raft = settings.node.replica.raft;
  raft.heartbeat_interval = Duration::Seconds(1);
  raft.election_timeout_min = Duration::Seconds(5);
  raft.election_timeout_max = Duration::Seconds(10);
  settings.participant.table.scan_interval = Duration::Seconds(1);
  settings.participant.heartbeat = Duration::Seconds(10);
  settings.node.txn.watermark_interval = Duration::Seconds(5);
  Scenario s(settings);
  CoordinatorNode& old_leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop([](const Packet& p) { return CarriesRecord<DecidedRecord>(p); });
  const auto asked = s.Commit(old_leader, t, CommitMode::kParallel);
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt);
  s.Kill(old_leader);
  s.KillBank(1);
  s.DropHeld();
  CoordinatorNode& leader = s.ElectOther(old_leader);
  s.RunFor(Duration::Seconds(3600));
  EXPECT_EQ(s.judge().DecisionOf(t.gtid), std::nullopt);
  EXPECT_EQ(s.Count(Rare::kTimeoutSuppressed), 1u);
  EXPECT_EQ(s.FactOf(t.branches[0]), BranchFact::kPrepared);
  // Not even the client can take it back.
  const auto rollback = s.Rollback(leader, t);
  s.RestartBank(1);
  ASSERT_TRUE(s.RunUntil([&] { return BothCommitted(&s, t); }, Duration::Seconds(60)));
  EXPECT_NE(s.Await(rollback, Duration::Seconds(60)).code, Code::kInvalid);
  s.Finish();
}

TEST(Scenario22, RollbackRacesTheClientsOwnCommit_BothConnectionsHearTheSame) {
  int committed = 0;
  int aborted = 0;
  for (int64_t delay_micros = 0; delay_micros <= 1500; delay_micros += 50) {
    Scenario s;
    CoordinatorNode& leader = s.Elect();
    const Transfer t = s.BeginTransfer();
    const auto commit = s.Commit(leader, t, CommitMode::kParallel);
    s.RunFor(Duration::Micros(delay_micros));
    const auto rollback = s.Rollback(leader, t);
    const OutcomeReply one = s.Await(commit);
    const OutcomeReply other = s.Await(rollback);
    ASSERT_EQ(one.code, Code::kOk);
    ASSERT_EQ(other.code, Code::kOk);
    EXPECT_EQ(one.outcome, other.outcome) << "after " << delay_micros << " us";
    ++(one.outcome == Outcome::kCommitted ? committed : aborted);
    s.Finish();
  }
  EXPECT_GT(committed, 0);
  EXPECT_GT(aborted, 0);
}

}  // namespace
}  // namespace concordat::simulation
