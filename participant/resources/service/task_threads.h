// A few threads that carry out what is posted, now or after a while.
#ifndef PARTICIPANT_RESOURCES_SERVICE_TASK_THREADS_H_
#define PARTICIPANT_RESOURCES_SERVICE_TASK_THREADS_H_

#include <cstddef>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"

namespace concordat::participant::service {

// Thread-safe.
class TaskThreads {
 public:
  using Task = absl::AnyInvocable<void()>;

  TaskThreads() = default;
  ~TaskThreads() { Stop(); }

  void Start(size_t threads);
  // In order of posting, as far as one thread goes. Dropped after Stop.
  void Post(Task task);
  void PostAfter(Duration delay, Task task);
  // Carries out what was posted without a delay, drops the rest, ends the threads. Not
  // from one of them.
  void Stop();

 private:
  void Run();

  Mutex mutex_;
  ConditionVariable wakes_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  std::multimap<Timestamp, Task> later_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_TASK_THREADS_H_
