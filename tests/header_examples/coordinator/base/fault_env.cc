#include "coordinator/base/fault_env.h"

#include "wal/log.h"

namespace concordat {

void FaultEnvExample(uint64_t seed, wal::LogOptions options,
                     const wal::ReadCallback& replay) {
  // EXAMPLE
}

}  // namespace concordat
