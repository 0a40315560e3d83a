// What a crash leaves, and what is done about it.
#include <gmock/gmock.h>

#include "tests/unit/service/service_instance.h"

namespace concordat::participant::service {
namespace {

using ::testing::HasSubstr;
using wire::Code;

TEST_F(ServiceTest, ActiveBranch_IsCancelledAfterACrash) {
  const BranchId id = Booked(1, "1A");
  PowerCycle();
  EXPECT_EQ(Seat("1A"), "held");
  EXPECT_TRUE(Recovered().empty());
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A"), "free");
  EXPECT_EQ(instance_->LookUp(id), Evidence::kNone);
  EXPECT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(instance_->Prepare(id), Vote::kLost);
}

TEST_F(ServiceTest, PreparedBranch_IsInDoubtAfterACrashUntilTold) {
  const BranchId sold = Prepared(1, "1A");
  const BranchId freed = Prepared(2, "1B");
  PowerCycle();
  EXPECT_EQ(Recovered(), (std::vector<BranchId>{sold, freed}));
  EXPECT_EQ(instance_->LookUp(sold), Evidence::kPrepared);
  EXPECT_EQ(instance_->Prepare(sold), Vote::kPrepared);
  EXPECT_EQ(Seat("1A") + Seat("1B"), "heldheld");
  EXPECT_EQ(instance_->Commit(sold), FinishState::kDone);
  EXPECT_EQ(instance_->Rollback(freed), FinishState::kDone);
  EXPECT_EQ(Seat("1A") + Seat("1B"), "soldfree");
}

TEST_F(ServiceTest, AcknowledgedCommitWhoseRecordWasLost_IsFoundByLookup) {
  const BranchId id = Prepared(1, "1A");
  ASSERT_EQ(instance_->Commit(id), FinishState::kDone);
  PowerCycle();
  EXPECT_TRUE(Recovered().empty()) << "it is not in doubt any more";
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommitted);
  EXPECT_EQ(world_->CallsOf("confirm"), 0U);
}

TEST_F(ServiceTest, OnePhaseWhoseRecordWasLost_IsFoundByLookup) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
  PowerCycle();
  EXPECT_TRUE(Recovered().empty());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A"), "sold");
  EXPECT_EQ(world_->CallsOf("cancel"), 0U);
}

TEST_F(ServiceTest, OnePhaseAfterARefusedTry_IsFoundByLookup) {
  ASSERT_EQ(instance_->CommitOnePhase(Booked(1, "1A")), OnePhase::kCommitted);
  const BranchId id = instance_->Start(2);
  ASSERT_EQ(instance_->Execute(id, "book 1A").result.code, Code::CONDITION_FAILED);
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  ASSERT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
  PowerCycle();
  EXPECT_TRUE(Recovered().empty());
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
}

TEST_F(ServiceTest, OnePhaseOfTwo_IsConfirmedToTheEndAfterACrash) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  world_->Hold("confirm");
  auto [done, result] = Later<OnePhaseResult>();
  instance_->rm().CommitOnePhase(id, std::move(done));
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("confirm") == 1; }));
  PowerCycle();
  EXPECT_TRUE(Recovered().empty());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A") + Seat("1B"), "soldsold");
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
}

TEST_F(ServiceTest, CommitHalfDone_ConfirmsOnlyTheRestAfterACrash) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  ASSERT_EQ(instance_->Prepare(id), Vote::kPrepared);
  {
    const Reservation first{id, 1};
    MutexLock lock(&world_->mutex);
    world_->store.rows.at(first.Id()).state = State::kConfirmed;
  }
  PowerCycle();
  EXPECT_EQ(Recovered(), std::vector<BranchId>{id});
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  const Reservation second{id, 2};
  EXPECT_EQ(world_->Calls().back(), "confirm " + second.Id());
  EXPECT_EQ(world_->CallsOf("confirm"), 1U);
}

TEST_F(ServiceTest, RollbackOfAPreparedBranchWhoseRecordWasLost_IsDoneAgainByLookup) {
  for (const bool forgetful : {false, true}) {
    {
      MutexLock lock(&world_->mutex);
      world_->forgetful = forgetful;
    }
    const uint64_t number = forgetful ? 2 : 1;
    const BranchId id = Prepared(number, "1A");
    ASSERT_EQ(instance_->Rollback(id), FinishState::kDone);
    PowerCycle();
    EXPECT_EQ(Recovered(), std::vector<BranchId>{id}) << "told again, it is not lost";
    EXPECT_EQ(instance_->Rollback(id), FinishState::kDone);
    EXPECT_EQ(world_->CallsOf("cancel"), forgetful ? 1U : 0U);
    EXPECT_EQ(Seat("1A"), "free");
  }
}

TEST_F(ServiceTest, Recovery_WaitsForAStoreThatDoesNotAnswer) {
  const BranchId id = Prepared(1, "1A");
  PowerCycle();
  for (int i = 0; i < 4; ++i) world_->FailNext("lookup", false);
  world_->Hold("lookup");
  auto recovered = instance_->BeginRecover();
  EXPECT_EQ(recovered.wait_for(std::chrono::milliseconds(40)),
            std::future_status::timeout);
  EXPECT_EQ(instance_->LookUp(id), Evidence::kPrepared);
  world_->Release();
  const auto in_doubt = Get(std::move(recovered));
  ASSERT_TRUE(in_doubt.ok()) << in_doubt.status();
  EXPECT_EQ(*in_doubt, std::vector<BranchId>{id});
  EXPECT_EQ(world_->CallsOf("lookup"), 5U);
}

TEST_F(ServiceTest, CloseWhileRecovering_Returns) {
  (void)Prepared(1, "1A");
  PowerCycle();
  {
    MutexLock lock(&world_->mutex);
    world_->failures["lookup"].assign(1'000'000, false);
  }
  auto recovered = instance_->BeginRecover();
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("lookup") > 2; }));
  instance_->rm().Close();
  EXPECT_TRUE(absl::IsCancelled(Get(std::move(recovered)).status()));
}

// A branch that was in doubt at a crash finds what it has missed only by Lookup, if
// nobody else knows it any more: the coordinator forgets an acknowledged branch.
TEST_F(ServiceTest, CancelThatFailsAfterACrash_LeavesTheEvidenceOpen) {
  const BranchId id = Booked(1, "1A");
  PowerCycle();
  {
    MutexLock lock(&world_->mutex);
    world_->failures["cancel"].assign(3, false);
  }
  world_->Hold("cancel");
  EXPECT_TRUE(Recovered().empty());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kUnknown)
      << "a commit in one phase may still arrive at the store";
  world_->Release();
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->LookUp(id), Evidence::kNone);
}

// --- evidence ---

TEST_F(ServiceTest, Evidence_IsKeptUntilTheWatermarkPasses) {
  const BranchId old = Booked(1, "1A");
  ASSERT_EQ(instance_->CommitOnePhase(old), OnePhase::kCommitted);
  const BranchId young = Prepared(2, "1B");
  ASSERT_EQ(instance_->Commit(young), FinishState::kDone);
  instance_->rm().ForgetBelow(Gtid{GroupId(2), Term(9), 9});
  EXPECT_EQ(instance_->LookUp(old), Evidence::kCommittedAlone) << "another group's";
  instance_->rm().ForgetBelow(young.gtid);
  EXPECT_EQ(instance_->LookUp(old), Evidence::kNone);
  EXPECT_EQ(instance_->LookUp(young), Evidence::kCommitted);
  instance_->rm().Close();
  PowerCycle();
  EXPECT_TRUE(Recovered().empty());
  EXPECT_EQ(instance_->LookUp(young), Evidence::kCommitted);
}

TEST_F(ServiceTest, Forget_PassesNothingThatLookupMayBeAskedAbout) {
  const BranchId first = Prepared(1, "1A");
  const BranchId second = Booked(2, "1B");
  ASSERT_EQ(instance_->CommitOnePhase(second), OnePhase::kCommitted);
  const uint64_t before = instance_->rm().flush_count();
  instance_->rm().ForgetBelow(ServiceInstance::IdOf(5, 5).gtid);
  const auto forgotten = [this] {
    MutexLock lock(&world_->mutex);
    return world_->forgotten;
  };
  ASSERT_TRUE(Eventually([&] { return forgotten().size() == 1; }));
  EXPECT_EQ(forgotten()[0], first.gtid) << "an open branch holds it back";
  EXPECT_GT(instance_->rm().flush_count(), before) << "the end of the second is on disk";
  ASSERT_EQ(instance_->Commit(first), FinishState::kDone);
  instance_->rm().ForgetBelow(ServiceInstance::IdOf(6, 6).gtid);
  ASSERT_TRUE(Eventually([&] { return forgotten().size() == 2; }));
  EXPECT_EQ(forgotten()[1], ServiceInstance::IdOf(6, 6).gtid);
  PowerCycle();
  EXPECT_TRUE(Recovered().empty());
  EXPECT_EQ(world_->CallsOf("lookup"), 0U);
}

// --- the folder ---

TEST_F(ServiceTest, FolderOfAnotherClusterOrInUse_IsRefused) {
  ServiceInstance second(env_.get(), world_.get());
  const absl::Status in_use = second.Recover().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(in_use)) << in_use;
  instance_->rm().Close();
  ServiceInstance third(env_.get(), world_.get());
  const absl::Status foreign = third.Recover(ClusterId(8)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(foreign)) << foreign;
  EXPECT_THAT(std::string(foreign.message()), HasSubstr("another cluster"));
  third.rm().Close();
  ServiceInstance fourth(env_.get(), world_.get());
  const absl::Status again = fourth.Recover().status();
  EXPECT_TRUE(again.ok()) << again;
}

TEST_F(ServiceTest, Scenario78_FolderWithoutItsLog_IsNotServedAsAnEmptyOne) {
  instance_->rm().Close();
  const auto files = env_->List("/seats/wal");
  ASSERT_TRUE(files.ok());
  for (const std::string& file : *files) {
    ASSERT_TRUE(env_->Remove("/seats/wal/" + file).ok());
  }
  ServiceInstance again(env_.get(), world_.get());
  const absl::Status missing = again.Recover().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("does not hold log"));
}

TEST_F(ServiceTest, FolderWithOtherFiles_IsRefused) {
  ASSERT_TRUE(env_->CreateDir("/other").ok());
  ASSERT_TRUE(WriteWholeFile(env_.get(), "/other", "seats.db", "x").ok());
  ServiceResourceManager rm("/other", std::make_unique<ModelService>(world_.get()),
                            SmallOptions(), env_.get());
  auto [done, result] = Later<absl::StatusOr<std::vector<BranchId>>>();
  rm.Recover(kCluster, std::move(done));
  const absl::Status status = Get(std::move(result)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("seats.db"));
}

TEST_F(ServiceTest, StoreId_StaysTheSame) {
  const std::string id = instance_->rm().store_id();
  EXPECT_EQ(id.size(), 16U);
  PowerCycle();
  (void)Recovered();
  EXPECT_EQ(instance_->rm().store_id(), id);
}

TEST_F(ServiceTest, Generation_IsKeptInTheFolderWhenPowerIsLost) {
  EXPECT_EQ(instance_->rm().generation(), 0U);
  auto [done, result] = Later<absl::Status>();
  instance_->rm().SetGeneration(17, std::move(done));
  EXPECT_TRUE(Get(std::move(result)).ok());
  PowerCycle();
  (void)Recovered();
  EXPECT_EQ(instance_->rm().generation(), 17U);
}

TEST_F(ServiceTest, Close_KeepsPreparedBranchesOnly) {
  const BranchId prepared = Prepared(1, "1A");
  (void)Booked(2, "1B");
  instance_->rm().Close();
  EXPECT_EQ(Seat("1B"), "free");
  PowerCycle();
  EXPECT_EQ(Recovered(), std::vector<BranchId>{prepared});
}

// --- checkpoints ---

TEST_F(ServiceTest, Checkpoint_HoldsWhatIsOpenAndTheEvidence) {
  const BranchId active = Booked(1, "1A");
  const BranchId prepared = Prepared(2, "1B");
  const BranchId committed = Prepared(3, "1C");
  ASSERT_EQ(instance_->Commit(committed), FinishState::kDone);
  ASSERT_EQ(instance_->CommitOnePhase(Booked(4, "1D")), OnePhase::kCommitted);
  ASSERT_TRUE(instance_->rm().Checkpoint().ok());
  ASSERT_EQ(instance_->Rollback(Booked(5, "1E")), FinishState::kDone);
  PowerCycle();
  EXPECT_EQ(Recovered(), std::vector<BranchId>{prepared});
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(instance_->LookUp(active), Evidence::kNone);
  EXPECT_EQ(instance_->LookUp(committed), Evidence::kCommitted);
  EXPECT_EQ(instance_->LookUp(ServiceInstance::IdOf(4, 4)), Evidence::kCommittedAlone);
  EXPECT_EQ(Seat("1A"), "free");
  EXPECT_EQ(Seat("1E"), "free");
}

TEST_F(ServiceTest, DamagedCheckpoint_IsReportedNotBelieved) {
  (void)Prepared(1, "1A");
  ASSERT_TRUE(instance_->rm().Checkpoint().ok());
  PowerCycle();
  env_->FlipBit("/seats/checkpoint", 20, 3);
  const absl::Status status = instance_->Recover().status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/seats/checkpoint"));
}

TEST_F(ServiceTest, LogAndStartUp_StayBoundedOverManyBranches) {
  End();
  env_ = std::make_unique<FaultEnv>(3);
  ServiceOptions options = SmallOptions();
  options.journal.checkpoint_bytes = 32 << 10;
  instance_ = std::make_unique<ServiceInstance>(env_.get(), world_.get(), options);
  ASSERT_TRUE(instance_->Recover().ok());
  uint64_t most = 0;
  for (uint64_t i = 1; i <= 3000; ++i) {
    const BranchId id = Prepared(i, "s");
    ASSERT_EQ(instance_->Rollback(id), FinishState::kDone);
    most = std::max(most, env_->used_bytes());
  }
  EXPECT_LT(most, 1U << 20) << "6000 flushes write some 3 MiB of sectors";
  instance_->rm().Close();
  const auto files = env_->List("/seats/wal");
  ASSERT_TRUE(files.ok());
  EXPECT_LE(files->size(), 12U);
}

// --- blocking functions on threads ---

// Two seats that are sold at once need two threads; an exception is an answer.
class BlockingService final : public Service {
 public:
  TryResult Try(const Reservation&, std::string_view request) override {
    if (request == "throw") throw std::runtime_error("no such table");
    if (request == "meet") {
      MutexLock lock(&mutex_);
      ++waiting_;
      changed_.NotifyAll();
      while (waiting_ < 2) changed_.Wait(&mutex_);
    }
    return TryResult::Reserved(std::string(request));
  }
  absl::Status Confirm(const Reservation&) override { return absl::OkStatus(); }
  absl::Status Cancel(const Reservation&) override { return absl::OkStatus(); }
  absl::StatusOr<State> Lookup(const Reservation&) override { return State::kTried; }

 private:
  Mutex mutex_;
  ConditionVariable changed_;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

class BlockingTest : public ::testing::Test {
 protected:
  BlockingTest() : rm_("/b", std::make_unique<BlockingService>(), SmallOptions(), &env_) {
    auto [done, result] = Later<absl::StatusOr<std::vector<BranchId>>>();
    rm_.Recover(kCluster, std::move(done));
    EXPECT_TRUE(Get(std::move(result)).ok());
  }
  std::future<wire::ExecuteReply> Begin(uint64_t number, wire::ExecuteRequest* request) {
    const BranchId id = ServiceInstance::IdOf(number, number);
    EXPECT_TRUE(rm_.Start(id, {id.gtid, ""}).ok());
    request->call_number = 1;
    auto [done, result] = Later<wire::ExecuteReply>();
    rm_.Execute(id, *request, std::move(done));
    return std::move(result);
  }

  FaultEnv env_{1};
  ServiceResourceManager rm_;
};

TEST_F(BlockingTest, BranchesAreServedAtOnce) {
  wire::ExecuteRequest one;
  one.__set_opaque("meet");
  wire::ExecuteRequest two = one;
  auto first = Begin(1, &one);
  auto second = Begin(2, &two);
  EXPECT_EQ(Get(std::move(first)).opaque, "meet");
  EXPECT_EQ(Get(std::move(second)).opaque, "meet");
}

TEST_F(BlockingTest, Exception_IsAFailedTry) {
  wire::ExecuteRequest request;
  request.__set_opaque("throw");
  const wire::ExecuteReply reply = Get(Begin(1, &request));
  EXPECT_EQ(reply.result.code, Code::RESOURCE_ERROR);
  EXPECT_THAT(reply.result.message, HasSubstr("no such table"));
}

}  // namespace
}  // namespace concordat::participant::service
