#include "examples/processes/database_server.h"

#include "examples/processes/supervisor.h"

namespace concordat::example {

void DatabaseServerExample(const std::string& folder, Supervisor& supervisor) {
  // EXAMPLE
}

}  // namespace concordat::example
