// The machine's clocks and its source of randomness, for the daemons and for services
// that embed a participant. The pure cores must not use them.
#ifndef COORDINATOR_BASE_SYSTEM_CLOCK_H_
#define COORDINATOR_BASE_SYSTEM_CLOCK_H_

#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat {

// CLOCK_MONOTONIC and the wall clock. Stateless and thread-safe.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Timestamp Now() const override;
  [[nodiscard]] int64_t WallMicros() const override;
};

// 64 unpredictable bits from the operating system, never 0. Thread-safe.
[[nodiscard]] uint64_t SystemRandom64();

}  // namespace concordat

#endif  // COORDINATOR_BASE_SYSTEM_CLOCK_H_
