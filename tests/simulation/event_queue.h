// The events of the simulated world, in the order of simulated time.
//
//   EventQueue queue;
//   queue.At(queue.now() + Duration::Millis(5), [&] { ... });
//   while (queue.RunNext()) {}
//
// Events of the same time run in the order in which they were scheduled, so the schedule
// alone determines the order of everything.
#ifndef TESTS_SIMULATION_EVENT_QUEUE_H_
#define TESTS_SIMULATION_EVENT_QUEUE_H_

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "coordinator/base/clock.h"

namespace concordat::simulation {

using Action = absl::AnyInvocable<void()>;

// Not thread-safe, like everything in the simulator.
class EventQueue {
 public:
  [[nodiscard]] Timestamp now() const { return now_; }
  // A time in the past means now.
  void At(Timestamp when, Action action);
  // Runs the next event. False: none is left.
  bool RunNext();
  // The time of the next event; infinite when none is left.
  [[nodiscard]] Timestamp NextTime() const;
  [[nodiscard]] uint64_t executed() const { return executed_; }

 private:
  struct Event {
    Timestamp when;
    uint64_t sequence;
    Action action;
  };
  static bool Later(const Event& a, const Event& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }

  Timestamp now_;
  uint64_t next_sequence_ = 0;
  uint64_t executed_ = 0;
  std::vector<Event> heap_;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_EVENT_QUEUE_H_
