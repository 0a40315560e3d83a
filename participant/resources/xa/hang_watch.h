// Notices a call of a switch that does not return. Such a call cannot be ended safely: it
// is logged and counted, the callers that wait for it are told that the result is not
// known yet, and the call continues.
//
//   HangWatch watch("queue", Duration::Seconds(10));
//   watch.Add(thread);    // any number; they outlive the watch
//   watch.Stats();
#ifndef PARTICIPANT_RESOURCES_XA_HANG_WATCH_H_
#define PARTICIPANT_RESOURCES_XA_HANG_WATCH_H_

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/xa/thread_of_control.h"

namespace concordat::participant::xa {

struct XaStats {
  uint64_t hanging_calls = 0;  // now
  uint64_t hung_calls = 0;     // since the start, including those that have returned
};

// Thread-safe.
class HangWatch {
 public:
  HangWatch(std::string resource, Duration limit);
  ~HangWatch();
  HangWatch(const HangWatch&) = delete;
  HangWatch& operator=(const HangWatch&) = delete;

  void Add(ThreadOfControl* thread);
  [[nodiscard]] XaStats Stats();

 private:
  void Run();
  void Look();

  const std::string resource_;  // its name, for the log
  const Duration limit_;        // a longer call counts as hanging
  Mutex mutex_;
  ConditionVariable wakes_;
  std::vector<ThreadOfControl*> threads_ ABSL_GUARDED_BY(mutex_);  // not owned
  uint64_t hung_calls_ ABSL_GUARDED_BY(mutex_) = 0;                // see XaStats
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;  // the destructor has begun
  std::thread thread_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_HANG_WATCH_H_
