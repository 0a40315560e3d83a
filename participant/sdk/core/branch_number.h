// What the number in a branch id (coordinator/base/xid.h) says.
//
//   bit   63   62    61 … 46     45 … 0
//         0    own   patience    count        own: the application prepares the branch
//         0    0     ------ count ------      any other
//
// An own branch is run by the application on a connection of its own, and handed over
// prepared. Until it asks to commit, nobody else knows that the branch is to be left
// alone; a participant that was restarted knows nothing but what the store tells: the
// branch id. So the id says it, and for how many seconds after it was prepared.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
#define PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_

#include <algorithm>
#include <cstdint>

#include "coordinator/base/clock.h"

namespace concordat::participant {

inline constexpr Duration kMinOwnPatience = Duration::Seconds(1);
inline constexpr Duration kMaxOwnPatience = Duration::Seconds(65'535);
inline constexpr uint64_t kMaxOwnCount = (uint64_t{1} << 46) - 1;

// `count` at most kMaxOwnCount; the patience is cut to its limits, and rounded up.
[[nodiscard]] inline uint64_t OwnBranchNumber(uint64_t count, Duration patience) {
  const Duration p = std::clamp(patience, kMinOwnPatience, kMaxOwnPatience);
  const auto seconds = static_cast<uint64_t>((p.millis() + 999) / 1000);
  return (uint64_t{1} << 62) | (seconds << 46) | count;
}

[[nodiscard]] inline bool IsOwnBranch(uint64_t number) { return (number >> 62) == 1; }

// Counts all branches of an incarnation, from 1.
[[nodiscard]] inline uint64_t CountOf(uint64_t number) {
  return IsOwnBranch(number) ? number & kMaxOwnCount : number;
}

// How long after it was prepared the branch is left alone; zero for any other.
[[nodiscard]] inline Duration PatienceOf(uint64_t number) {
  if (!IsOwnBranch(number)) return Duration();
  return Duration::Seconds(static_cast<int64_t>((number >> 46) & 0xFFFF));
}

// How much of that is left; zero: nothing.
[[nodiscard]] inline Duration PatienceLeft(uint64_t number, Duration prepared_for) {
  return std::max(PatienceOf(number) - prepared_for, Duration());
}

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_NUMBER_H_
