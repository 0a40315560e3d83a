// Functions that fail, stores that contradict the decision, disks that are full or fail.
#include <gmock/gmock.h>

#include "tests/unit/service/service_instance.h"

namespace concordat::participant::service {
namespace {

using ::testing::HasSubstr;
using wire::Code;

// --- what fails is repeated, and is visible ---

TEST_F(ServiceTest, FailedConfirm_IsAnsweredRetryWithItsWordsAndRepeated) {
  const BranchId id = Prepared(1, "1A");
  world_->FailNext("confirm", /*after_effect=*/false);
  const FinishResult first = Get(instance_->BeginCommit(id));
  EXPECT_EQ(first.state, FinishState::kRetry);
  EXPECT_THAT(first.detail, HasSubstr("confirm is out of order"));
  EXPECT_TRUE(Eventually([&] { return Seat("1A") == "sold"; })) << "nobody asked again";
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(world_->CallsOf("confirm"), 2U);
}

TEST_F(ServiceTest, ConfirmThatWasDoneButFailed_IsNotCalledAgain) {
  const BranchId id = Prepared(1, "1A");
  world_->FailNext("confirm", /*after_effect=*/true);
  EXPECT_EQ(instance_->Commit(id), FinishState::kRetry);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommitted);
  EXPECT_EQ(world_->CallsOf("confirm"), 1U);
  EXPECT_EQ(world_->CallsOf("lookup"), 1U);
}

TEST_F(ServiceTest, CancelThatWasDoneButFailed_IsNotCalledAgain) {
  const BranchId id = Booked(1, "1A");
  world_->FailNext("cancel", /*after_effect=*/true);
  EXPECT_EQ(instance_->Rollback(id), FinishState::kRetry);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->Rollback(id), FinishState::kDone);
  EXPECT_EQ(world_->CallsOf("cancel"), 1U);
}

TEST_F(ServiceTest, FailedLookup_IsRepeatedBeforeAnythingElse) {
  const BranchId id = Prepared(1, "1A");
  world_->FailNext("confirm", /*after_effect=*/false);
  world_->FailNext("lookup", false);
  world_->FailNext("lookup", false);
  EXPECT_EQ(instance_->Commit(id), FinishState::kRetry);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A"), "sold");
  EXPECT_EQ(world_->CallsOf("lookup"), 3U);
}

TEST_F(ServiceTest, StuckBranch_IsListedWithItsError) {
  const BranchId id = Prepared(1, "1A");
  for (int i = 0; i < 3; ++i) world_->FailNext("confirm", false);
  world_->Hold("lookup");
  EXPECT_EQ(instance_->Commit(id), FinishState::kRetry);
  const ServiceStats stats = instance_->rm().stats();
  ASSERT_EQ(stats.stuck.size(), 1U);
  EXPECT_EQ(stats.stuck[0].branch, id);
  EXPECT_EQ(stats.stuck[0].what, "confirm");
  EXPECT_EQ(stats.stuck[0].attempts, 1U);
  EXPECT_THAT(stats.stuck[0].last_error, HasSubstr("confirm is out of order"));
  EXPECT_EQ(instance_->LookUp(id), Evidence::kPrepared);
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("lookup") == 1; }));
  world_->Release();
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_TRUE(instance_->rm().stats().stuck.empty());
  EXPECT_EQ(instance_->rm().stats().failed_calls, 3U);
}

TEST_F(ServiceTest, OnePhaseWhoseConfirmFails_IsUnknownUntilItIsDone) {
  const BranchId id = Booked(1, "1A");
  world_->FailNext("confirm", false);
  world_->Hold("lookup");
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kUnknown);
  EXPECT_EQ(instance_->LookUp(id), Evidence::kUnknown);
  EXPECT_EQ(instance_->Rollback(id), FinishState::kRetry) << "a Confirm was called";
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("lookup") == 1; }));
  world_->Release();
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
}

TEST_F(ServiceTest, SeveralInOnePhaseWhoseConfirmFails_AreCommittedAllTheSame) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  world_->FailNext("confirm", false);
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted)
      << "the decision is on disk";
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A") + Seat("1B"), "soldsold");
}

TEST_F(ServiceTest, ConflictWhoseCancelFails_IsToldAndCancelledLater) {
  const BranchId first = Booked(1, "1A");
  const BranchId second = Booked(2, "1B");
  world_->FailNext("cancel", false);
  EXPECT_EQ(instance_->Execute(second, "book 1A", 2).result.code, Code::CONFLICT);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1B"), "free");
  EXPECT_EQ(Seat("1A"), "held");
  EXPECT_EQ(instance_->Rollback(first), FinishState::kDone);
}

// --- a store that contradicts the decision ---

class ContradictionTest : public ServiceTest {
 protected:
  void Set(const BranchId& id, uint64_t number, State state) {
    MutexLock lock(&world_->mutex);
    world_->store.rows.at(Reservation{id, number}.Id()).state = state;
  }
  void Lose(const BranchId& id) {
    MutexLock lock(&world_->mutex);
    world_->store.rows.erase(Reservation{id, 1}.Id());
  }
};

TEST_F(ContradictionTest, CommitOfWhatIsCancelled_IsAHeuristicRollback) {
  const BranchId id = Prepared(1, "1A");
  PowerCycle();
  Set(id, 1, State::kCancelled);
  EXPECT_EQ(Recovered(), std::vector<BranchId>{id});
  EXPECT_EQ(instance_->Commit(id), FinishState::kHeuristicRollback);
  EXPECT_EQ(instance_->Commit(id), FinishState::kHeuristicRollback) << "said again";
  EXPECT_EQ(world_->CallsOf("confirm"), 0U);
  EXPECT_EQ(instance_->rm().stats().contradictions, 1U);
  PowerCycle();
  EXPECT_EQ(Recovered(), std::vector<BranchId>{id}) << "kept until the watermark passes";
  EXPECT_EQ(instance_->Commit(id), FinishState::kHeuristicRollback);
  instance_->rm().ForgetBelow(ServiceInstance::IdOf(2, 2).gtid);
  EXPECT_EQ(instance_->LookUp(id), Evidence::kNone);
}

TEST_F(ContradictionTest, CommitOfWhatIsNotThere_IsAHeuristicHazard) {
  const BranchId id = Prepared(1, "1A");
  PowerCycle();
  Lose(id);
  EXPECT_EQ(Recovered(), std::vector<BranchId>{id});
  EXPECT_EQ(instance_->Commit(id), FinishState::kHeuristicHazard);
}

TEST_F(ContradictionTest, RollbackOfWhatIsConfirmed_IsAHeuristicCommit) {
  const BranchId id = Prepared(1, "1A");
  world_->FailNext("cancel", false);
  world_->Hold("lookup");
  EXPECT_EQ(instance_->Rollback(id), FinishState::kRetry);
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("lookup") == 1; }));
  Set(id, 1, State::kConfirmed);
  world_->Release();
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->Rollback(id), FinishState::kHeuristicCommit);
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommitted);
}

TEST_F(ContradictionTest, HalfOfTheBranchConfirmed_IsAHeuristicMixed) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  ASSERT_EQ(instance_->Prepare(id), Vote::kPrepared);
  PowerCycle();
  Set(id, 2, State::kCancelled);
  EXPECT_EQ(Recovered(), std::vector<BranchId>{id});
  EXPECT_EQ(instance_->Commit(id), FinishState::kHeuristicMixed);
  EXPECT_EQ(Seat("1A"), "sold");
}

// --- the disk ---

TEST_F(ServiceTest, FullDisk_RefusesNewWorkAndKeepsPromises) {
  const BranchId promised = Prepared(1, "1A");
  const BranchId working = Booked(2, "1B");
  env_->SetCapacity(env_->used_bytes());
  std::optional<BranchId> refused;
  for (uint64_t number = 3; number < 20'000 && !refused; ++number) {
    const BranchId id = ServiceInstance::IdOf(number, number);
    const absl::Status started = instance_->rm().Start(id, {id.gtid, ""});
    if (!started.ok()) {
      EXPECT_TRUE(absl::IsResourceExhausted(started)) << started;
      refused = id;
      break;
    }
    (void)instance_->Execute(id, "book 9");
    EXPECT_EQ(instance_->Rollback(id), FinishState::kDone);
  }
  ASSERT_TRUE(refused.has_value());
  const size_t tries = world_->CallsOf("try");
  EXPECT_EQ(instance_->Execute(working, "book 1C", 2).result.code, Code::OVERLOADED);
  EXPECT_EQ(world_->CallsOf("try"), tries) << "nothing was tried";
  EXPECT_EQ(instance_->Prepare(working), Vote::kRefused);
  EXPECT_EQ(Seat("1B"), "free") << "a refused branch leaves nothing";
  EXPECT_EQ(instance_->Commit(promised), FinishState::kDone);
  EXPECT_EQ(Seat("1A"), "sold");
}

using ServiceDeathTest = ServiceTest;

TEST_F(ServiceDeathTest, FailedFlush_EndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        const BranchId id = Booked(1, "1A");
        env_->FailNextSync();
        (void)instance_->Prepare(id);
      },
      ::testing::ExitedWithCode(74), "");
}

}  // namespace
}  // namespace concordat::participant::service
