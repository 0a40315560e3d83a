#include "participant/resources/service/service.h"

#include "participant/resources/service/service_resource_manager.h"

namespace concordat::participant::service_example {

using namespace service;  // NOLINT

// EXAMPLE

}  // namespace concordat::participant::service_example
