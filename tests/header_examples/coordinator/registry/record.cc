#include "coordinator/registry/record.h"

namespace concordat::registry {

void RecordExample() {
  // EXAMPLE
}

}  // namespace concordat::registry
