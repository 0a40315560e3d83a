// Disks, crashes of everything, clocks and bad networks. The numbers are those of
// docs/testing.md.
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "tests/simulation/scenario.h"

namespace concordat::simulation {
namespace {

// Commits transfers in a row, some in each mode; returns their gtids.
std::vector<Gtid> CommitSome(Scenario* s, int count) {
  std::vector<Gtid> gtids;
  for (int i = 0; i < count; ++i) {
    const Transfer t =
        s->BeginTransfer(static_cast<size_t>(i) % 3, static_cast<size_t>(i + 1) % 3, 1);
    const CommitMode mode = i % 2 == 0 ? CommitMode::kDecided : CommitMode::kParallel;
    EXPECT_EQ(s->Await(s->CommitAnywhere(t, mode)).outcome, Outcome::kCommitted);
    gtids.push_back(t.gtid);
  }
  return gtids;
}

// All nodes die in the middle of many commits. What clients were told must hold.
void KillAllInMidBatch(bool power, bool real_log) {
  Settings settings = Settings::Quiet();
  settings.node.real_log = real_log;
  settings.clients = 8;
  settings.client.odd_percent = 0;
  settings.client.think = Duration::Millis(1);
  settings.participant.store.accounts = 40;
  for (int64_t round = 0; round < 6; ++round) {
    settings.seed = static_cast<uint64_t>(100 + round);
    Scenario s(settings);
    s.Elect();
    s.RunFor(Duration::Micros(20'000 + 173 * round));
    const uint64_t commits = s.judge().commits();
    EXPECT_GT(commits, 0u);
    for (size_t i = 0; i < 3; ++i) s.Kill(s.node(i), power);
    s.RunForMillis(30);
    for (size_t i = 0; i < 3; ++i) s.Restart(s.node(i));
    // The judge knows what every client was told; the clients continue.
    s.Elect();
    s.RunForMillis(500);
    EXPECT_GT(s.judge().commits(), commits);
    for (const auto& client : s.simulation().clients()) client->Stop();
    s.Finish();
  }
}

TEST(Scenario37, AllNodesKilledInMidBatch_EveryAcknowledgedCommitIsThere) {
  KillAllInMidBatch(/*power=*/false, /*real_log=*/false);
  KillAllInMidBatch(/*power=*/false, /*real_log=*/true);
}

TEST(Scenario38, PowerLostEverywhere_EveryAcknowledgedCommitIsThere) {
  KillAllInMidBatch(/*power=*/true, /*real_log=*/false);
  KillAllInMidBatch(/*power=*/true, /*real_log=*/true);
}

TEST(Scenario39, TornTails_OnlyWhatNobodyWasPromisedIsTruncated) {
  Settings settings = Settings::Quiet();
  settings.node.real_log = true;
  settings.clients = 6;
  settings.client.odd_percent = 0;
  settings.client.think = Duration::Millis(1);
  settings.participant.store.accounts = 40;
  Scenario s(settings);
  uint64_t commits = 0;
  for (int round = 0; round < 25; ++round) {
    CoordinatorNode& leader = s.Elect();
    s.RunFor(Duration::Micros(15'000 + 97 * round));
    s.Kill(leader, /*power=*/true);
    s.RunForMillis(5);
    s.Restart(leader);
    commits = s.judge().commits();
  }
  EXPECT_GT(s.Count(Rare::kTornTailTruncated), 0u);
  EXPECT_GT(commits, 50u);
  for (const auto& client : s.simulation().clients()) client->Stop();
  s.Finish();
}

TEST(Scenario43, CrashAroundAVote_NeverTwoVotesInATerm) {
  Scenario s;
  CoordinatorNode& old_leader = s.Elect();
  CoordinatorNode& candidate = *s.Others(old_leader)[0];
  CoordinatorNode& voter = *s.Others(old_leader)[1];
  voter.SetFlushTime(Duration::Millis(40), Duration::Millis(40));
  int votes_before_flush = 0;
  int requests = 0;
  Timestamp asked_at;
  s.Hold([&](const Packet& p) {
    const auto* message = As<raft::Message>(p);
    if (message == nullptr) return false;
    const bool asks = std::holds_alternative<raft::VoteRequest>(message->body);
    if (asks && p.from == candidate.process() && p.to == voter.process() &&
        requests++ == 0) {
      asked_at = s.world().now();
    }
    const auto* vote = std::get_if<raft::VoteResponse>(&message->body);
    if (vote != nullptr && p.from == voter.process() &&
        s.world().now() < asked_at + Duration::Millis(40)) {
      ++votes_before_flush;
    }
    // The voter does not become a candidate itself.
    return p.from == voter.process() &&
           (asks || std::holds_alternative<raft::PreVoteRequest>(message->body));
  });
  s.Kill(old_leader);
  ASSERT_TRUE(s.RunUntil([&] { return requests > 0; }));
  s.RunForMillis(5);
  ASSERT_NE(voter.replica(), nullptr);
  EXPECT_EQ(voter.replica()->raft().hard_state().vote, candidate.id()) << "not asked";
  EXPECT_EQ(votes_before_flush, 0) << "a vote left before it was on the disk";
  // It dies before its vote is on disk, and may vote again: the vote was not sent.
  s.Kill(voter);
  s.RunForMillis(5);
  voter.SetFlushTime(Duration::Micros(100), Duration::Micros(100));
  s.Restart(voter);
  s.DropHeld();
  s.Restart(old_leader);
  s.Elect();
  EXPECT_NE(candidate.replica(), nullptr);
  CommitSome(&s, 2);
  s.Finish();
}

// A follower needs a snapshot, and chunks are small, so that there are many of them.
Settings SmallSnapshots() {
  Settings settings = Settings::Quiet();
  settings.node.replica.snapshot_entries = 30;
  settings.node.replica.raft.entries_kept_behind_snapshot = 2;
  settings.node.replica.raft.snapshot_chunk_bytes = 40;
  return settings;
}

TEST(Scenario45, SnapshotInterruptedByACrashAndByAppends_IsOldStateOrNew) {
  for (int chunks_before_crash = 1; chunks_before_crash <= 7; chunks_before_crash += 2) {
    Scenario s(SmallSnapshots());
    CoordinatorNode& leader = s.Elect();
    CoordinatorNode& follower = *s.Others(leader)[0];
    s.CutFromPeers(follower);
    CommitSome(&s, 30);
    int chunks = 0;
    std::vector<Packet> seen;
    s.CopyTo(&seen, [&](const Packet& p) {
      const auto* message = As<raft::Message>(p);
      return message != nullptr &&
             std::holds_alternative<raft::SnapshotChunk>(message->body) && ++chunks > 0;
    });
    s.Reconnect(follower);
    ASSERT_TRUE(s.RunUntil([&] { return chunks >= chunks_before_crash; }));
    s.Kill(follower);
    CommitSome(&s, 12);  // the log advances during the transfer
    s.Restart(follower);
    // A late chunk of the interrupted transfer arrives, too.
    s.Deliver(seen.back());
    ASSERT_TRUE(s.RunUntil(
        [&] { return follower.replica()->raft().counters().snapshots_installed > 0; }));
    CommitSome(&s, 5);
    s.RunForMillis(300);
    EXPECT_EQ(follower.transactions().table().Hash(),
              leader.transactions().table().Hash());
    s.Finish();
  }
}

// The leader keeps the snapshot's file and the log after it until the snapshot has
// arrived.
TEST(Scenario83, NewerSnapshotsAreTakenWhileOneIsSent_TheTransferGoesOn) {
  Scenario s(SmallSnapshots());
  CoordinatorNode& leader = s.Elect();
  CoordinatorNode& follower = *s.Others(leader)[0];
  s.CutFromPeers(follower);
  CommitSome(&s, 30);
  s.Hold([](const Packet& p) {
    const auto* message = As<raft::Message>(p);
    return message != nullptr &&
           std::holds_alternative<raft::SnapshotChunk>(message->body);
  });
  s.Reconnect(follower);
  ASSERT_TRUE(s.RunUntil([&] { return s.HeldCount() > 0; }));
  const auto installed = [&] {
    return follower.replica()->raft().counters().snapshots_installed;
  };
  for (int i = 0; i < 500 && installed() == 0; ++i) {
    bool first = true;
    s.Release([&first](const Packet&) { return std::exchange(first, false); });
    CommitSome(&s, 2);
  }
  ASSERT_EQ(installed(), 1u);
  const raft::Counters& counters = leader.replica()->raft().counters();
  EXPECT_GE(counters.snapshots_kept_for_a_transfer, 2u);
  EXPECT_EQ(counters.snapshots_restarted, 0u);
  CommitSome(&s, 5);
  s.RunForMillis(300);
  EXPECT_EQ(counters.snapshots_begun, 1u) << "it goes on from the log";
  EXPECT_EQ(follower.transactions().table().Hash(), leader.transactions().table().Hash());
  s.LetGo();
  s.Finish();
}

TEST(Scenario48, ClocksThatJumpFreezeAndDrift_SafetyIsUntouched) {
  Settings settings = Settings::Quiet();
  settings.clients = 5;
  settings.client.odd_percent = 30;
  settings.participant.store.accounts = 30;
  Scenario s(settings);
  s.Elect();
  LocalClock& one = s.world().ClockOf(s.node(0).process());
  LocalClock& two = s.world().ClockOf(s.node(1).process());
  LocalClock& three = s.world().ClockOf(s.node(2).process());
  one.SetRate(0);
  s.RunForMillis(800);
  one.SetRate(1000);
  two.JumpAhead(Duration::Seconds(3600));
  s.RunForMillis(800);
  three.SetRate(3000);
  one.SetRate(300);
  s.RunForMillis(800);
  for (LocalClock* clock : {&one, &two, &three}) {
    clock->SetWall(-3'600'000'000);  // the time of day has no effect
    clock->SetRate(1000);
  }
  const uint64_t commits = s.judge().commits();
  s.RunForMillis(500);
  EXPECT_GT(s.judge().commits(), commits);
  for (const auto& client : s.simulation().clients()) client->Stop();
  s.Finish();
}

TEST(Scenario49, LeadersDiskStalls_LeadershipMoves) {
  Scenario s;
  CoordinatorNode& slow = s.Elect();
  slow.SetFlushTime(Duration::Seconds(2), Duration::Seconds(2));
  const Transfer t = s.BeginTransfer();
  (void)s.Commit(slow, t);
  CoordinatorNode& leader = s.ElectOther(slow);
  EXPECT_LT(s.world().now(), Timestamp::FromMicros(3'000'000));
  EXPECT_EQ(s.Await(s.Commit(leader, t)).outcome, Outcome::kCommitted);
  s.Finish();
}

TEST(Scenario47, OneWayPartition_OneStableLeaderAndProgress) {
  Scenario s;
  CoordinatorNode& leader = s.Elect();
  // The leader receives everything, but its packets are lost.
  for (const CoordinatorNode* other : s.Others(leader)) {
    s.world().network().Block(leader.process(), other->process());
  }
  CoordinatorNode& next = s.ElectOther(leader);
  CommitSome(&s, 5);
  const Term term = next.replica()->raft().term();
  s.RunFor(Duration::Seconds(5));
  // The node that is cut off does not disturb the others.
  EXPECT_TRUE(next.IsReadyLeader());
  EXPECT_EQ(next.replica()->raft().term(), term);
  CommitSome(&s, 5);
  s.Finish();
}

TEST(Scenario51, EveryNode_HasTheSameTableAtTheSameIndex) {
  Settings settings = Settings::Quiet();
  settings.clients = 6;
  settings.services = 1;
  settings.client.odd_percent = 60;
  settings.node.replica.snapshot_entries = 50;
  settings.participant.store.accounts = 20;
  Scenario s(settings);
  s.Elect();
  s.RunForMillis(3000);
  for (const auto& client : s.simulation().clients()) client->Stop();
  s.Finish();
  s.RunForMillis(500);
  std::map<LogIndex, uint64_t> hashes;
  for (size_t i = 0; i < 3; ++i) {
    const txn::TransactionTable& table = s.node(i).transactions().table();
    const auto [at, is_new] = hashes.emplace(table.last_applied(), table.Hash());
    EXPECT_EQ(at->second, table.Hash()) << "node " << i + 1;
    // The snapshot carries all of it.
    txn::TableRestore copy(table.group(), table.last_applied());
    const auto source = s.node(i).TakeTransactions();
    while (const auto portion = source->Next()) ASSERT_TRUE(copy.Append(*portion).ok());
    ASSERT_TRUE(copy.Finish().ok());
    EXPECT_EQ(copy.table().Hash(), table.Hash());
  }
  EXPECT_EQ(hashes.size(), 1u) << "not all nodes have applied everything";
}

TEST(Scenario52, DropDuplicateReorder_InvariantsHold) {
  Settings settings = Settings::Quiet();
  settings.clients = 5;
  settings.services = 1;
  settings.client.odd_percent = 50;
  settings.participant.store.accounts = 20;
  Scenario s(settings);
  LinkQuality bad;
  bad.max_delay = Duration::Millis(5);
  bad.loss_permille = 80;
  bad.duplicate_permille = 100;
  bad.reorder_permille = 300;
  bad.late_permille = 20;
  s.world().network().SetQuality(bad);
  s.RunFor(Duration::Seconds(6));
  EXPECT_GT(s.judge().commits(), 20u);
  EXPECT_GT(s.world().network().statistics().lost, 100u);
  EXPECT_GT(s.world().network().statistics().duplicated, 100u);
  for (const auto& client : s.simulation().clients()) client->Stop();
  s.Finish();
}

}  // namespace
}  // namespace concordat::simulation
