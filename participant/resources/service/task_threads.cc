#include "participant/resources/service/task_threads.h"

#include <utility>

#include "coordinator/base/system_clock.h"

namespace concordat::participant::service {

void TaskThreads::Start(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

void TaskThreads::Post(Task task) {
  MutexLock lock(&mutex_);
  if (stop_) return;
  tasks_.push_back(std::move(task));
  wakes_.NotifyOne();
}

void TaskThreads::PostAfter(Duration delay, Task task) {
  MutexLock lock(&mutex_);
  if (stop_) return;
  later_.emplace(SystemClock().Now() + delay, std::move(task));
  wakes_.NotifyOne();
}

void TaskThreads::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    later_.clear();
    wakes_.NotifyAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void TaskThreads::Run() {
  while (true) {
    Task task;
    {
      MutexLock lock(&mutex_);
      while (tasks_.empty()) {
        if (stop_) return;
        const Timestamp now = SystemClock().Now();
        if (later_.empty()) {
          wakes_.Wait(&mutex_);
        } else if (later_.begin()->first <= now) {
          tasks_.push_back(std::move(later_.extract(later_.begin()).mapped()));
        } else {
          wakes_.WaitFor(&mutex_, later_.begin()->first - now);
        }
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace concordat::participant::service
