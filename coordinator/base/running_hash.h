// RunningHash: a digest of everything that a deterministic table has applied, and of what
// became of it. Equal on every node at the same index, and the same on every machine,
// which absl::Hash is not. It guards against nondeterminism, not against an adversary.
#ifndef COORDINATOR_BASE_RUNNING_HASH_H_
#define COORDINATOR_BASE_RUNNING_HASH_H_

#include <cstdint>
#include <string_view>

namespace concordat {

class RunningHash {
 public:
  RunningHash() = default;
  // Goes on with the value that a snapshot has carried along.
  explicit RunningHash(uint64_t value) : value_(value) {}

  // FNV-1a's multiplication with a shift to carry high bits down.
  void Mix(uint64_t value) {
    value_ = (value_ ^ value) * 0x9E3779B97F4A7C15u;
    value_ ^= value_ >> 29;
  }
  void Mix(std::string_view text) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3u;
    Mix(hash);
  }

  [[nodiscard]] uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_RUNNING_HASH_H_
