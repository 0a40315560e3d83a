// The generation of a store: who is told, when, and what follows when the store has gone
// back. A participant with a KV shard; the coordinator is a link that records what it is
// told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <optional>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/fault_env.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/sdk/participant.h"
#include "tests/support/waiting.h"
#include "thrift/wire/conversion.h"

namespace concordat::participant {
namespace {

using testing::Eventually;
using ::testing::HasSubstr;
using wire::Code;

constexpr int64_t kCluster = 4711;
constexpr char kFolder[] = "/kv";
constexpr char kGenerationFile[] = "/kv/generation";

uint64_t GenerationIn(FaultEnv* env) {
  const absl::StatusOr<std::string> text = ReadWholeFile(env, kGenerationFile);
  uint64_t generation = 0;
  if (!text.ok()) return 0;
  EXPECT_TRUE(absl::SimpleAtoi(*text, &generation)) << *text;
  return generation;
}

// What the coordinators answer, and what they were told. Thread-safe.
struct Registry {
  Mutex mutex;
  bool silent ABSL_GUARDED_BY(mutex) = false;
  std::string refusal ABSL_GUARDED_BY(mutex);
  std::vector<wire::ResourceInfo> told ABSL_GUARDED_BY(mutex);
  bool ahead_of_the_store ABSL_GUARDED_BY(mutex) = false;

  void SetSilent(bool value) {
    MutexLock lock(&mutex);
    silent = value;
  }
  void SetRefusal(std::string value) {
    MutexLock lock(&mutex);
    refusal = std::move(value);
  }
  wire::ResourceInfo Last() {
    MutexLock lock(&mutex);
    return told.empty() ? wire::ResourceInfo() : told.back();
  }
  size_t Count() {
    MutexLock lock(&mutex);
    return told.size();
  }
  bool WasAhead() {
    MutexLock lock(&mutex);
    return ahead_of_the_store;
  }
};

class NotingLink final : public CoordinatorLink {
 public:
  NotingLink(Registry* registry, FaultEnv* env) : registry_(registry), env_(env) {}
  void Hello(const wire::CallContext&, Done<wire::HelloReply> done) override {
    wire::HelloReply reply;
    reply.cluster = kCluster;
    done(reply);
  }
  void Register(const wire::RegisterRequest& request,
                Done<wire::RegisterReply> done) override {
    MutexLock lock(&registry_->mutex);
    if (registry_->silent) return done(absl::UnavailableError("nobody leads"));
    const wire::ResourceInfo& info = request.resources.at(0);
    registry_->told.push_back(info);
    if (static_cast<uint64_t>(info.generation) > GenerationIn(env_)) {
      registry_->ahead_of_the_store = true;
    }
    if (!registry_->refusal.empty()) {
      return done(absl::InvalidArgumentError(registry_->refusal));
    }
    if (info.__isset.quarantined) {
      return done(absl::InvalidArgumentError(info.quarantined));
    }
    wire::RegisterReply reply;
    reply.__set_cluster(kCluster);
    reply.__set_heartbeat_ms(40);
    done(reply);
  }
  void Inquire(const wire::InquiryRequest&, Done<wire::InquiryReply> done) override {
    done(absl::UnavailableError(""));
  }

 private:
  Registry* const registry_;
  FaultEnv* const env_;
};

class GenerationTest : public ::testing::Test {
 protected:
  GenerationTest() {
    options_.generation_interval = Duration::Millis(50);
    options_.branches.scan_interval = Duration::Millis(5);
    options_.retry = Duration::Millis(10);
  }
  ~GenerationTest() override { End(); }

  void Begin() {
    thread_ = *rpc::LoopThread::Start();
    thread_->RunSync([this] {
      participant_ = std::make_shared<Participant>(
          thread_->loop(), std::make_unique<NotingLink>(&registry_, &env_), options_);
      kv::KvOptions small;
      small.shard.max_branch_bytes = 64 << 10;
      small.segment_bytes = 256 << 10;
      small.reserve_bytes = 256 << 10;
      small.queue_bytes = 256 << 10;
      ASSERT_TRUE(participant_
                      ->AddResource("bank-a", std::make_unique<kv::KvResourceManager>(
                                                  kFolder, &env_, small))
                      .ok());
      participant_->Start([this](absl::Status status) {
        MutexLock lock(&mutex_);
        ready_ = std::move(status);
      });
    });
  }
  void BeginAndServe() {
    Begin();
    ASSERT_TRUE(Eventually([this] { return ready().has_value(); }));
    ASSERT_TRUE(ready()->ok()) << *ready();
  }
  // Ends the participant as if the process had been killed.
  void End() {
    if (thread_ == nullptr) return;
    thread_->RunSync([this] { participant_.reset(); });
    thread_.reset();
    MutexLock lock(&mutex_);
    ready_.reset();
  }

  static void Sleep(Duration time) {
    std::this_thread::sleep_for(std::chrono::microseconds(time.micros()));
  }
  std::optional<absl::Status> ready() {
    MutexLock lock(&mutex_);
    return ready_;
  }

  template <class Reply, class Call>
  Reply Ask(Call call) {
    std::promise<Reply> promise;
    auto future = promise.get_future();
    thread_->RunSync(
        [&] { call([&promise](const Reply& reply) { promise.set_value(reply); }); });
    return future.get();
  }
  wire::ExecuteReply Put(int64_t sequence) {
    wire::ExecuteRequest request;
    request.context = MakeContext(ClusterId(kCluster));
    wire::Gtid gtid;
    gtid.group = 1;
    gtid.term = 7;
    gtid.sequence = sequence;
    request.__set_start(gtid);
    request.__set_resource("bank-a");
    request.call_number = 1;
    wire::KvOperation put;
    put.verb = wire::KvVerb::PUT;
    put.key = "k";
    put.__set_value(absl::StrCat(sequence));
    request.__set_kv({put});
    return Ask<wire::ExecuteReply>(
        [&](auto done) { participant_->execute(done, request); });
  }
  static wire::BranchList List(const wire::BranchId& branch) {
    wire::BranchList list;
    list.context = MakeContext(ClusterId(kCluster));
    list.branches = {branch};
    return list;
  }
  void Work(int64_t sequence) {
    const wire::ExecuteReply put = Put(sequence);
    ASSERT_EQ(put.result.code, Code::OK) << put.result.message;
    const auto reply = Ask<wire::OnePhaseReply>(
        [&](auto done) { participant_->commitOnePhase(done, List(put.branch)); });
    ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  }
  uint64_t WorkUntilGenerationGrows(int64_t sequence, uint64_t beyond) {
    Work(sequence);
    EXPECT_TRUE(Eventually(
        [&] { return static_cast<uint64_t>(registry_.Last().generation) > beyond; }));
    return static_cast<uint64_t>(registry_.Last().generation);
  }

  FaultEnv env_{1};
  Registry registry_;
  ParticipantOptions options_;
  std::unique_ptr<rpc::LoopThread> thread_;
  std::shared_ptr<Participant> participant_;
  Mutex mutex_;
  std::optional<absl::Status> ready_;
};

// Otherwise a crash between the two would cause a false alarm.
TEST_F(GenerationTest,
       Store_GetsANewGenerationWhileThereIsWork_BeforeTheCoordinatorsAreTold) {
  BeginAndServe();
  EXPECT_FALSE(registry_.Last().__isset.generation);
  env_.SetSyncHook([] { Sleep(Duration::Millis(60)); });  // three heartbeats long
  uint64_t generation = 0;
  for (int64_t i = 1; i <= 5; ++i) {
    const uint64_t next = WorkUntilGenerationGrows(i, generation);
    EXPECT_GT(next, generation);
    generation = next;
  }
  env_.SetSyncHook(nullptr);
  EXPECT_FALSE(registry_.WasAhead());
  // Between 2020 and 2100: the number can be read as a time.
  EXPECT_GT(generation, 1'577'836'800'000u);
  EXPECT_LT(generation, 4'102'444'800'000u);
}

TEST_F(GenerationTest, StoreWithoutWork_IsNotWritten) {
  BeginAndServe();
  const uint64_t generation = WorkUntilGenerationGrows(1, 0);
  Sleep(Duration::Millis(300));
  EXPECT_EQ(GenerationIn(&env_), generation);
  EXPECT_EQ(static_cast<uint64_t>(registry_.Last().generation), generation);
}

TEST_F(GenerationTest, Generation_SurvivesTheLossOfPowerAndIsToldAtTheStart) {
  BeginAndServe();
  const uint64_t generation = WorkUntilGenerationGrows(1, 0);
  End();
  env_.Crash(FaultEnv::Unsynced::kDropAll);
  const size_t before = registry_.Count();
  BeginAndServe();
  EXPECT_GT(registry_.Count(), before);
  EXPECT_EQ(static_cast<uint64_t>(registry_.Last().generation), generation);
  WorkUntilGenerationGrows(2, generation);
}

TEST_F(GenerationTest, ClockThatWasSetBack_DoesNotStopIt) {
  BeginAndServe();
  WorkUntilGenerationGrows(1, 0);
  End();
  constexpr uint64_t kFuture = 4'102'444'800'000;
  ASSERT_TRUE(WriteWholeFile(&env_, kFolder, "generation", absl::StrCat(kFuture)).ok());
  BeginAndServe();
  EXPECT_EQ(WorkUntilGenerationGrows(2, kFuture), kFuture + 1);
}

// Scenario 29. The coordinators may know that the store is an old copy: a COMMIT of a
// branch that is not in it must not be acknowledged.
TEST_F(GenerationTest, Scenario29_BeforeItIsRegistered_NothingIsSaidOfItsBranches) {
  BeginAndServe();
  const wire::BranchId branch = Put(1).branch;
  ASSERT_EQ(Ask<wire::PrepareReply>(
                [&](auto done) { participant_->prepare(done, List(branch)); })
                .votes.at(0)
                .vote,
            wire::Vote::PREPARED);
  wire::BranchId lost = branch;  // it was prepared after the copy was made
  lost.number += 1;
  End();
  registry_.SetSilent(true);
  Begin();
  Sleep(Duration::Millis(200));  // it has recovered by now
  for (const wire::BranchId& each : {branch, lost}) {
    EXPECT_EQ(
        Ask<wire::FinishReply>([&](auto done) { participant_->commit(done, List(each)); })
            .items.at(0)
            .state,
        wire::FinishState::RETRY);
    EXPECT_EQ(Ask<wire::PrepareReply>(
                  [&](auto done) { participant_->prepare(done, List(each)); })
                  .votes.at(0)
                  .vote,
              wire::Vote::UNAVAILABLE);
  }
  registry_.SetSilent(false);
  ASSERT_TRUE(Eventually([this] { return ready().has_value(); }));
  EXPECT_EQ(
      Ask<wire::FinishReply>([&](auto done) { participant_->commit(done, List(branch)); })
          .items.at(0)
          .state,
      wire::FinishState::DONE);
}

// The coordinators know what to do about it; the participant adds nothing to their
// message.
TEST_F(GenerationTest, RefusedRegistration_IsReportedInTheCoordinatorsWords) {
  registry_.SetRefusal("resource bank-a belongs to cluster 5");
  Begin();
  ASSERT_TRUE(Eventually([this] { return ready().has_value(); }));
  EXPECT_EQ(ready()->message(),
            "the coordinators refuse the registration: resource bank-a belongs to "
            "cluster 5");
  EXPECT_EQ(Put(1).result.code, Code::UNAVAILABLE);
}

TEST_F(GenerationTest,
       Scenario29_StoreReplacedByAnOlderCopyInUse_IsServedNoMoreAndListed) {
  BeginAndServe();
  const uint64_t backup = WorkUntilGenerationGrows(1, 0);
  const uint64_t generation = WorkUntilGenerationGrows(2, backup);
  ASSERT_TRUE(WriteWholeFile(&env_, kFolder, "generation", absl::StrCat(backup)).ok());
  Work(3);
  ASSERT_TRUE(Eventually([this] { return registry_.Last().__isset.quarantined; }));
  EXPECT_THAT(registry_.Last().quarantined,
              HasSubstr("resource bank-a: /kv was replaced by an older copy of itself"));
  EXPECT_EQ(static_cast<uint64_t>(registry_.Last().generation), generation);
  EXPECT_EQ(GenerationIn(&env_), backup) << "it was written over";
  const wire::ExecuteReply reply = Put(4);
  EXPECT_EQ(reply.result.code, Code::UNAVAILABLE);
  EXPECT_THAT(reply.result.message, HasSubstr("older copy"));
  // It goes on reporting this.
  const size_t told = registry_.Count();
  EXPECT_TRUE(Eventually([&] { return registry_.Count() > told + 2; }));
}

// The lost store, or an even older one, may come back a moment later.
TEST_F(GenerationTest, StoreThatAnOperatorAccepted_GetsANewGenerationAtOnce) {
  options_.replace_stores = {"bank-a"};
  options_.generation_interval = Duration::Seconds(3600);
  BeginAndServe();
  EXPECT_TRUE(Eventually([this] { return registry_.Last().generation > 0; }));
}

TEST_F(GenerationTest, FullDisk_KeepsTheLastGenerationAndTriesAgain) {
  options_.generation_interval = Duration::Millis(300);
  BeginAndServe();
  const uint64_t generation = WorkUntilGenerationGrows(1, 0);
  Work(2);
  env_.SetCapacity(env_.used_bytes());
  Sleep(Duration::Millis(600));
  EXPECT_EQ(GenerationIn(&env_), generation);
  env_.SetCapacity(UINT64_MAX);
  EXPECT_TRUE(Eventually([&] { return GenerationIn(&env_) > generation; }));
}

TEST_F(GenerationTest, GenerationThatIsNoNumber_IsDamage) {
  BeginAndServe();
  End();
  ASSERT_TRUE(WriteWholeFile(&env_, kFolder, "generation", "soon").ok());
  Begin();
  ASSERT_TRUE(Eventually([this] { return ready().has_value(); }));
  EXPECT_TRUE(absl::IsDataLoss(*ready())) << *ready();
}

}  // namespace
}  // namespace concordat::participant
