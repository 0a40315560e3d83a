// Waiting in tests: for a state with a generous limit, never for a fixed time.
#ifndef TESTS_SUPPORT_WAITING_H_
#define TESTS_SUPPORT_WAITING_H_

#include <chrono>
#include <cstdint>
#include <thread>

namespace concordat::testing {

// Monotonic.
[[nodiscard]] inline double NowSeconds() {
  return std::chrono::duration<double>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline void SleepMs(int64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

// Waits until the condition holds; false when it does not within `seconds`.
template <class Condition>
[[nodiscard]] bool WaitUntil(double seconds, Condition condition) {
  const double end = NowSeconds() + seconds;
  while (!condition()) {
    if (NowSeconds() > end) return false;
    SleepMs(5);
  }
  return true;
}

// As WaitUntil, with a limit that only a failing test reaches.
template <class Condition>
bool Eventually(Condition condition, double seconds = 20) {
  return WaitUntil(seconds, condition);
}

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_WAITING_H_
