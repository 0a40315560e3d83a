#include "coordinator/base/system_clock.h"

#include <sys/random.h>

#include <chrono>

#include "coordinator/base/check.h"

namespace concordat {

Timestamp SystemClock::Now() const {
  const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
  return Timestamp::FromMicros(
      std::chrono::duration_cast<std::chrono::microseconds>(since_start).count());
}

int64_t SystemClock::WallMicros() const {
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(since_epoch).count();
}

uint64_t SystemRandom64() {
  uint64_t value = 0;
  while (value == 0) {
    const ssize_t n = getrandom(&value, sizeof(value), 0);
    CONCORDAT_CHECK(n == static_cast<ssize_t>(sizeof(value))) << "getrandom failed";
  }
  return value;
}

}  // namespace concordat
