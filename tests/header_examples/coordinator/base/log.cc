#include "coordinator/base/log.h"

namespace concordat {

void LogExample(uint64_t id, uint64_t term) {
  // EXAMPLE
}

}  // namespace concordat
