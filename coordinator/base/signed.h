// Numbers without a sign, and ids, where only signed numbers exist: on the wire (Thrift)
// and in SQL. The 64 bits stay as they are, so large values look negative there.
#ifndef COORDINATOR_BASE_SIGNED_H_
#define COORDINATOR_BASE_SIGNED_H_

#include <cstdint>

#include "coordinator/base/strong_id.h"

namespace concordat {

constexpr int64_t Signed(uint64_t value) { return static_cast<int64_t>(value); }
template <class Tag>
constexpr int64_t Signed(StrongId<Tag, uint64_t> id) {
  return Signed(id.value());
}
constexpr uint64_t Unsigned(int64_t value) { return static_cast<uint64_t>(value); }

}  // namespace concordat

#endif  // COORDINATOR_BASE_SIGNED_H_
