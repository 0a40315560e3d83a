#include "coordinator/registry/registry.h"

namespace concordat::registry {

void RegistryExample(const Options& options, ResourceUsers& users,
                     group::RequestToken token, std::vector<std::string> proposals,
                     Timestamp now) {
  // EXAMPLE
}

}  // namespace concordat::registry
