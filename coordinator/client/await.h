// Lets a blocking interface wait for an event loop. No order of calls hangs or crashes: a
// call on the loop's own thread, which would wait for itself, and a call after the
// client's end return a status instead.
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

// A reference to a loop that objects may keep beyond the client's end. Thread-safe.
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
  // FAILED_PRECONDITION: the client is closed; the task is dropped.
  absl::Status Post(rpc::Task task) {
    MutexLock lock(&mutex_);
    if (loop_ == nullptr) return Gone();
    loop_->Post(std::move(task));
    return absl::OkStatus();
  }
  // FAILED_PRECONDITION: the client is closed, or this is the loop's own thread.
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
  rpc::EventLoop* loop_ ABSL_GUARDED_BY(mutex_);  // null: closed
};

// A value for which one thread waits and which the loop's thread sets. The wait also ends
// when the Setter has been destroyed without a value.
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

  // nullopt: the value will never be set.
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
  ConditionVariable ready_;  // finished_ has become true
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);  // nullopt: ended without a value
};

// A value, or the reason why there is none. (A StatusOr cannot hold a Status, and holds
// another StatusOr badly.)
template <class T>
struct Awaited {
  absl::Status status;
  std::optional<T> value{};  // set exactly when the status is OK

  [[nodiscard]] bool ok() const { return value.has_value(); }
};

// Runs `start(setter)` on the loop and waits until setter->Set is called.
// FAILED_PRECONDITION: this is the loop's thread, or the client is closed or was closed
// during the wait.
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
