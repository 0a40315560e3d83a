// One thread that waits for sockets, timers and posted functions (libevent).
//
//   auto loop = EventLoop::Create();          // StatusOr<unique_ptr<EventLoop>>
//   (*loop)->RunAfter(Duration::Millis(5), [] { ... });
//   (*loop)->Run();                           // until Stop()
//
// One iteration always has this order; each step sees what the steps before it queued:
//
//   ready sockets are read -> posted functions -> due timers -> deferred functions
//     -> output of all connections is written -> AfterOutput functions -> wait
//
// So a node that collects its inputs and calls Defer() turns everything that arrived at
// once into one batch of work, and all its answers on one connection leave in one
// write. Nothing that runs on the loop may block.
#ifndef THRIFT_RPC_EVENT_LOOP_H_
#define THRIFT_RPC_EVENT_LOOP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/strong_id.h"

struct event;
struct event_base;

namespace concordat::rpc {

using Task = absl::AnyInvocable<void()>;

// The id of a timer of one loop. 0 means no timer.
using TimerId = StrongId<struct TimerIdTag, uint64_t>;

// Functions that other threads pass to the loop. The queue may outlive the loop: what
// is posted after the loop's end is dropped.
class PostQueue {
 public:
  explicit PostQueue(int event_fd) : event_fd_(event_fd) {}
  ~PostQueue();
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

  // Thread-safe. The loop is woken once for all functions that are posted before it runs.
  void Post(Task task);
  void Wake();
  // Called on the loop's thread. Takes all functions that are queued.
  [[nodiscard]] std::vector<Task> Take();
  // From now on every posted function is dropped. Returns those that did not run.
  [[nodiscard]] std::vector<Task> Close();
  [[nodiscard]] int event_fd() const { return event_fd_; }

 private:
  const int event_fd_;  // eventfd(2) that wakes the loop; owned
  Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);  // posted and not taken
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;      // Post() drops functions
};

// An object that has output to write at the end of an iteration. Used by connections.
class Flushable {
 public:
  virtual void Flush() = 0;

 protected:
  ~Flushable() = default;

 private:
  friend class EventLoop;
  static constexpr size_t kNotQueued = SIZE_MAX;
  size_t flush_slot_ = kNotQueued;  // its index in EventLoop::flushes_
};

class EventLoop {
 public:
  // Fails when the process is out of file descriptors. Ignores SIGPIPE in the whole
  // process, unless the program has set a handler of its own.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  // Must not be called while Run() runs. Functions that were posted and have not run
  // are destroyed.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs in the calling thread until Stop(). May be called once.
  void Run();
  // Thread-safe. The current iteration is finished, then Run() returns.
  void Stop();

  // Thread-safe. The task runs on the loop's thread, in the order of posting, never
  // inside Post.
  void Post(Task task);

  // The other functions are called on the loop's thread, or on any one thread before
  // Run().

  // Runs the task once, at the end of the current iteration: after all ready sockets
  // were read and before output is written. A task that a deferred task defers runs in
  // the same iteration.
  void Defer(Task task);
  // Runs the task once, when the output of the current iteration has been written. This
  // is for work that may take a moment, such as a short flush, and should not delay
  // output that is ready before it. What the task itself queues is done in the next
  // iteration, which follows at once.
  void AfterOutput(Task task) { after_output_.push_back(std::move(task)); }
  // Runs the task after at least `delay`. The granularity is that of epoll, 1 ms.
  TimerId RunAfter(Duration delay, Task task);
  // Runs the task for the first time after `period`. Missed runs are not made up for.
  TimerId RunEvery(Duration period, Task task);
  // Does nothing if the timer has run, was cancelled or never existed.
  void Cancel(TimerId timer);
  // Monotonic time, read once in each iteration.
  [[nodiscard]] Timestamp Now() const;
  // True on the thread that is in Run(), and on every thread while none is in Run().
  [[nodiscard]] bool InLoopThread() const;
  // True only on the thread that is in Run().
  [[nodiscard]] bool RunsInThisThread() const;

  // For objects that may outlive the loop.
  [[nodiscard]] std::shared_ptr<PostQueue> post_queue() const { return posts_; }

  // Only for the connections of this folder.
  void QueueFlush(Flushable* flushable);
  void CancelFlush(Flushable* flushable);
  [[nodiscard]] event_base* base() { return base_; }
  // One buffer serves all connections. A connection keeps only an incomplete frame.
  [[nodiscard]] uint8_t* read_buffer() { return read_buffer_.get(); }
  static constexpr size_t kReadBufferBytes = size_t{256} << 10;

 private:
  struct Timer {
    Task task;
    Duration period;  // zero: the timer runs once
  };
  struct Due {
    Timestamp when;
    TimerId id;
    friend bool operator>(const Due& a, const Due& b) {
      return a.when != b.when ? a.when > b.when : a.id > b.id;
    }
  };

  EventLoop(event_base* base, std::shared_ptr<PostQueue> posts);
  TimerId AddTimer(Duration delay, Duration period, Task task);
  void WaitForEvents();
  [[nodiscard]] Duration TimeToNextTimer();
  void RunPosted();
  void RunTimers();
  void RunDeferred();
  void FlushOutput();
  void RunAfterOutput();
  static void OnWake(int fd, short what, void* loop);
  static void OnTimeout(int fd, short what, void* loop);

  event_base* const base_;  // libevent's loop; owned
  const std::shared_ptr<PostQueue> posts_;
  event* wake_event_ = nullptr;             // posts_ has functions
  event* timeout_event_ = nullptr;          // the next timer is due
  std::unique_ptr<uint8_t[]> read_buffer_;  // of kReadBufferBytes
  std::atomic<bool> stop_{false};           // Run() must return
  std::atomic<std::thread::id> thread_{};   // the thread in Run(); none: no thread

  bool posts_ready_ = false;       // posts_ was signalled
  std::vector<Task> local_posts_;  // functions posted from the loop's thread
  std::vector<Task> deferred_;
  std::vector<Flushable*> flushes_;  // null: cancelled
  std::vector<Task> after_output_;
  mutable Timestamp now_;           // valid when now_known_
  mutable bool now_known_ = false;  // the time was read in this iteration
  uint64_t last_timer_ = 0;         // the highest TimerId so far
  absl::flat_hash_map<TimerId, Timer> timers_;
  // May hold timers that were cancelled: they are not in timers_.
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  Timestamp armed_for_ = Timestamp::Infinite();  // when timeout_event_ fires
};

// Calls back when a file descriptor is readable or writable. Only for the loop's
// thread. The descriptor must stay open for as long as the watch exists.
class FdWatch {
 public:
  // `on_event(readable, writable)` may destroy the watch.
  class Handler {
   public:
    virtual void OnFdEvent(bool readable, bool writable) = 0;

   protected:
    ~Handler() = default;
  };
  FdWatch(EventLoop* loop, int fd, Handler* handler);
  ~FdWatch();
  FdWatch(const FdWatch&) = delete;
  FdWatch& operator=(const FdWatch&) = delete;

  void WatchRead(bool on);
  void WatchWrite(bool on);
  [[nodiscard]] bool reading() const { return reading_; }
  [[nodiscard]] bool writing() const { return writing_; }

 private:
  static void OnEvent(int fd, short what, void* watch);

  Handler* const handler_;  // not owned; outlives the watch
  event* read_event_;
  event* write_event_;
  bool reading_ = false;
  bool writing_ = false;
};

// A loop and the thread that it runs on. The destructor stops both.
class LoopThread {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LoopThread>> Start();
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] EventLoop* loop() { return loop_.get(); }
  // Runs the function on the loop's thread and waits for it. When it is called on that
  // thread, where it would wait for itself, the function runs at once.
  void RunSync(absl::AnyInvocable<void()> function);
  // Ends the thread. The loop stays, so that objects which use it can be destroyed.
  void StopAndJoin();

 private:
  explicit LoopThread(std::unique_ptr<EventLoop> loop);
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_EVENT_LOOP_H_
