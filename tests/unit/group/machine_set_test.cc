// Several machines share a group, and each gets only what is for it.
#include "coordinator/group/machine_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/counter_machine.h"

namespace concordat::group {
namespace {

using concordat::testing::AddCommand;
using concordat::testing::CounterAnswer;
using concordat::testing::CounterMachine;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr MachineId kFirst{1};
constexpr MachineId kSecond{7};
constexpr Timestamp kNow;

class MachineSetTest : public ::testing::Test {
 protected:
  void Lead() {
    set_.BecomeLeader(Term(1), kNow);
    set_.LeaderReady(Term(1), kNow);
  }
  void ApplyAll(const std::vector<std::string>& commands) {
    for (const std::string& command : commands) {
      ASSERT_TRUE(set_.Check(command).ok());
      index_ = index_.Next();
      ASSERT_TRUE(set_.Apply(index_, command, kNow).ok());
    }
  }
  std::vector<std::string> Portions() {
    std::vector<std::string> portions;
    const auto source = set_.TakeSnapshot();
    while (auto portion = source->Next()) portions.push_back(*std::move(portion));
    return portions;
  }

  CounterMachine first_;
  CounterMachine second_;
  MachineSet set_{{{kFirst, &first_}, {kSecond, &second_}}};
  LogIndex index_;
};

TEST_F(MachineSetTest, Commands_CarryTheirMachinesNumberAndReachItAlone) {
  Lead();
  first_.Add(1, "a", 5);
  second_.Add(2, "b", 7);
  const std::vector<std::string> proposals = set_.TakeProposals();
  ASSERT_EQ(proposals.size(), 2u);
  EXPECT_EQ(proposals[0][0], 1);
  EXPECT_EQ(proposals[1][0], 7);
  ApplyAll(proposals);
  EXPECT_THAT(first_.counters(), ElementsAre(Pair("a", 5)));
  EXPECT_THAT(second_.counters(), ElementsAre(Pair("b", 7)));
  EXPECT_EQ(first_.last_applied(), LogIndex(1));
  EXPECT_EQ(second_.last_applied(), LogIndex(2));
}

TEST_F(MachineSetTest, CommandOfAMachineThatIsNotHere_IsNotKnown) {
  const std::string command = JoinCommand(MachineId(3), EncodeCommand(AddCommand{}));
  EXPECT_TRUE(absl::IsUnimplemented(set_.Check(command)));
  EXPECT_TRUE(absl::IsUnimplemented(set_.Apply(LogIndex(1), command, kNow)));
  EXPECT_TRUE(absl::IsDataLoss(set_.Check("")));
  EXPECT_TRUE(absl::IsUnimplemented(set_.Check(JoinCommand(kFirst, "\x63"))))
      << "the machine itself knows only its own versions";
}

// Both machines use the same number, for different reads.
TEST_F(MachineSetTest, Reads_ReachTheMachineThatAsked) {
  Lead();
  first_.Add(1, "x", 5);
  second_.Add(1, "x", 7);
  ApplyAll(set_.TakeProposals());
  (void)first_.TakeAnswers();
  (void)second_.TakeAnswers();
  first_.Read(9, "x");
  second_.Read(9, "x");
  const std::vector<ReadToken> reads = set_.TakeReads();
  ASSERT_EQ(reads.size(), 2u);
  ASSERT_NE(reads[0], reads[1]);
  set_.OnReadConfirmed(reads[1], kNow);
  EXPECT_THAT(first_.TakeAnswers(), IsEmpty());
  const std::vector<CounterAnswer> answers = second_.TakeAnswers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].value, 7u);
  set_.LoseLeadership(kNow);
  (void)first_.TakeAnswers();
  set_.OnReadConfirmed(reads[0], kNow);
  EXPECT_THAT(first_.TakeAnswers(), IsEmpty()) << "it was answered when it lost";
}

TEST_F(MachineSetTest, Snapshot_HasASectionForEach) {
  Lead();
  for (int i = 0; i < 10; ++i) {
    first_.Add(1, "a" + std::to_string(i), 1);
    second_.Add(1, "b" + std::to_string(i), 1);
  }
  ApplyAll(set_.TakeProposals());
  const std::vector<std::string> portions = Portions();
  CounterMachine first;
  CounterMachine second;
  MachineSet other({{kFirst, &first}, {kSecond, &second}});
  const auto restore = other.BeginRestore(LogIndex(20));
  for (const std::string& portion : portions) ASSERT_TRUE(restore->Append(portion).ok());
  ASSERT_TRUE(restore->Finish().ok());
  EXPECT_THAT(first.counters(), IsEmpty()) << "not before it is installed";
  restore->Install();
  EXPECT_EQ(first.counters(), first_.counters());
  EXPECT_EQ(second.digest(), second_.digest());
}

TEST_F(MachineSetTest, SnapshotWithoutASection_IsIncomplete) {
  MachineSet alone({{kFirst, &first_}});
  const auto restore = set_.BeginRestore(LogIndex(1));
  const auto source = alone.TakeSnapshot();
  while (const auto portion = source->Next()) {
    ASSERT_TRUE(restore->Append(*portion).ok());
  }
  EXPECT_TRUE(absl::IsDataLoss(restore->Finish()));
}

TEST_F(MachineSetTest, SectionOfAMachineThatIsNotHere_IsNotKnown) {
  MachineSet alone({{kFirst, &first_}});
  const auto restore = alone.BeginRestore(LogIndex(1));
  absl::Status status;
  for (const std::string& portion : Portions()) {
    if (status.ok()) status = restore->Append(portion);
  }
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
}

// Its number may be in use again by then.
TEST_F(MachineSetTest, ReadOfALeadershipThatIsLost_ConfirmsNoLaterOne) {
  Lead();
  first_.Read(9, "x");
  const std::vector<ReadToken> before = set_.TakeReads();
  set_.LoseLeadership(kNow);
  (void)first_.TakeAnswers();
  set_.BecomeLeader(Term(2), kNow);
  set_.LeaderReady(Term(2), kNow);
  first_.Read(9, "x");
  const std::vector<ReadToken> after = set_.TakeReads();
  set_.OnReadConfirmed(before.at(0), kNow);
  EXPECT_THAT(first_.TakeAnswers(), IsEmpty());
  set_.OnReadConfirmed(after.at(0), kNow);
  EXPECT_EQ(first_.TakeAnswers().size(), 1u);
}

// Has work and timers as the test says, and no commands.
class BusyMachine final : public StateMachine {
 public:
  absl::Status Check(std::string_view) const override { return absl::OkStatus(); }
  absl::Status Apply(LogIndex, std::string_view, Timestamp) override {
    return absl::OkStatus();
  }
  void BecomeLeader(Term, Timestamp) override {}
  void LeaderReady(Term, Timestamp) override {}
  void LoseLeadership(Timestamp) override {}
  void AdmitNewWork(bool admit) override { admits = admit; }
  void Tick(Timestamp now) override { ticked = now; }
  bool HasMoreWork() const override { return more; }
  Timestamp NextTimer() const override { return next; }
  std::vector<std::string> TakeProposals() override { return {}; }
  std::vector<ReadToken> TakeReads() override { return {}; }
  void OnReadConfirmed(ReadToken, Timestamp) override {}
  std::unique_ptr<SnapshotSource> TakeSnapshot() override { return nullptr; }
  std::unique_ptr<SnapshotRestore> BeginRestore(LogIndex) override { return nullptr; }

  bool admits = true;
  bool more = false;
  Timestamp ticked;
  Timestamp next = Timestamp::Infinite();
};

TEST(MachineSet, WorkTimersTimeAndRoom_AreThoseOfAllMachines) {
  BusyMachine machines[2];
  MachineSet set({{kFirst, &machines[0]}, {kSecond, &machines[1]}});
  EXPECT_FALSE(set.HasMoreWork());
  EXPECT_EQ(set.NextTimer(), Timestamp::Infinite());
  const Timestamp now = Timestamp::FromMicros(7);
  set.AdmitNewWork(false);
  set.Tick(now);
  for (BusyMachine& machine : machines) {
    EXPECT_FALSE(machine.admits);
    EXPECT_EQ(machine.ticked, now);
    machine.more = true;
    machine.next = now;
    EXPECT_TRUE(set.HasMoreWork());
    EXPECT_EQ(set.NextTimer(), now);
    machine.more = false;
    machine.next = Timestamp::Infinite();
  }
}

}  // namespace
}  // namespace concordat::group
