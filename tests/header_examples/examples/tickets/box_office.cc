#include "examples/tickets/box_office.h"

#include <functional>

#include "examples/processes/nemesis.h"
#include "examples/processes/supervisor.h"

namespace concordat::tickets {

void BoxOfficeExample(Programs programs, const std::string& folder, const Plan& plan,
                      example::Nemesis::Plan kills, uint64_t seed,
                      std::function<void(const std::string&)> say) {
  example::Supervisor supervisor;
  // EXAMPLE
}

}  // namespace concordat::tickets
