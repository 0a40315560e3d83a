// Tests of the simulator itself: its runs are repeatable, and it finds what it should.
#include <gtest/gtest.h>

#include "tests/simulation/scenario.h"

namespace concordat::simulation {
namespace {

uint64_t FingerprintOf(uint64_t seed) {
  Simulation simulation(Settings::FromSeed(seed));
  simulation.Run();
  EXPECT_FALSE(simulation.world().failed()) << simulation.world().failure();
  return simulation.world().fingerprint();
}

TEST(Simulator, OneSeed_RepeatsExactly) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    EXPECT_EQ(FingerprintOf(seed), FingerprintOf(seed));
  }
  EXPECT_NE(FingerprintOf(1), FingerprintOf(2));
}

TEST(EventQueue, EventsOfOneTime_RunInTheOrderOfScheduling) {
  EventQueue queue;
  std::vector<int> order;
  const Timestamp later = queue.now() + Duration::Millis(1);
  queue.At(later, [&] { order.push_back(2); });
  queue.At(queue.now(), [&] { order.push_back(1); });
  queue.At(later, [&] { order.push_back(3); });
  while (queue.RunNext()) {
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(queue.now(), later);
}

TEST(LocalClock, RunsFastStandsStillAndJumps) {
  EventQueue queue;
  LocalClock clock(&queue);
  const auto run_to = [&queue](int64_t ms) {
    queue.At(Timestamp::FromMicros(ms * 1000), [] {});
    queue.RunNext();
  };
  run_to(10);
  EXPECT_EQ(clock.Now(), Timestamp::FromMicros(10'000));
  clock.SetRate(2000);
  run_to(20);
  EXPECT_EQ(clock.Now(), Timestamp::FromMicros(30'000));
  clock.SetRate(0);
  run_to(50);
  EXPECT_EQ(clock.Now(), Timestamp::FromMicros(30'000));
  clock.JumpAhead(Duration::Seconds(1));
  EXPECT_EQ(clock.Now(), Timestamp::FromMicros(1'030'000));
}

TEST(Network, PartitionStopsOneDirection) {
  EventQueue queue;
  std::vector<ProcessId> heard;
  Network network(&queue, 1, [&](const Packet& packet) { heard.push_back(packet.to); });
  LinkQuality quality;
  quality.held_percent = 0;
  network.SetQuality(quality);
  network.Block(ProcessId(1), ProcessId(2));
  network.Send({ProcessId(1), ProcessId(2), {}, BeginCall{}});
  network.Send({ProcessId(2), ProcessId(1), {}, BeginCall{}});
  while (queue.RunNext()) {
  }
  EXPECT_EQ(heard, std::vector<ProcessId>{ProcessId(1)});
}

// The judge must report each of these violations.
class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() : world_(1), judge_(&world_, GroupId(1)) {
    for (BranchId* branch : {&a_, &b_}) {
      branch->gtid = gtid_;
      branch->incarnation = Incarnation(7);
      judge_.OnStarted(*branch);
    }
  }
  void Apply(const txn::Record& record) {
    judge_.OnApplied(NodeId(1), next_, Term(1),
                     group::JoinCommand(txn::kMachine, txn::EncodeRecord(record)));
    next_ = next_.Next();
  }
  void Stage(CommitMode mode = CommitMode::kDecided) {
    Apply(txn::StagedRecord{gtid_, {a_, b_}, 100, mode});
  }
  void Decide(Outcome outcome) {
    txn::DecidedRecord record;
    record.gtid = gtid_;
    record.outcome = outcome;
    if (outcome == Outcome::kAborted) record.cause = AbortCause::kTimedOut;
    Apply(record);
  }
  void PrepareBoth() {
    judge_.OnPrepared(a_, -5);
    judge_.OnPrepared(b_, 5);
  }

  World world_;
  Judge judge_;
  const Gtid gtid_{GroupId(1), Term(1), 1};
  BranchId a_{gtid_, "bank-a", Incarnation(7), 1};
  BranchId b_{gtid_, "bank-b", Incarnation(7), 1};
  LogIndex next_{1};
};

TEST_F(JudgeTest, AWholeCommit_IsInOrder) {
  Stage();
  PrepareBoth();
  Decide(Outcome::kCommitted);
  judge_.OnOutcomeSent(NodeId(1), gtid_, Outcome::kCommitted);
  judge_.OnClientTold(gtid_, Outcome::kCommitted);
  judge_.OnCommitted(a_);
  judge_.OnCommitted(b_);
  judge_.CheckAllSettled();
  EXPECT_FALSE(world_.failed()) << world_.failure();
}

TEST_F(JudgeTest, CommitWithoutADecision_IsSeen) {
  Stage();
  PrepareBoth();
  judge_.OnCommitted(a_);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, RollbackOfAPreparedBranchWithoutADecision_IsSeen) {
  PrepareBoth();
  judge_.OnVoteSent(a_, Vote::kPrepared);
  judge_.OnRolledBack(a_);
  EXPECT_TRUE(world_.failed());
}

// X/Open DTP, 2.3.2, allows it.
TEST_F(JudgeTest, RollbackOfABranchThatHasNotVoted_IsNoMistake) {
  PrepareBoth();
  judge_.OnRolledBack(a_);
  EXPECT_FALSE(world_.failed()) << world_.failure();
}

TEST_F(JudgeTest, StagedAndDecided_WithABranchThatHasNotPrepared_IsSeen) {
  judge_.OnPrepared(a_, 0);
  txn::StagedRecord record{gtid_, {a_, b_}, 100, CommitMode::kDecided};
  record.all_prepared = true;
  Apply(record);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, DecisionToCommitWithABranchThatHasNotPrepared_IsSeen) {
  Stage();
  judge_.OnPrepared(a_, 0);
  Decide(Outcome::kCommitted);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, MoneyFromNothing_IsSeen) {
  Stage();
  judge_.OnPrepared(a_, -5);
  judge_.OnPrepared(b_, 6);
  Decide(Outcome::kCommitted);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, EarlyAnswerInModeDecided_IsSeen) {
  Stage(CommitMode::kDecided);
  PrepareBoth();
  judge_.OnOutcomeSent(NodeId(1), gtid_, Outcome::kCommitted);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, EarlyAnswerInModeParallel_IsTrueAndBindsTheDecision) {
  Stage(CommitMode::kParallel);
  PrepareBoth();
  judge_.OnOutcomeSent(NodeId(1), gtid_, Outcome::kCommitted);
  EXPECT_FALSE(world_.failed());
  Decide(Outcome::kAborted);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, AbortedAnsweredBeforeItIsLogCommitted_IsSeen) {
  judge_.OnOutcomeSent(NodeId(1), gtid_, Outcome::kAborted);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, EndedWithABranchInDoubt_IsSeen) {
  Stage();
  PrepareBoth();
  Decide(Outcome::kCommitted);
  judge_.OnCommitted(a_);
  Apply(txn::EndedRecord{{gtid_}});
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, OtherStateAtTheSameIndex_IsSeen) {
  Stage();
  judge_.OnStateHash(NodeId(2), LogIndex(1), 12345);
  EXPECT_TRUE(world_.failed());
}

TEST_F(JudgeTest, BranchIdUsedTwice_IsSeen) {
  judge_.OnStarted(a_);
  EXPECT_TRUE(world_.failed());
}

}  // namespace
}  // namespace concordat::simulation
