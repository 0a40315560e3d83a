// How a blocking interface waits for what a loop's thread does, so that no order of calls
// hangs or crashes: a call on the loop's own thread, which would wait for itself, and one
// that comes after the client has gone, give a status instead.
#ifndef COORDINATOR_CLIENT_AWAIT_H_
#define COORDINATOR_CLIENT_AWAIT_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "coordinator/base/mutex.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

// A loop, for those who may outlive their use of it. Thread-safe.
class LoopHandle {
 public:
  explicit LoopHandle(rpc::EventLoop* loop) : loop_(loop) {}
  LoopHandle(const LoopHandle&) = delete;
  LoopHandle& operator=(const LoopHandle&) = delete;

  // From now on every Post fails.
  void Close() {
    MutexLock lock(&mutex_);
    loop_ = nullptr;
  }
  // FAILED_PRECONDITION: the client has gone. The task is dropped then.
  absl::Status Post(rpc::Task task) {
    MutexLock lock(&mutex_);
    if (loop_ == nullptr) return Gone();
    loop_->Post(std::move(task));
    return absl::OkStatus();
  }
  // FAILED_PRECONDITION: the calling thread must not wait for the loop.
  absl::Status MayWait() {
    MutexLock lock(&mutex_);
    if (loop_ == nullptr) return Gone();
    if (!loop_->RunsInThisThread()) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "a blocking call on the thread of the client's own loop would wait for itself: "
        "use the interface of async_client.h there");
  }
  static absl::Status Gone() {
    return absl::FailedPreconditionError("the client is closed");
  }

 private:
  Mutex mutex_;
  rpc::EventLoop* loop_ ABSL_GUARDED_BY(mutex_);
};

// A value that one thread waits for and the loop's thread brings. When all that could
// bring it has been destroyed, the wait is over too.
template <class T>
class Waiter {
 public:
  class Setter {
   public:
    explicit Setter(std::shared_ptr<Waiter> waiter) : waiter_(std::move(waiter)) {}
    ~Setter() { waiter_->Finish(std::nullopt); }
    Setter(const Setter&) = delete;
    Setter& operator=(const Setter&) = delete;
    void Set(T value) { waiter_->Finish(std::move(value)); }

   private:
    const std::shared_ptr<Waiter> waiter_;
  };

  // None: nobody can bring it any more.
  std::optional<T> Wait() {
    MutexLock lock(&mutex_);
    while (!finished_) ready_.Wait(&mutex_);
    return std::move(value_);
  }

 private:
  void Finish(std::optional<T> value) {
    MutexLock lock(&mutex_);
    if (finished_) return;
    finished_ = true;
    value_ = std::move(value);
    ready_.NotifyAll();
  }

  Mutex mutex_;
  ConditionVariable ready_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

// A value, or why none came. (A StatusOr cannot hold a Status, nor well another
// StatusOr.)
template <class T>
struct Awaited {
  absl::Status status;
  std::optional<T> value{};  // there exactly when the status is OK

  [[nodiscard]] bool ok() const { return value.has_value(); }
};

// Runs `start(setter)` on the loop and waits until setter->Set was called.
// FAILED_PRECONDITION: on the loop's thread, or after the client, or it closed meanwhile.
template <class T, class Start>
Awaited<T> Await(LoopHandle* loop, Start start) {
  if (absl::Status s = loop->MayWait(); !s.ok()) return {s};
  auto waiter = std::make_shared<Waiter<T>>();
  auto setter = std::make_shared<typename Waiter<T>::Setter>(waiter);
  absl::Status posted =
      loop->Post([setter = std::move(setter), start = std::move(start)]() mutable {
        start(std::move(setter));
      });
  if (!posted.ok()) return {posted};
  std::optional<T> value = waiter->Wait();
  if (!value.has_value()) return {LoopHandle::Gone()};
  return {absl::OkStatus(), std::move(value)};
}

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_AWAIT_H_
