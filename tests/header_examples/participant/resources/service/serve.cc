#include "participant/resources/service/serve.h"

#include "participant/resources/service/service_resource_manager.h"

namespace concordat::participant::serve_example {

class SeatService : public service::Service {
 public:
  SeatService();
  service::TryResult Try(const service::Reservation&, std::string_view) override;
  absl::Status Confirm(const service::Reservation&) override;
  absl::Status Cancel(const service::Reservation&) override;
  absl::StatusOr<service::State> Lookup(const service::Reservation&) override;
};

// EXAMPLE

}  // namespace concordat::participant::serve_example
