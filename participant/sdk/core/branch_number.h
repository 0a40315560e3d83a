// The meaning of the number in a branch id (coordinator/base/xid.h).
//
//   bit   63   62    61 … 46       45 … 0
//         0    1     grace period   count     application-managed
//         0    0     ------- count -------    any other branch
//
// The application runs an application-managed branch on a connection of its own, and
// hands it over prepared. Until the application asks to commit, no other program knows
// that the branch must be left alone, and a participant that was restarted knows only
// what the store tells, which is the branch id. So the id says for how many seconds after
// the prepare the branch is left alone.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
#define PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_

#include <algorithm>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::participant {

inline constexpr Duration kMinGracePeriod = Duration::Seconds(1);
inline constexpr Duration kMaxGracePeriod = Duration::Seconds(65'535);
inline constexpr uint64_t kMaxApplicationManagedCount = (uint64_t{1} << 46) - 1;

// `count` is at most kMaxApplicationManagedCount. The grace period is clamped to its
// limits and rounded up to seconds.
[[nodiscard]] inline uint64_t ApplicationManagedNumber(uint64_t count,
                                                       Duration grace_period) {
  const Duration p = std::clamp(grace_period, kMinGracePeriod, kMaxGracePeriod);
  const auto seconds = static_cast<uint64_t>((p.millis() + 999) / 1000);
  return (uint64_t{1} << 62) | (seconds << 46) | count;
}

[[nodiscard]] inline bool IsApplicationManaged(uint64_t number) {
  return (number >> 62) == 1;
}

// All branches of an incarnation are counted from 1.
[[nodiscard]] inline uint64_t CountOf(uint64_t number) {
  return IsApplicationManaged(number) ? number & kMaxApplicationManagedCount : number;
}

// How long after its prepare the branch is left alone; zero for any other branch.
[[nodiscard]] inline Duration GracePeriodOf(uint64_t number) {
  if (!IsApplicationManaged(number)) return Duration();
  return Duration::Seconds(static_cast<int64_t>((number >> 46) & 0xFFFF));
}

// How much of this time is left; zero: none.
[[nodiscard]] inline Duration GraceLeft(uint64_t number, Duration prepared_for) {
  return std::max(GracePeriodOf(number) - prepared_for, Duration());
}

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
