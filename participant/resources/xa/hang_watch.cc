#include "participant/resources/xa/hang_watch.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"

namespace concordat::participant::xa {

HangWatch::HangWatch(std::string resource, Duration limit)
    : resource_(std::move(resource)), limit_(limit), thread_([this] { Run(); }) {}

HangWatch::~HangWatch() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    wakes_.NotifyOne();
  }
  thread_.join();
}

void HangWatch::Add(ThreadOfControl* thread) {
  MutexLock lock(&mutex_);
  threads_.push_back(thread);
}

XaStats HangWatch::Stats() {
  MutexLock lock(&mutex_);
  XaStats stats;
  stats.hung_calls = hung_calls_;
  stats.hanging_calls = static_cast<uint64_t>(
      std::count_if(threads_.begin(), threads_.end(),
                    [](ThreadOfControl* thread) { return thread->hanging(); }));
  return stats;
}

void HangWatch::Run() {
  const Duration pause = Duration::Micros(std::max<int64_t>(limit_.micros() / 4, 1000));
  for (;;) {
    {
      MutexLock lock(&mutex_);
      if (!stop_) wakes_.WaitFor(&mutex_, pause);
      if (stop_) return;
    }
    Look();
  }
}

void HangWatch::Look() {
  std::vector<ThreadOfControl*> threads;
  {
    MutexLock lock(&mutex_);
    threads = threads_;
  }
  const SystemClock clock;
  for (ThreadOfControl* thread : threads) {
    const auto call = thread->NoteHang(clock.Now(), limit_);
    if (!call) continue;
    {
      MutexLock lock(&mutex_);
      ++hung_calls_;
    }
    LogEvent(Level::kError, "a call of the switch does not come back")
        .Field("resource", resource_)
        .Field("call", call->name)
        .Field("branch", call->branch)
        .Field("for_ms", call->lasts.millis());
    thread->GiveUpWaiting();
  }
}

}  // namespace concordat::participant::xa
