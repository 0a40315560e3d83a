// Pseudo-random numbers for the pure cores: always seeded from outside, so that a
// run can be repeated from its seed.
#ifndef COORDINATOR_BASE_RANDOM_H_
#define COORDINATOR_BASE_RANDOM_H_

#include <cstdint>
#include <random>

namespace concordat {

// Not thread-safe. Two objects with one seed give the same sequence on every
// platform: mt19937_64 is fixed by the C++ standard, and the library's
// distributions, which are not, are not used.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  [[nodiscard]] uint64_t Next() { return engine_(); }
  // Uniform in [0, bound); 0 when bound is 0. The bias, below 2^-32 for bounds
  // under 2^32, is of no account here.
  [[nodiscard]] uint64_t Below(uint64_t bound) {
    return bound == 0 ? 0 : engine_() % bound;
  }
  // Uniform in [low, high].
  [[nodiscard]] int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(Below(static_cast<uint64_t>(high - low) + 1));
  }
  // True with the given probability in percent.
  [[nodiscard]] bool Percent(uint64_t percent) { return Below(100) < percent; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_RANDOM_H_
