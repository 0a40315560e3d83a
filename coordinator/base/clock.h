// Time as the pure cores see it: a number that is passed to them. The daemons read
// SystemClock (system_clock.h); the simulator has a clock of its own.
#ifndef COORDINATOR_BASE_CLOCK_H_
#define COORDINATOR_BASE_CLOCK_H_

#include <compare>
#include <cstdint>

namespace concordat {

// A span of time. Signed, in microseconds.
class Duration {
 public:
  constexpr Duration() = default;
  [[nodiscard]] static constexpr Duration Micros(int64_t n) { return Duration(n); }
  [[nodiscard]] static constexpr Duration Millis(int64_t n) { return Duration(n * 1000); }
  [[nodiscard]] static constexpr Duration Seconds(int64_t n) {
    return Duration(n * 1000 * 1000);
  }

  [[nodiscard]] constexpr int64_t micros() const { return micros_; }
  [[nodiscard]] constexpr int64_t millis() const { return micros_ / 1000; }

  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) {
    return Duration(a.micros_ + b.micros_);
  }
  friend constexpr Duration operator-(Duration a, Duration b) {
    return Duration(a.micros_ - b.micros_);
  }
  friend constexpr Duration operator*(Duration a, int64_t k) {
    return Duration(a.micros_ * k);
  }

 private:
  constexpr explicit Duration(int64_t micros) : micros_(micros) {}
  int64_t micros_ = 0;
};

// A point in time on a monotonic clock, in microseconds since that clock's start. It can
// be compared only within one process, so it is never written to disk or sent to a peer.
class Timestamp {
 public:
  constexpr Timestamp() = default;
  [[nodiscard]] static constexpr Timestamp FromMicros(int64_t n) { return Timestamp(n); }
  [[nodiscard]] static constexpr Timestamp Infinite() { return Timestamp(INT64_MAX); }
  [[nodiscard]] constexpr int64_t micros() const { return micros_; }

  friend constexpr auto operator<=>(Timestamp, Timestamp) = default;
  friend constexpr Timestamp operator+(Timestamp t, Duration d) {
    return Timestamp(t.micros_ + d.micros());
  }
  friend constexpr Timestamp operator-(Timestamp t, Duration d) {
    return Timestamp(t.micros_ - d.micros());
  }
  friend constexpr Duration operator-(Timestamp a, Timestamp b) {
    return Duration::Micros(a.micros_ - b.micros_);
  }

 private:
  constexpr explicit Timestamp(int64_t micros) : micros_(micros) {}
  int64_t micros_ = 0;
};

// Where time comes from. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic: it does not jump when the wall clock is set.
  [[nodiscard]] virtual Timestamp Now() const = 0;
  // Microseconds since the Unix epoch, for logs and displays. Nothing may be decided by
  // it.
  [[nodiscard]] virtual int64_t WallMicros() const = 0;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_CLOCK_H_
