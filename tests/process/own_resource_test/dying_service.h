// A service that kills its own process (SIGKILL) at a step, before or after the effect of
// one of its functions, to test what is there afterwards.
#ifndef TESTS_PROCESS_OWN_RESOURCE_TEST_DYING_SERVICE_H_
#define TESTS_PROCESS_OWN_RESOURCE_TEST_DYING_SERVICE_H_

#include <signal.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "participant/resources/service/service.h"

namespace concordat::testing {

class DyingService final : public participant::service::Service {
 public:
  using Reservation = participant::service::Reservation;

  // `step`: "before-try", "after-confirm", …; empty: none.
  DyingService(std::unique_ptr<Service> service, std::string step)
      : service_(std::move(service)), step_(std::move(step)) {}

  participant::service::TryResult Try(const Reservation& r,
                                      std::string_view request) override {
    return Call("try", [&] { return service_->Try(r, request); });
  }
  absl::Status Confirm(const Reservation& r) override {
    return Call("confirm", [&] { return service_->Confirm(r); });
  }
  absl::Status Cancel(const Reservation& r) override {
    return Call("cancel", [&] { return service_->Cancel(r); });
  }
  absl::StatusOr<participant::service::State> Lookup(const Reservation& r) override {
    return Call("lookup", [&] { return service_->Lookup(r); });
  }
  [[nodiscard]] bool IsQuery(std::string_view request) const override {
    return service_->IsQuery(request);
  }
  participant::service::QueryResult Query(std::string_view request) override {
    return service_->Query(request);
  }

 private:
  template <class Body>
  auto Call(const std::string& name, Body body) -> decltype(body()) {
    if (step_ == "before-" + name) kill(getpid(), SIGKILL);
    auto result = body();
    if (step_ == "after-" + name) kill(getpid(), SIGKILL);
    return result;
  }

  const std::unique_ptr<Service> service_;
  const std::string step_;
};

}  // namespace concordat::testing

#endif  // TESTS_PROCESS_OWN_RESOURCE_TEST_DYING_SERVICE_H_
