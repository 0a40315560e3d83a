// Participants that die, or receive messages twice or in the wrong order. The numbers are
// those of docs/testing.md.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/simulation/scenario.h"

namespace concordat::simulation {
namespace {

using txn::Verb;

// The votes about the branch among these packets.
std::vector<Vote> VotesOf(const std::vector<Packet>& packets, const BranchId& branch) {
  std::vector<Vote> votes;
  for (const Packet& packet : packets) {
    const auto* reply = As<VerbReply>(packet);
    if (reply == nullptr || reply->verb != Verb::kPrepare) continue;
    for (const VerbItem& item : reply->items) {
      if (item.branch == branch) votes.push_back(item.vote);
    }
  }
  return votes;
}

TEST(Scenario13, AbortOvertakesPrepare_TheLaterPrepareIsRefusedAndChangesNothing) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Hold([&](const Packet& p) { return IsVerb(p, Verb::kPrepare) && p.to == bank_b; });
  std::vector<Packet> votes;
  s.CopyTo(&votes, IsVote);
  (void)s.Commit(leader, t);
  s.RunForMillis(2);
  EXPECT_EQ(s.Await(s.Rollback(leader, t)).outcome, Outcome::kAborted);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[1]) == BranchFact::kRolledBack; }));
  const int64_t total = s.bank(1).store().Total();
  s.Release([](const Packet&) { return true; });
  s.RunForMillis(5);
  EXPECT_EQ(VotesOf(votes, t.branches[1]), std::vector<Vote>{Vote::kLost});
  EXPECT_EQ(s.bank(1).store().Total(), total);
  s.Finish();
}

TEST(Scenario14, PrepareTwice_SameVoteAndNothingDoneTwice) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  std::vector<Packet> prepares;
  std::vector<Packet> votes;
  const ProcessId bank_a = s.bank(0).process();
  s.Drop([](const Packet& p) { return IsVerb(p, Verb::kCommit); });
  s.CopyTo(&votes, IsVote);
  s.CopyTo(&prepares,
           [&](const Packet& p) { return IsVerb(p, Verb::kPrepare) && p.to == bank_a; });
  (void)s.Commit(leader, t);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[0]) == BranchFact::kPrepared; }));
  ASSERT_EQ(prepares.size(), 1u);
  const Packet prepare = prepares[0];
  s.Deliver(prepare);
  s.Deliver(prepare);
  s.RunForMillis(5);
  EXPECT_EQ(VotesOf(votes, t.branches[0]),
            (std::vector<Vote>{Vote::kPrepared, Vote::kPrepared, Vote::kPrepared}));
  s.Finish();
  EXPECT_EQ(s.bank(0).store().BalanceOf(0), 100 - t.amount);
}

TEST(Scenario15, VoteLost_IsAskedAgain) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  int lost = 0;
  s.Drop([&](const Packet& p) { return IsVote(p) && lost++ < 2; });
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  EXPECT_GE(s.Count(Rare::kPrepareTwice), 1u);
  s.Finish();
}

TEST(Scenario16, CommitTwice_AcknowledgedTwiceAndAppliedOnce) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  std::vector<Packet> commits;
  std::vector<Packet> acknowledgements;
  s.CopyTo(&commits, [](const Packet& p) { return IsVerb(p, Verb::kCommit); });
  s.CopyTo(&acknowledgements,
           [](const Packet& p) { return IsAcknowledgement(p, Verb::kCommit); });
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  s.RunForMillis(5);
  ASSERT_EQ(commits.size(), 2u);
  const std::vector<Packet> again = commits;
  for (const Packet& packet : again) s.Deliver(packet);
  s.RunForMillis(5);
  ASSERT_EQ(acknowledgements.size(), 4u);
  for (const Packet& packet : acknowledgements) {
    EXPECT_EQ(As<VerbReply>(packet)->items.at(0).ack, FinishState::kDone);
  }
  EXPECT_EQ(s.bank(0).store().BalanceOf(0), 100 - t.amount);
  EXPECT_EQ(s.bank(1).store().BalanceOf(1), 100 + t.amount);
  s.Finish();
}

TEST(Scenario23, CrashBeforeThePrepareIsDurable_RefusedAndAborted) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.bank(1).store().SetFlushTime(Duration::Millis(50), Duration::Millis(50));
  const auto asked = s.Commit(leader, t);
  s.RunForMillis(5);
  // The power fails before the disk has written any of it.
  s.bank(1).store().LoseAllAtNextCrash();
  s.KillBank(1);
  EXPECT_EQ(s.FactOf(t.branches[1]), BranchFact::kRolledBack);
  s.RestartBank(1);
  const OutcomeReply reply = s.Await(asked);
  EXPECT_EQ(reply.outcome, Outcome::kAborted);
  EXPECT_EQ(reply.cause, AbortCause::kLost);
  EXPECT_EQ(s.Count(Rare::kCrashBeforePrepareDurable), 1u);
  s.Finish();
}

TEST(Scenario24, CrashAfterThePrepare_InDoubtWithItsLocks) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) { return IsVote(p) && p.from == bank_b; });
  const auto asked = s.Commit(leader, t);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[1]) == BranchFact::kPrepared; }));
  s.KillBank(1);
  s.RestartBank(1);
  s.RunForMillis(5);
  // Its account is locked before the participant serves requests.
  BranchId other;
  const Gtid gtid = s.Begin();
  EXPECT_EQ(s.TryWork(1, gtid, {{1, -1}, {2, 1}}, &other), Code::kConflict);
  s.LetGo();
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  s.Finish();
  EXPECT_EQ(s.bank(1).store().BalanceOf(1), 100 + t.amount);
}

TEST(Scenario25, CrashAfterTheCommit_AcknowledgedAgainByTheEvidence) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) {
    return IsAcknowledgement(p, Verb::kCommit) && p.from == bank_b;
  });
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[1]) == BranchFact::kCommitted; }));
  s.KillBank(1);
  s.DropHeld();
  s.RestartBank(1);
  ASSERT_TRUE(s.RunUntil([&] { return s.Count(Rare::kEndedRecord) == 1; }));
  EXPECT_GE(s.Count(Rare::kCrashAfterCommit), 1u);
  EXPECT_EQ(s.bank(1).store().BalanceOf(1), 100 + t.amount);
  s.Finish();
}

TEST(Scenario32, NoCoordinatorForAnHour_BranchesHoldAndDecideNothingAlone) {
  Settings settings = Settings::Quiet();
  settings.participant.table.scan_interval = Duration::Seconds(1);
  settings.participant.heartbeat = Duration::Seconds(30);
  Scenario s(settings);
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Drop(IsVote);
  (void)s.Commit(leader, t);
  ASSERT_TRUE(s.RunUntil([&] {
    return s.FactOf(t.branches[0]) == BranchFact::kPrepared &&
           s.FactOf(t.branches[1]) == BranchFact::kPrepared && s.judge().IsStaged(t.gtid);
  }));
  for (int i = 0; i < 3; ++i) s.Kill(s.node(static_cast<size_t>(i)));
  s.LetGo();
  s.RunFor(Duration::Seconds(3600));
  EXPECT_EQ(s.FactOf(t.branches[0]), BranchFact::kPrepared);
  EXPECT_EQ(s.FactOf(t.branches[1]), BranchFact::kPrepared);
  EXPECT_GE(s.bank(0)
                .table()
                ->Stats(s.world().ClockOf(s.bank(0).process()).Now())
                .oldest_in_doubt,
            Duration::Seconds(3599));
  s.Finish();
}

TEST(Scenario35, OnePhaseAnswerLostAndRollbackBehindIt_TheEvidenceTellsTheTruth) {
  Scenario s;
  s.Elect();
  const Gtid gtid = s.Begin();
  const BranchId branch = s.Work(0, gtid, {{0, -5}, {1, 5}});
  s.Drop([](const Packet& p) { return As<OnePhaseReply>(p) != nullptr; });
  const auto lost = s.CommitOnePhase(branch);
  ASSERT_TRUE(s.RunUntil([&] { return s.FactOf(branch) == BranchFact::kAlone; }));
  s.KillBank(0);
  s.DropHeld();
  s.RestartBank(0);
  s.RunForMillis(5);
  s.Deliver(
      Packet{s.client(), s.bank(0).process(), s.world().NewCall(), ReleaseCall{branch}});
  s.RunForMillis(5);
  const OnePhaseReply reply = s.Await(s.CommitOnePhase(branch));
  EXPECT_EQ(reply.code, Code::kOk);
  EXPECT_TRUE(reply.committed);
  EXPECT_FALSE(lost->has_value());
  EXPECT_EQ(s.bank(0).store().BalanceOf(0), 95);
  s.Finish();
}

TEST(Scenario68, PrepareAtAParticipantThatIsRecovering_IsUnavailableAndNotRefused) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Transfer t = s.BeginTransfer();
  s.Hold([](const Packet& p) { return IsVerb(p, Verb::kCommit); });
  std::vector<Packet> votes;
  s.CopyTo(&votes, IsVote);
  int lost = 0;
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) { return IsVote(p) && p.from == bank_b && lost++ == 0; });
  const auto asked = s.Commit(leader, t);
  ASSERT_TRUE(
      s.RunUntil([&] { return s.FactOf(t.branches[1]) == BranchFact::kPrepared; }));
  s.bank(1).SetRecoveryTime(Duration::Millis(400), Duration::Millis(400));
  s.KillBank(1);
  s.RestartBank(1);
  ASSERT_TRUE(s.RunUntil([&] { return !VotesOf(votes, t.branches[1]).empty(); }));
  EXPECT_EQ(VotesOf(votes, t.branches[1])[0], Vote::kUnavailable);
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  const std::vector<Vote> all = VotesOf(votes, t.branches[1]);
  EXPECT_EQ(std::count(all.begin(), all.end(), Vote::kRefused), 0);
  s.Finish();
}

TEST(Scenario70, PrepareTwiceOfAReadOnlyBranch_IsReadOnlyAgainAndCommits) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  const Gtid gtid = s.Begin();
  const BranchId debit = s.Work(0, gtid, {{0, -4}, {1, 4}});
  const BranchId reader = s.Work(1, gtid, {});
  int lost = 0;
  const ProcessId bank_b = s.bank(1).process();
  s.Drop([&](const Packet& p) { return IsVote(p) && p.from == bank_b && lost++ == 0; });
  const auto asked = s.Commit(leader, gtid, {debit, reader});
  EXPECT_EQ(s.Await(asked).outcome, Outcome::kCommitted);
  EXPECT_EQ(s.Count(Rare::kReadOnlyRepeated), 1u);
  s.Finish();
}

}  // namespace
}  // namespace concordat::simulation
