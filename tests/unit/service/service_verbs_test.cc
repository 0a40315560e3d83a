// What each verb does, in which order things are on disk, and what it costs.
#include "tests/unit/service/service_instance.h"

namespace concordat::participant::service {
namespace {

using ::testing::Test;
using wire::Code;

// Holds the log's flushes while it exists.
class FlushGate {
 public:
  explicit FlushGate(FaultEnv* env) : env_(env) {
    env_->SetSyncHook([gate = open_.get_future().share()] { gate.wait(); });
  }
  ~FlushGate() { Open(); }
  void Open() {
    if (std::exchange(opened_, true)) return;
    open_.set_value();
    env_->SetSyncHook(nullptr);
  }

 private:
  FaultEnv* const env_;
  std::promise<void> open_;
  bool opened_ = false;
};

template <class T>
bool IsLate(const std::future<T>& future) {
  return future.wait_for(std::chrono::milliseconds(40)) == std::future_status::timeout;
}

// --- order ---

TEST_F(ServiceTest, Try_WaitsForItsRecord) {
  const BranchId id = instance_->Start(1);
  FlushGate gate(env_.get());
  auto reply = instance_->BeginExecute(id, "book 1A", 1);
  EXPECT_TRUE(IsLate(reply));
  EXPECT_EQ(world_->CallsOf("try"), 0U);
  gate.Open();
  EXPECT_EQ(Get(std::move(reply)).opaque, "booked 1A");
}

TEST_F(ServiceTest, Vote_WaitsForItsFlush) {
  const BranchId id = Booked(1, "1A");
  FlushGate gate(env_.get());
  auto vote = instance_->BeginPrepare(id);
  EXPECT_TRUE(IsLate(vote));
  gate.Open();
  EXPECT_EQ(Get(std::move(vote)).vote, Vote::kPrepared);
}

TEST_F(ServiceTest, Vote_IsNotAskedForWhileATryRuns) {
  const BranchId id = instance_->Start(1);
  world_->Hold("try");
  auto reply = instance_->BeginExecute(id, "book 1A", 1);
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("try") == 1; }));
  EXPECT_EQ(instance_->Prepare(id), Vote::kRefused);
  EXPECT_EQ(Get(std::move(reply)).result.code, Code::BRANCH_GONE);
  world_->Release();
  EXPECT_TRUE(instance_->WaitUntilSettled());
  EXPECT_EQ(Seat("1A"), "free");
}

TEST_F(ServiceTest, CommitAcknowledgement_FollowsTheConfirm) {
  const BranchId id = Prepared(1, "1A");
  world_->Hold("confirm");
  auto done = instance_->BeginCommit(id);
  EXPECT_TRUE(IsLate(done));
  world_->Release();
  EXPECT_EQ(Get(std::move(done)).state, FinishState::kDone);
  EXPECT_EQ(Seat("1A"), "sold");
}

TEST_F(ServiceTest, SeveralInOnePhase_NothingIsConfirmedBeforeTheDecisionIsOnDisk) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  FlushGate gate(env_.get());
  auto [done, result] = Later<OnePhaseResult>();
  instance_->rm().CommitOnePhase(id, std::move(done));
  EXPECT_TRUE(IsLate(result));
  EXPECT_EQ(world_->CallsOf("confirm"), 0U);
  gate.Open();
  EXPECT_EQ(Get(std::move(result)).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Seat("1A") + Seat("1B"), "soldsold");
}

// --- what it costs ---

TEST_F(ServiceTest, TwoPhases_CostTwoFlushes) {
  const uint64_t before = instance_->rm().flush_count();
  const BranchId id = Booked(1, "1A");
  EXPECT_EQ(instance_->rm().flush_count(), before + 1);
  EXPECT_EQ(instance_->Prepare(id), Vote::kPrepared);
  EXPECT_EQ(instance_->rm().flush_count(), before + 2);
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(instance_->rm().flush_count(), before + 2);
}

TEST_F(ServiceTest, OnePhase_CostsTheTrysFlushOnly) {
  const uint64_t before = instance_->rm().flush_count();
  EXPECT_EQ(instance_->CommitOnePhase(Booked(1, "1A")), OnePhase::kCommitted);
  EXPECT_EQ(instance_->rm().flush_count(), before + 1);
  EXPECT_EQ(world_->CallsOf("lookup"), 0U);
}

TEST_F(ServiceTest, OnePhaseOfTwo_CostsOneFlushMoreThanItsTries) {
  const uint64_t before = instance_->rm().flush_count();
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
  EXPECT_EQ(instance_->rm().flush_count(), before + 3);
}

TEST_F(ServiceTest, Rollback_CostsNoFlush) {
  const BranchId active = Booked(1, "1A");
  const BranchId prepared = Prepared(2, "1B");
  const uint64_t before = instance_->rm().flush_count();
  EXPECT_EQ(instance_->Rollback(active), FinishState::kDone);
  EXPECT_EQ(instance_->Rollback(prepared), FinishState::kDone);
  EXPECT_EQ(instance_->rm().flush_count(), before);
  EXPECT_EQ(Seat("1A") + Seat("1B"), "freefree");
}

TEST_F(ServiceTest, Query_CostsNothingAndVotesReadOnly) {
  ASSERT_EQ(instance_->CommitOnePhase(Booked(1, "1A")), OnePhase::kCommitted);
  const uint64_t before = instance_->rm().flush_count();
  const BranchId id = instance_->Start(2);
  EXPECT_EQ(instance_->Execute(id, "show 1A").opaque, "sold");
  EXPECT_EQ(instance_->Execute(id, "show 1B", 2).opaque, "free");
  EXPECT_EQ(instance_->Execute(id, "show ", 3).result.code, Code::INVALID);
  EXPECT_EQ(instance_->Prepare(id), Vote::kReadOnly);
  const BranchId alone = instance_->Start(3);
  EXPECT_EQ(instance_->Execute(alone, "show 1A").opaque, "sold");
  EXPECT_EQ(instance_->CommitOnePhase(alone), OnePhase::kReadOnly);
  EXPECT_EQ(instance_->rm().flush_count(), before);
  EXPECT_EQ(instance_->rm().stats().branches, 0U);
}

TEST_F(ServiceTest, Batch_SharesOneFlush) {
  std::vector<BranchId> branches;
  for (uint64_t i = 1; i <= 20; ++i) {
    branches.push_back(Booked(i, std::to_string(i)));
  }
  const uint64_t before = instance_->rm().flush_count();
  std::vector<std::future<PrepareResult>> votes;
  instance_->rm().BeginBatch();
  for (const BranchId& id : branches) votes.push_back(instance_->BeginPrepare(id));
  instance_->rm().EndBatch();
  for (auto& vote : votes) EXPECT_EQ(Get(std::move(vote)).vote, Vote::kPrepared);
  EXPECT_EQ(instance_->rm().flush_count(), before + 1);
  for (const BranchId& id : branches)
    EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
}

// --- the results of Try ---

TEST_F(ServiceTest, Refused_IsAConditionThatFailsAndTheBranchLives) {
  ASSERT_EQ(instance_->CommitOnePhase(Booked(1, "1A")), OnePhase::kCommitted);
  const BranchId id = instance_->Start(2);
  const wire::ExecuteReply refused = instance_->Execute(id, "book 1A");
  EXPECT_EQ(refused.result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(refused.result.message, "1A is sold");
  EXPECT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  EXPECT_EQ(instance_->Prepare(id), Vote::kPrepared);
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(Seat("1B"), "sold");
  EXPECT_EQ(world_->CallsOf("confirm"), 2U)
      << "of the first branch, and of the second try";
}

TEST_F(ServiceTest, OnlyRefused_VotesReadOnly) {
  ASSERT_EQ(instance_->CommitOnePhase(Booked(1, "1A")), OnePhase::kCommitted);
  const BranchId id = instance_->Start(2);
  EXPECT_EQ(instance_->Execute(id, "book 1A").result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(instance_->Prepare(id), Vote::kReadOnly);
  EXPECT_EQ(world_->CallsOf("cancel"), 0U);
}

TEST_F(ServiceTest, Conflict_CancelsTheBranchBeforeItIsTold) {
  const BranchId first = Booked(1, "1A");
  const BranchId second = Booked(2, "1B");
  EXPECT_EQ(instance_->Execute(second, "book 1A", 2).result.code, Code::CONFLICT);
  EXPECT_EQ(Seat("1B"), "free");
  EXPECT_EQ(instance_->LookUp(second), Evidence::kNone);
  EXPECT_EQ(instance_->Rollback(second), FinishState::kDone) << "which may cross it";
  EXPECT_EQ(instance_->Execute(second, "book 1C", 3).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(instance_->CommitOnePhase(first), OnePhase::kCommitted);
}

TEST_F(ServiceTest, FailedTry_IsLookedUpThenCancelled) {
  const BranchId id = instance_->Start(1);
  EXPECT_EQ(instance_->Execute(id, "break 1A").result.code, Code::RESOURCE_ERROR);
  EXPECT_EQ(Seat("1A"), "free");
  const std::string r = Reservation{id, 1}.Id();
  EXPECT_EQ(world_->Calls(),
            (std::vector<std::string>{"try " + r, "lookup " + r, "cancel " + r}));
}

TEST_F(ServiceTest, FailedTryThatLeftNothing_IsCancelledAllTheSame) {
  const BranchId id = instance_->Start(1);
  EXPECT_EQ(instance_->Execute(id, "break").result.code, Code::RESOURCE_ERROR);
  EXPECT_EQ(world_->CallsOf("cancel"), 1U) << "so that a late one finds it";
  EXPECT_EQ(instance_->rm().stats().branches, 0U);
}

TEST_F(ServiceTest, TooLongAnAnswer_EndsTheBranch) {
  End();
  env_ = std::make_unique<FaultEnv>(3);
  ServiceOptions options = SmallOptions();
  options.branches.max_answer_bytes = 8;
  instance_ = std::make_unique<ServiceInstance>(env_.get(), world_.get(), options);
  ASSERT_TRUE(instance_->Recover().ok());
  const BranchId id = instance_->Start(1);
  EXPECT_EQ(instance_->Execute(id, "book 1A").result.code, Code::RESOURCE_ERROR);
  EXPECT_EQ(Seat("1A"), "free");
}

TEST_F(ServiceTest, SeveralTries_AreConfirmedTogether) {
  const BranchId id = Booked(1, "1A");
  ASSERT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::OK);
  ASSERT_EQ(instance_->Prepare(id), Vote::kPrepared);
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(Seat("1A") + Seat("1B"), "soldsold");
}

// --- out of order, late, twice ---

TEST_F(ServiceTest, RepeatedTry_DoesNotReachTheService) {
  const BranchId id = Booked(1, "1A");
  EXPECT_EQ(instance_->Execute(id, "book 1B", 1).result.code, Code::INVALID);
  EXPECT_EQ(world_->CallsOf("try"), 1U);
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
}

TEST_F(ServiceTest, SecondTryWhileOneRuns_DoesNotReachTheService) {
  const BranchId id = instance_->Start(1);
  world_->Hold("try");
  auto first = instance_->BeginExecute(id, "book 1A", 1);
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("try") == 1; }));
  EXPECT_EQ(instance_->Execute(id, "book 1B", 2).result.code, Code::INVALID);
  world_->Release();
  EXPECT_EQ(Get(std::move(first)).result.code, Code::OK);
  EXPECT_EQ(world_->CallsOf("try"), 1U);
}

TEST_F(ServiceTest, CancelBeforeTry_IsDoneAndDoesNotReachTheService) {
  const BranchId id = ServiceInstance::IdOf(1, 1);
  EXPECT_EQ(instance_->Rollback(id), FinishState::kDone);
  EXPECT_EQ(instance_->Execute(id, "book 1A").result.code, Code::BRANCH_GONE);
  EXPECT_TRUE(world_->Calls().empty());
}

TEST_F(ServiceTest, TryAfterCancel_DoesNotReachTheService) {
  const BranchId id = Booked(1, "1A");
  EXPECT_EQ(instance_->Rollback(id), FinishState::kDone);
  EXPECT_EQ(instance_->Execute(id, "book 1A", 2).result.code, Code::BRANCH_GONE);
  EXPECT_TRUE(absl::IsFailedPrecondition(instance_->rm().Start(id, {id.gtid, ""})));
  EXPECT_EQ(world_->CallsOf("try"), 1U);
}

TEST_F(ServiceTest, ConfirmWithoutTry_DoesNotReachTheService) {
  EXPECT_EQ(instance_->Commit(ServiceInstance::IdOf(7, 7)), FinishState::kRetry);
  const BranchId active = Booked(1, "1A");
  EXPECT_EQ(instance_->Commit(active), FinishState::kRetry) << "it has not voted";
  EXPECT_EQ(world_->CallsOf("confirm"), 0U);
}

TEST_F(ServiceTest, RepeatedCommit_IsDoneOnce) {
  const BranchId id = Prepared(1, "1A");
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(instance_->Commit(id), FinishState::kDone);
  EXPECT_EQ(world_->CallsOf("confirm"), 1U);
  EXPECT_EQ(instance_->Rollback(id), FinishState::kHeuristicCommit);
  EXPECT_EQ(instance_->Prepare(id), Vote::kLost);
  EXPECT_EQ(world_->CallsOf("cancel"), 0U);
}

TEST_F(ServiceTest, CommitsThatCross_ShareOneConfirm) {
  const BranchId id = Prepared(1, "1A");
  world_->Hold("confirm");
  auto first = instance_->BeginCommit(id);
  auto second = instance_->BeginCommit(id);
  EXPECT_EQ(instance_->Rollback(id), FinishState::kRetry) << "never both";
  EXPECT_EQ(instance_->Prepare(id), Vote::kPrepared) << "the vote stands";
  world_->Release();
  EXPECT_EQ(Get(std::move(first)).state, FinishState::kDone);
  EXPECT_EQ(Get(std::move(second)).state, FinishState::kDone);
  EXPECT_EQ(world_->CallsOf("confirm"), 1U);
}

TEST_F(ServiceTest, RollbackWhileTryRuns_CancelsWhenItHasEnded) {
  const BranchId id = instance_->Start(1);
  world_->Hold("try");
  auto reply = instance_->BeginExecute(id, "book 1A", 1);
  ASSERT_TRUE(Eventually([&] { return world_->CallsOf("try") == 1; }));
  auto rolled_back = instance_->BeginRollback(id);
  EXPECT_EQ(Get(std::move(reply)).result.code, Code::BRANCH_GONE);
  EXPECT_TRUE(IsLate(rolled_back));
  world_->Release();
  EXPECT_EQ(Get(std::move(rolled_back)).state, FinishState::kDone);
  EXPECT_EQ(Seat("1A"), "free");
}

TEST_F(ServiceTest, RollbackBeforeTheTrysRecordIsOnDisk_TryIsNeverCalled) {
  const BranchId id = instance_->Start(1);
  FlushGate gate(env_.get());
  auto reply = instance_->BeginExecute(id, "book 1A", 1);
  auto rolled_back = instance_->BeginRollback(id);
  gate.Open();
  EXPECT_EQ(Get(std::move(reply)).result.code, Code::BRANCH_GONE);
  EXPECT_EQ(Get(std::move(rolled_back)).state, FinishState::kDone);
  EXPECT_TRUE(world_->Calls().empty());
}

TEST_F(ServiceTest, OnePhaseAgain_IsAnsweredFromEvidence) {
  const BranchId id = Booked(1, "1A");
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
  EXPECT_EQ(instance_->CommitOnePhase(id), OnePhase::kCommitted);
  EXPECT_EQ(instance_->LookUp(id), Evidence::kCommittedAlone);
  EXPECT_EQ(world_->CallsOf("confirm"), 1U);
}

TEST_F(ServiceTest, OtherWorkThanOpaque_IsInvalidAndTheBranchLives) {
  const BranchId id = instance_->Start(1);
  wire::ExecuteRequest request;
  request.call_number = 1;
  request.__set_kv({});
  auto [done, result] = Later<wire::ExecuteReply>();
  instance_->rm().Execute(id, request, std::move(done));
  EXPECT_EQ(Get(std::move(result)).result.code, Code::INVALID);
  EXPECT_EQ(instance_->Execute(id, "book 1A").result.code, Code::OK);
}

TEST_F(ServiceTest, IsolationLevel_IsRefused) {
  const BranchId id = ServiceInstance::IdOf(1, 1);
  EXPECT_TRUE(
      absl::IsInvalidArgument(instance_->rm().Start(id, {id.gtid, "serializable"})));
}

}  // namespace
}  // namespace concordat::participant::service
