#include "participant/resources/service/service_resource_manager.h"

#include "participant/sdk/participant.h"

namespace concordat::participant::service_resource_manager_example {

class SeatService : public service::Service {
 public:
  SeatService();
  service::TryResult Try(const service::Reservation&, std::string_view) override;
  absl::Status Confirm(const service::Reservation&) override;
  absl::Status Cancel(const service::Reservation&) override;
  absl::StatusOr<service::State> Lookup(const service::Reservation&) override;
};

void ServiceResourceManagerExample(Participant* participant) {
  // EXAMPLE
}

}  // namespace concordat::participant::service_resource_manager_example
