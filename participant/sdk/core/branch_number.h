// What the number in a branch id (coordinator/base/xid.h) says.
//
//   bit   63   62    61 … 46       45 … 0
//         0    1    grace period    count       application-managed
//         0    0     ------- count -------      any other
//
// An application-managed branch is run by the application on a connection of its own, and
// handed over prepared. Until the application asks to commit, nobody else knows that the
// branch is to be left alone; a participant that was restarted knows nothing but what the
// store tells: the branch id. So the id says it, and for how many seconds after it was
// prepared.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
#define PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_

#include <algorithm>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::participant {

inline constexpr Duration kMinGracePeriod = Duration::Seconds(1);
inline constexpr Duration kMaxGracePeriod = Duration::Seconds(65'535);
inline constexpr uint64_t kMaxApplicationManagedCount = (uint64_t{1} << 46) - 1;

// `count` at most kMaxApplicationManagedCount; the grace period is clamped to its
// limits, and rounded up.
[[nodiscard]] inline uint64_t ApplicationManagedNumber(uint64_t count,
                                                       Duration grace_period) {
  const Duration p = std::clamp(grace_period, kMinGracePeriod, kMaxGracePeriod);
  const auto seconds = static_cast<uint64_t>((p.millis() + 999) / 1000);
  return (uint64_t{1} << 62) | (seconds << 46) | count;
}

[[nodiscard]] inline bool IsApplicationManaged(uint64_t number) {
  return (number >> 62) == 1;
}

// Counts all branches of an incarnation, from 1.
[[nodiscard]] inline uint64_t CountOf(uint64_t number) {
  return IsApplicationManaged(number) ? number & kMaxApplicationManagedCount : number;
}

// How long after it was prepared the branch is left alone; zero for any other.
[[nodiscard]] inline Duration GracePeriodOf(uint64_t number) {
  if (!IsApplicationManaged(number)) return Duration();
  return Duration::Seconds(static_cast<int64_t>((number >> 46) & 0xFFFF));
}

// How much of that is left; zero: nothing.
[[nodiscard]] inline Duration GraceLeft(uint64_t number, Duration prepared_for) {
  return std::max(GracePeriodOf(number) - prepared_for, Duration());
}

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
