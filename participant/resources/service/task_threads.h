// A few threads that run posted tasks, now or after a delay.
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
  // One thread runs tasks in the order of posting. After Stop they are dropped.
  void Post(Task task);
  void PostAfter(Duration delay, Task task);
  // Runs the tasks that were posted without a delay, drops the others, and ends the
  // threads. Must not be called from one of the threads.
  void Stop();

 private:
  void Run();

  Mutex mutex_;
  ConditionVariable wakes_;  // signals the threads: a task is posted, or stop_ is set
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);  // to run at once
  // Delayed tasks by the time at which they are due.
  std::multimap<Timestamp, Task> later_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;  // Stop was called
  std::vector<std::thread> threads_;
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_TASK_THREADS_H_
