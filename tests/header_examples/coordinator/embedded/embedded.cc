#include "coordinator/embedded/embedded.h"

#include <utility>

#include "participant/resources/kv/kv_resource_manager.h"

namespace concordat {

absl::Status EmbeddedExample() {
  // EXAMPLE
  return result.work;
}

}  // namespace concordat
