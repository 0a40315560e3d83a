// The threads between a service that blocks and its callers.
#include "participant/resources/service/threaded_service.h"

#include <gtest/gtest.h>

#include <future>

namespace concordat::participant::service {
namespace {

// Every Try waits until it is released.
class SlowService final : public Service {
 public:
  explicit SlowService(std::shared_future<void> go) : go_(std::move(go)) {}
  TryResult Try(const Reservation& /*reservation*/,
                std::string_view /*request*/) override {
    go_.wait();
    return TryResult::Reserved("");
  }
  absl::Status Confirm(const Reservation& /*reservation*/) override {
    return absl::OkStatus();
  }
  absl::Status Cancel(const Reservation& /*reservation*/) override {
    return absl::OkStatus();
  }
  absl::StatusOr<State> Lookup(const Reservation& /*reservation*/) override {
    return State::kTried;
  }

 private:
  const std::shared_future<void> go_;
};

TEST(ThreadedServiceTest, Scenario100_TriesThatBlock_HoldUpNobodysConfirm) {
  std::promise<void> go;
  ThreadedService service(std::make_unique<SlowService>(go.get_future().share()), 2);
  std::atomic<int> tried{0};
  for (int i = 0; i < 5; ++i) {
    service.Try(Reservation(), "", [&tried](const TryResult& /*result*/) { ++tried; });
  }
  std::promise<void> confirmed, cancelled, looked_up;
  service.Confirm(Reservation(), [&](const absl::Status&) { confirmed.set_value(); });
  service.Cancel(Reservation(), [&](const absl::Status&) { cancelled.set_value(); });
  service.Lookup(Reservation(),
                 [&](const absl::StatusOr<State>&) { looked_up.set_value(); });
  confirmed.get_future().wait();
  cancelled.get_future().wait();
  looked_up.get_future().wait();
  EXPECT_EQ(tried, 0);
  go.set_value();
  service.Close();
  EXPECT_EQ(tried, 5);
}

}  // namespace
}  // namespace concordat::participant::service
