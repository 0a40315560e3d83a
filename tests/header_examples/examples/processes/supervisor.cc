#include "examples/processes/supervisor.h"

namespace concordat::example {

void SupervisorExample(Supervisor& supervisor, const std::string& dir) {
  // EXAMPLE
}

}  // namespace concordat::example
