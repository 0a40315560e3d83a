#include "examples/processes/loop_call.h"

#include "coordinator/base/mutex.h"

namespace concordat::example {

void CallOnLoop(rpc::EventLoop* loop, const std::function<void()>& function) {
  Mutex mutex;
  ConditionVariable changed;
  bool done = false;
  loop->Post([&] {
    function();
    MutexLock lock(&mutex);
    done = true;
    changed.NotifyAll();
  });
  MutexLock lock(&mutex);
  while (!done) changed.Wait(&mutex);
}

}  // namespace concordat::example
