// Pseudo-random numbers for the pure cores. The seed always comes from outside, so that a
// run can be repeated.
#ifndef COORDINATOR_BASE_RANDOM_H_
#define COORDINATOR_BASE_RANDOM_H_

#include <cstdint>
#include <random>

namespace concordat {

// Not thread-safe. Two objects with the same seed give the same sequence on every
// platform: the C++ standard defines mt19937_64 exactly. It does not define the library's
// distributions exactly, so they are not used.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  [[nodiscard]] uint64_t Next() { return engine_(); }
  // Uniform in [0, bound); 0 when bound is 0. The bias is below 2^-32 for bounds under
  // 2^32, which does not matter here.
  [[nodiscard]] uint64_t Below(uint64_t bound) {
    return bound == 0 ? 0 : engine_() % bound;
  }
  // Uniform in [low, high].
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  // True with a probability of `percent` in a hundred.
  [[nodiscard]] bool Percent(uint64_t percent) { return Below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_RANDOM_H_
