// A seat service as a user would write one, in memory that stands for a durable store,
// and a referee: it records each call that the SDK's contract
// (participant/resources/service/service.h) does not allow. It can fail before or after
// it has done what it was asked, hold calls back, and tell a test of each step.
#ifndef TESTS_UNIT_SERVICE_MODEL_SERVICE_H_
#define TESTS_UNIT_SERVICE_MODEL_SERVICE_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/base/mutex.h"
#include "participant/resources/service/service.h"

namespace concordat::participant::service {

// What survives the process. A copy is what a crash at that moment leaves.
struct ModelStore {
  struct Row {
    State state = State::kTried;
    std::string seat;
  };
  std::map<std::string, Row> rows;  // by reservation id

  [[nodiscard]] std::string Seat(const std::string& seat) const {
    for (const auto& [id, row] : rows) {
      if (row.seat != seat) continue;
      if (row.state == State::kTried) return "held";
      if (row.state == State::kConfirmed) return "sold";
    }
    return "free";
  }
  [[nodiscard]] size_t Count(State state) const {
    size_t count = 0;
    for (const auto& [id, row] : rows) count += row.state == state ? 1 : 0;
    return count;
  }
};

// What a test and the services of several incarnations share. Thread-safe.
class ModelWorld {
 public:
  // Fails the next call of this kind ("try", "confirm", "cancel", "lookup"), after it has
  // taken effect or without effect.
  void FailNext(const std::string& kind, bool after_effect) {
    MutexLock lock(&mutex);
    failures[kind].push_back(after_effect);
  }
  [[nodiscard]] ModelStore Store() {
    MutexLock lock(&mutex);
    return store;
  }
  [[nodiscard]] std::vector<std::string> Calls() {
    MutexLock lock(&mutex);
    return calls;
  }
  [[nodiscard]] size_t CallsOf(const std::string& kind) {
    MutexLock lock(&mutex);
    size_t count = 0;
    for (const std::string& call : calls) count += call.rfind(kind + " ", 0) == 0 ? 1 : 0;
    return count;
  }
  [[nodiscard]] std::vector<std::string> Violations() {
    MutexLock lock(&mutex);
    return violations;
  }
  // Calls of this kind wait until Release; empty: none waits.
  void Hold(const std::string& kind) {
    MutexLock lock(&mutex);
    hold = kind;
  }
  void Release();
  // The world as a crash at this moment leaves it for the next instance.
  [[nodiscard]] std::unique_ptr<ModelWorld> AfterCrash()
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    auto world = std::make_unique<ModelWorld>();
    MutexLock theirs(&world->mutex);
    world->store = store;
    world->tried = tried;
    world->forgetful = forgetful;
    return world;
  }

  mutable Mutex mutex;
  ModelStore store ABSL_GUARDED_BY(mutex);
  std::vector<std::string> calls ABSL_GUARDED_BY(mutex);  // "try 1.3.1/seats/9.1/1"
  std::vector<std::string> violations ABSL_GUARDED_BY(mutex);
  std::map<std::string, std::deque<bool>> failures ABSL_GUARDED_BY(mutex);
  std::set<std::string> busy ABSL_GUARDED_BY(mutex);   // branches with a call
  std::set<std::string> tried ABSL_GUARDED_BY(mutex);  // ids, never removed
  std::set<std::string> ended ABSL_GUARDED_BY(mutex);  // ids: OK was returned
  std::string hold ABSL_GUARDED_BY(mutex);
  std::vector<std::function<void()>> held ABSL_GUARDED_BY(mutex);
  std::vector<Gtid> forgotten ABSL_GUARDED_BY(mutex);
  bool forgetful ABSL_GUARDED_BY(mutex) = false;  // Cancel leaves no trace
  // Called before and after each effect, without the mutex.
  std::function<void()> on_step;
  // More random failures; called under the mutex.
  std::function<bool()> fails;
};

// Requests: "book SEAT", "show SEAT" (a query), "break SEAT" (reserves, and returns
// Failed), "break" (returns Failed without reserving). Callbacks run on the calling
// thread.
class ModelService final : public AsyncService {
 public:
  explicit ModelService(ModelWorld* world) : world_(world) {}

  void Try(const Reservation& reservation, std::string_view request,
           Callback<TryResult> done) override;
  void Confirm(const Reservation& reservation, Callback<absl::Status> done) override;
  void Cancel(const Reservation& reservation, Callback<absl::Status> done) override;
  void Lookup(const Reservation& reservation,
              Callback<absl::StatusOr<State>> done) override;
  [[nodiscard]] bool IsQuery(std::string_view request) const override {
    return request.rfind("show ", 0) == 0;
  }
  void Query(std::string_view request, Callback<QueryResult> done) override;
  void ForgetBelow(const Gtid& watermark, Callback<absl::Status> done) override;
  void Close() override {}

 private:
  // Runs `body` now, or when it is released, as one call of this kind.
  void Run(const std::string& kind, const Reservation& reservation,
           std::function<void()> body);
  TryResult DoTry(const std::string& id, const std::string& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(world_->mutex);
  void Settle(const std::string& kind, const Reservation& reservation,
              Callback<absl::Status> done);
  // 0: does not fail; 1: before the effect; 2: after it.
  int Failure(const std::string& kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(world_->mutex);
  void Step() {
    if (world_->on_step) world_->on_step();
  }

  ModelWorld* const world_;
};

}  // namespace concordat::participant::service

#endif  // TESTS_UNIT_SERVICE_MODEL_SERVICE_H_
