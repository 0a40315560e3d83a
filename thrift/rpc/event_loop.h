// One thread that waits for sockets, timers and posted functions (libevent).
//
//   auto loop = EventLoop::Create();          // StatusOr<unique_ptr<EventLoop>>
//   (*loop)->RunAfter(Duration::Millis(5), [] { ... });
//   (*loop)->Run();                           // until Stop()
//
// One iteration, always in this order; a step sees what the ones before it queued:
//
//   ready sockets are read -> posted functions -> due timers -> deferred functions
//     -> output of all connections is written -> what waited for that -> wait
//
// So a node that collects its inputs and calls Defer() turns everything that
// arrived at once into one batch of work, and all its answers leave in one write a
// connection. Nothing that runs on the loop may block.
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

// Names a timer of one loop. 0 is no timer.
using TimerId = StrongId<struct TimerIdTag, uint64_t>;

// Functions handed to the loop by other threads. It outlives the loop for those
// who hold it: what is posted after the loop's end is dropped.
class PostQueue {
 public:
  explicit PostQueue(int event_fd) : event_fd_(event_fd) {}
  ~PostQueue();
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

  // Thread-safe. One wake-up of the loop serves all that is posted until it runs.
  void Post(Task task);
  void Wake();
  // Loop thread: takes all that is there.
  [[nodiscard]] std::vector<Task> Take();
  // From now on everything is dropped; returns what was not run.
  [[nodiscard]] std::vector<Task> Close();
  [[nodiscard]] int event_fd() const { return event_fd_; }

 private:
  const int event_fd_;
  Mutex mutex_;
  std::vector<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// What has output to write at the end of an iteration. Used by connections.
class Flushable {
 public:
  virtual void Flush() = 0;

 protected:
  ~Flushable() = default;

 private:
  friend class EventLoop;
  static constexpr size_t kNotQueued = SIZE_MAX;
  size_t flush_slot_ = kNotQueued;
};

class EventLoop {
 public:
  // Fails when the process is out of file descriptors. Ignores SIGPIPE in the whole
  // process, unless the program has set a handler of its own.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  // Not while Run() runs. Functions that were posted and have not run are destroyed.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs in the calling thread until Stop(). May be called once.
  void Run();
  // Thread-safe. The iteration under way is finished; Run() then returns.
  void Stop();

  // Thread-safe. Runs in the loop's thread, in the order posted, never inside Post.
  void Post(Task task);

  // The rest is for the loop's thread, or for any one thread before Run().

  // Runs once, at the end of the current iteration: after all ready sockets were
  // read and before output is written. What is deferred by a deferred function runs
  // in the same iteration.
  void Defer(Task task);
  // Runs once, when the output of the current iteration has been written: for work
  // that may take a moment, such as a short flush, and should keep nothing back that
  // could leave before it. What it queues itself comes in the next iteration, at once.
  void AfterOutput(Task task) { after_output_.push_back(std::move(task)); }
  // Runs after at least `delay`; the granularity is that of epoll, 1 ms.
  TimerId RunAfter(Duration delay, Task task);
  // The first time after `period`. Missed runs are not made up for.
  TimerId RunEvery(Duration period, Task task);
  // A timer that has run, was cancelled or never was: nothing happens.
  void Cancel(TimerId timer);
  // Monotonic time, read once an iteration.
  [[nodiscard]] Timestamp Now() const;
  // True in the thread that is in Run(), and everywhere while no thread is.
  [[nodiscard]] bool InLoopThread() const;
  // True in the thread that is in Run(), only.
  [[nodiscard]] bool RunsInThisThread() const;

  // For those who may outlive the loop.
  [[nodiscard]] std::shared_ptr<PostQueue> post_queue() const { return posts_; }

  // Connections of this folder only.
  void QueueFlush(Flushable* flushable);
  void CancelFlush(Flushable* flushable);
  [[nodiscard]] event_base* base() { return base_; }
  // One read buffer for all connections: a connection keeps only what is left over.
  [[nodiscard]] uint8_t* read_buffer() { return read_buffer_.get(); }
  static constexpr size_t kReadBufferBytes = size_t{256} << 10;

 private:
  struct Timer {
    Task task;
    Duration period;  // zero: once
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

  event_base* const base_;
  const std::shared_ptr<PostQueue> posts_;
  event* wake_event_ = nullptr;
  event* timeout_event_ = nullptr;
  std::unique_ptr<uint8_t[]> read_buffer_;
  std::atomic<bool> stop_{false};
  std::atomic<std::thread::id> thread_{};

  bool posts_ready_ = false;
  std::vector<Task> local_posts_;
  std::vector<Task> deferred_;
  std::vector<Flushable*> flushes_;
  std::vector<Task> after_output_;
  mutable Timestamp now_;
  mutable bool now_known_ = false;
  uint64_t last_timer_ = 0;
  absl::flat_hash_map<TimerId, Timer> timers_;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
  Timestamp armed_for_ = Timestamp::Infinite();
};

// Calls back when a file descriptor is readable or writable. Loop thread only. The
// descriptor must stay open for as long as the watch lives.
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

  Handler* const handler_;
  event* read_event_;
  event* write_event_;
  bool reading_ = false;
  bool writing_ = false;
};

// A loop and the thread it runs in. The destructor stops both.
class LoopThread {
 public:
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<LoopThread>> Start();
  ~LoopThread();
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;

  [[nodiscard]] EventLoop* loop() { return loop_.get(); }
  // Runs the function in the loop's thread and waits for it. Not from that thread,
  // where it would wait for itself: there it runs at once.
  void RunSync(absl::AnyInvocable<void()> function);
  // Ends the thread; the loop stays, so that what lives on it can be destroyed.
  void StopAndJoin();

 private:
  explicit LoopThread(std::unique_ptr<EventLoop> loop);
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_EVENT_LOOP_H_
