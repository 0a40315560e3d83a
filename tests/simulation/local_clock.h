// A simulated machine's monotonic clock: it may run fast or slow, stand still for a
// while, or jump ahead. It never goes back, because a monotonic clock does not.
#ifndef TESTS_SIMULATION_LOCAL_CLOCK_H_
#define TESTS_SIMULATION_LOCAL_CLOCK_H_

#include <cstdint>

#include "coordinator/base/clock.h"
#include "tests/simulation/event_queue.h"

namespace concordat::simulation {

class LocalClock final : public Clock {
 public:
  // `queue` has the true time.
  explicit LocalClock(const EventQueue* queue) : queue_(queue) {}

  [[nodiscard]] Timestamp Now() const override {
    const int64_t elapsed = (queue_->now() - true_base_).micros();
    return local_base_ + Duration::Micros(elapsed / 1000 * permille_ +
                                          elapsed % 1000 * permille_ / 1000);
  }
  // The time of day may have any value; no decision may depend on it.
  [[nodiscard]] int64_t WallMicros() const override {
    return Now().micros() + wall_offset_micros_;
  }

  // 1000: the true rate; 0: stands still; 1500: gains half a second in each second.
  void SetRate(int64_t permille) {
    Rebase();
    permille_ = permille;
  }
  void JumpAhead(Duration by) {
    Rebase();
    local_base_ = local_base_ + by;
  }
  void SetWall(int64_t offset_micros) { wall_offset_micros_ = offset_micros; }
  // The true time until this clock shows `when`, at its present rate; while the clock
  // stands still, the time after which to ask again.
  [[nodiscard]] Duration TrueTimeUntil(Timestamp when) const {
    const int64_t missing = (when - Now()).micros();
    if (missing <= 0) {
      return Duration();
    }
    return permille_ == 0 ? Duration::Millis(20)
                          : Duration::Micros(missing / permille_ * 1000 + 1 +
                                             missing % permille_ * 1000 / permille_);
  }

 private:
  void Rebase() {
    local_base_ = Now();
    true_base_ = queue_->now();
  }

  const EventQueue* queue_;
  Timestamp true_base_;
  Timestamp local_base_;
  int64_t permille_ = 1000;
  int64_t wall_offset_micros_ = 0;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_LOCAL_CLOCK_H_
