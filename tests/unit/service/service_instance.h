// One incarnation of a ServiceResourceManager over the model service, on a disk that can
// fail, with calls that wait for their answers.
#ifndef TESTS_UNIT_SERVICE_SERVICE_INSTANCE_H_
#define TESTS_UNIT_SERVICE_SERVICE_INSTANCE_H_

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/base/fault_env.h"
#include "participant/resources/service/service_resource_manager.h"
#include "tests/support/waiting.h"
#include "tests/unit/service/model_service.h"

namespace concordat::participant::service {

inline constexpr ClusterId kCluster{77};

template <class T>
std::pair<Callback<T>, std::future<T>> Later() {
  auto promise = std::make_shared<std::promise<T>>();
  std::future<T> future = promise->get_future();
  return {[promise](T value) { promise->set_value(std::move(value)); },
          std::move(future)};
}

template <class T>
T Get(std::future<T> future) {
  if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) {
    ADD_FAILURE() << "no answer came";
    std::abort();
  }
  return future.get();
}

using testing::Eventually;

inline ServiceOptions SmallOptions() {
  ServiceOptions options;
  options.kind = "seats";
  options.branches.first_retry = Duration::Millis(1);
  options.branches.max_retry = Duration::Millis(4);
  options.journal.segment_bytes = 64 << 10;
  options.journal.reserve_bytes = 64 << 10;
  options.journal.queue_bytes = 64 << 10;
  options.journal.checkpoint_bytes = 1ull << 40;  // only when a test asks
  return options;
}

class ServiceInstance {
 public:
  ServiceInstance(FaultEnv* env, ModelWorld* world,
                  ServiceOptions options = SmallOptions())
      : rm_("/seats", std::make_unique<ModelService>(world), options, env) {}

  static BranchId IdOf(uint64_t sequence, uint64_t number) {
    return BranchId{Gtid{GroupId(1), Term(3), sequence}, "seats", Incarnation(9), number};
  }

  std::future<absl::StatusOr<std::vector<BranchId>>> BeginRecover(
      ClusterId cluster = kCluster) {
    auto [done, result] = Later<absl::StatusOr<std::vector<BranchId>>>();
    rm_.Recover(cluster, std::move(done));
    return std::move(result);
  }
  absl::StatusOr<std::vector<BranchId>> Recover(ClusterId cluster = kCluster) {
    return Get(BeginRecover(cluster));
  }
  // A branch's sequence is its number as well.
  BranchId Start(uint64_t number) {
    const BranchId id = IdOf(number, number);
    const absl::Status started = rm_.Start(id, {id.gtid, ""});
    EXPECT_TRUE(started.ok()) << started;
    return id;
  }
  std::future<wire::ExecuteReply> BeginExecute(const BranchId& id,
                                               const std::string& request,
                                               int64_t call_number) {
    requests_.push_back(std::make_unique<wire::ExecuteRequest>());
    requests_.back()->__set_opaque(request);
    requests_.back()->call_number = call_number;
    auto [done, result] = Later<wire::ExecuteReply>();
    rm_.Execute(id, *requests_.back(), std::move(done));
    return std::move(result);
  }
  wire::ExecuteReply Execute(const BranchId& id, const std::string& request,
                             int64_t call_number = 1) {
    return Get(BeginExecute(id, request, call_number));
  }
  std::future<PrepareResult> BeginPrepare(const BranchId& id) {
    auto [done, result] = Later<PrepareResult>();
    rm_.End(id);
    rm_.Prepare(id, std::move(done));
    return std::move(result);
  }
  Vote Prepare(const BranchId& id) { return Get(BeginPrepare(id)).vote; }
  std::future<FinishResult> BeginCommit(const BranchId& id) {
    auto [done, result] = Later<FinishResult>();
    rm_.Commit(id, std::move(done));
    return std::move(result);
  }
  FinishState Commit(const BranchId& id) { return Get(BeginCommit(id)).state; }
  std::future<FinishResult> BeginRollback(const BranchId& id) {
    auto [done, result] = Later<FinishResult>();
    rm_.Rollback(id, std::move(done));
    return std::move(result);
  }
  FinishState Rollback(const BranchId& id) { return Get(BeginRollback(id)).state; }
  OnePhase CommitOnePhase(const BranchId& id) {
    auto [done, result] = Later<OnePhaseResult>();
    rm_.End(id);
    rm_.CommitOnePhase(id, std::move(done));
    return Get(std::move(result)).outcome;
  }
  Evidence LookUp(const BranchId& id) {
    auto [done, result] = Later<Evidence>();
    rm_.LookUp(id, std::move(done));
    return Get(std::move(result));
  }
  // Waits until everything that was asked for is done, and what has failed was repeated.
  bool WaitUntilSettled() {
    return Eventually([this] {
      const ServiceStats stats = rm_.stats();
      return stats.settling == 0;
    });
  }
  ServiceResourceManager& rm() { return rm_; }

 private:
  std::vector<std::unique_ptr<wire::ExecuteRequest>> requests_;
  ServiceResourceManager rm_;
};

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() { EXPECT_TRUE(instance_->Recover().ok()); }
  ~ServiceTest() override { End(); }

  void End() {
    instance_.reset();
    for (const std::string& violation : world_->Violations()) ADD_FAILURE() << violation;
  }

  BranchId Booked(uint64_t number, const std::string& seat) {
    const BranchId id = instance_->Start(number);
    EXPECT_EQ(instance_->Execute(id, "book " + seat).result.code, wire::Code::OK);
    return id;
  }
  BranchId Prepared(uint64_t number, const std::string& seat) {
    const BranchId id = Booked(number, seat);
    EXPECT_EQ(instance_->Prepare(id), Vote::kPrepared);
    return id;
  }
  std::string Seat(const std::string& seat) { return world_->Store().Seat(seat); }
  // Turns the power off and on again: nothing unflushed is left. The old instance ends in
  // a world of its own.
  void PowerCycle() {
    std::unique_ptr<FaultEnv> disk;
    std::unique_ptr<ModelWorld> world;
    {
      MutexLock lock(&world_->mutex);
      disk = env_->Clone(2);
      world = world_->AfterCrash();
    }
    disk->Crash(FaultEnv::Unsynced::kDropAll);
    world_->Release();
    End();
    env_ = std::move(disk);
    world_ = std::move(world);
    instance_ = std::make_unique<ServiceInstance>(env_.get(), world_.get());
  }
  std::vector<BranchId> Recovered() {
    const auto in_doubt = instance_->Recover();
    EXPECT_TRUE(in_doubt.ok()) << in_doubt.status();
    return in_doubt.ok() ? *in_doubt : std::vector<BranchId>();
  }

  std::unique_ptr<FaultEnv> env_ = std::make_unique<FaultEnv>(1);
  std::unique_ptr<ModelWorld> world_ = std::make_unique<ModelWorld>();
  std::unique_ptr<ServiceInstance> instance_ =
      std::make_unique<ServiceInstance>(env_.get(), world_.get());
};

}  // namespace concordat::participant::service

#endif  // TESTS_UNIT_SERVICE_SERVICE_INSTANCE_H_
