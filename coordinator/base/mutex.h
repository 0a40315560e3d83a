// The standard library's mutex and condition variable with Abseil's thread-safety
// annotations. Abseil's own mutex, as the distribution packages it, gives false reports
// under ThreadSanitizer that suppressions do not stop.
//
//   class Jobs {
//    public:
//     void Add(Job job) {
//       MutexLock lock(&mutex_);
//       jobs_.push_back(job);
//     }
//    private:
//     Mutex mutex_;
//     std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
//   };
#ifndef COORDINATOR_BASE_MUTEX_H_
#define COORDINATOR_BASE_MUTEX_H_

#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "coordinator/base/clock.h"

namespace concordat {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class ConditionVariable;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }

 private:
  Mutex* const mutex_;
};

// A wait may end early, so it must be called in a loop that tests the condition.
class ConditionVariable {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False when the time-out has passed.
  bool WaitFor(Mutex* mutex, Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex->mutex_, std::adopt_lock);
    const auto result =
        condition_.wait_for(lock, std::chrono::microseconds(timeout.micros()));
    lock.release();
    return result == std::cv_status::no_timeout;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_MUTEX_H_
