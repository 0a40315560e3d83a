#include "thrift/rpc/event_loop.h"

#include <event2/event.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "thrift/rpc/process.h"

namespace concordat::rpc {

// ---- PostQueue ----

PostQueue::~PostQueue() { close(event_fd_); }

void PostQueue::Post(Task task) {
  {
    MutexLock lock(&mutex_);
    if (closed_) return;
    tasks_.push_back(std::move(task));
    if (tasks_.size() > 1) return;  // the loop has been woken already
  }
  Wake();
}

void PostQueue::Wake() {
  const uint64_t one = 1;
  // The write can fail only when the counter is full, and then the loop wakes anyway.
  [[maybe_unused]] const ssize_t written = write(event_fd_, &one, sizeof one);
}

std::vector<Task> PostQueue::Take() {
  MutexLock lock(&mutex_);
  return std::exchange(tasks_, {});
}

std::vector<Task> PostQueue::Close() {
  MutexLock lock(&mutex_);
  closed_ = true;
  return std::exchange(tasks_, {});
}

// ---- EventLoop ----

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  PrepareProcess();
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) {
    return absl::ErrnoToStatus(errno, "cannot make an event descriptor");
  }
  auto posts = std::make_shared<PostQueue>(event_fd);
  event_config* config = event_config_new();
  CONCORDAT_CHECK(config != nullptr) << "out of memory";
  // One thread uses the base; other threads come in through the event descriptor.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  event_base* base = event_base_new_with_config(config);
  event_config_free(config);
  if (base == nullptr) return absl::ResourceExhaustedError("cannot make an event base");
  return std::unique_ptr<EventLoop>(new EventLoop(base, std::move(posts)));
}

EventLoop::EventLoop(event_base* base, std::shared_ptr<PostQueue> posts)
    : base_(base), posts_(std::move(posts)), read_buffer_(new uint8_t[kReadBufferBytes]) {
  wake_event_ = event_new(base_, posts_->event_fd(), EV_READ | EV_PERSIST, OnWake, this);
  timeout_event_ = event_new(base_, -1, 0, OnTimeout, this);
  CONCORDAT_CHECK(wake_event_ != nullptr && timeout_event_ != nullptr) << "out of memory";
  CONCORDAT_CHECK(event_add(wake_event_, nullptr) == 0);
}

EventLoop::~EventLoop() {
  CONCORDAT_CHECK(thread_.load() == std::thread::id{}) << "the loop is running";
  // What these functions own may cancel timers and post when it is destroyed, so the
  // members must still exist.
  posts_->Close().clear();
  std::exchange(local_posts_, {}).clear();
  std::exchange(deferred_, {}).clear();
  std::exchange(after_output_, {}).clear();
  auto timers = std::exchange(timers_, {});
  timers.clear();
  event_free(wake_event_);
  event_free(timeout_event_);
  event_base_free(base_);
}

void EventLoop::Run() {
  thread_.store(std::this_thread::get_id());
  while (!stop_.load(std::memory_order_acquire)) {
    WaitForEvents();
    RunPosted();
    RunTimers();
    RunDeferred();
    FlushOutput();
    RunAfterOutput();
    now_known_ = false;
  }
  thread_.store(std::thread::id{});
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  posts_->Wake();
}

bool EventLoop::InLoopThread() const {
  const std::thread::id running = thread_.load(std::memory_order_relaxed);
  return running == std::thread::id{} || running == std::this_thread::get_id();
}

bool EventLoop::RunsInThisThread() const {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void EventLoop::WaitForEvents() {
  const bool work_left = !local_posts_.empty() || !deferred_.empty() ||
                         !flushes_.empty() || !after_output_.empty();
  if (!work_left && !due_.empty() && due_.top().when != armed_for_) {
    const Duration delay = TimeToNextTimer();
    timeval timeout{};
    timeout.tv_sec = delay.micros() / 1000000;
    timeout.tv_usec = delay.micros() % 1000000;
    event_add(timeout_event_, &timeout);
    armed_for_ = due_.top().when;
  }
  now_known_ = false;
  event_base_loop(base_, EVLOOP_ONCE | (work_left ? EVLOOP_NONBLOCK : 0));
}

Duration EventLoop::TimeToNextTimer() {
  now_known_ = false;
  const Duration left = due_.top().when - Now();
  return left < Duration() ? Duration() : left;
}

void EventLoop::OnWake(int fd, short /*what*/, void* loop) {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(fd, &count, sizeof count);
  static_cast<EventLoop*>(loop)->posts_ready_ = true;
}

void EventLoop::OnTimeout(int /*fd*/, short /*what*/, void* loop) {
  static_cast<EventLoop*>(loop)->armed_for_ = Timestamp::Infinite();
}

void EventLoop::Post(Task task) {
  if (thread_.load(std::memory_order_relaxed) == std::this_thread::get_id()) {
    local_posts_.push_back(std::move(task));
  } else {
    posts_->Post(std::move(task));
  }
}

void EventLoop::RunPosted() {
  // What these functions post runs in the next iteration, so that a function that posts
  // itself again does not keep the loop from its sockets.
  std::vector<Task> local = std::exchange(local_posts_, {});
  for (Task& task : local) task();
  if (!posts_ready_) return;
  posts_ready_ = false;
  std::vector<Task> posted = posts_->Take();
  for (Task& task : posted) task();
}

void EventLoop::Defer(Task task) { deferred_.push_back(std::move(task)); }

void EventLoop::RunDeferred() {
  // Bounded, so that functions that defer each other endlessly do not stop the loop.
  for (int round = 0; round < 16 && !deferred_.empty(); ++round) {
    std::vector<Task> deferred = std::exchange(deferred_, {});
    for (Task& task : deferred) task();
  }
}

TimerId EventLoop::AddTimer(Duration delay, Duration period, Task task) {
  const TimerId id(++last_timer_);
  timers_.emplace(id, Timer{std::move(task), period});
  due_.push(Due{Now() + delay, id});
  return id;
}

TimerId EventLoop::RunAfter(Duration delay, Task task) {
  return AddTimer(delay, Duration(), std::move(task));
}

TimerId EventLoop::RunEvery(Duration period, Task task) {
  CONCORDAT_CHECK(period > Duration()) << "a timer must have a period";
  return AddTimer(period, period, std::move(task));
}

void EventLoop::Cancel(TimerId timer) { timers_.erase(timer); }

void EventLoop::RunTimers() {
  // Timers that these tasks add without a delay wait for the next iteration.
  const uint64_t last_timer = last_timer_;
  while (!due_.empty()) {
    const Due due = due_.top();
    const auto timer = timers_.find(due.id);
    if (timer == timers_.end()) {  // cancelled
      due_.pop();
      continue;
    }
    if (due.when > Now() || due.id.value() > last_timer) return;
    due_.pop();
    Task task = std::move(timer->second.task);
    const Duration period = timer->second.period;
    if (period == Duration()) timers_.erase(timer);
    task();
    if (period == Duration()) continue;
    const auto again = timers_.find(due.id);  // it may have cancelled itself
    if (again == timers_.end()) continue;
    again->second.task = std::move(task);
    due_.push(Due{Now() + period, due.id});
  }
}

Timestamp EventLoop::Now() const {
  if (!now_known_) {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    now_ = Timestamp::FromMicros(int64_t{time.tv_sec} * 1000000 + time.tv_nsec / 1000);
    now_known_ = true;
  }
  return now_;
}

void EventLoop::QueueFlush(Flushable* flushable) {
  if (flushable->flush_slot_ != Flushable::kNotQueued) return;
  flushable->flush_slot_ = flushes_.size();
  flushes_.push_back(flushable);
}

void EventLoop::CancelFlush(Flushable* flushable) {
  if (flushable->flush_slot_ == Flushable::kNotQueued) return;
  flushes_[flushable->flush_slot_] = nullptr;
  flushable->flush_slot_ = Flushable::kNotQueued;
}

void EventLoop::FlushOutput() {
  // Flushing may queue more, after these; a connection that fails removes itself.
  const size_t count = flushes_.size();
  for (size_t i = 0; i < count; ++i) {
    Flushable* const flushable = std::exchange(flushes_[i], nullptr);
    if (flushable == nullptr) continue;
    flushable->flush_slot_ = Flushable::kNotQueued;
    flushable->Flush();
  }
  flushes_.erase(flushes_.begin(), flushes_.begin() + static_cast<ptrdiff_t>(count));
  for (size_t i = 0; i < flushes_.size(); ++i) {
    if (flushes_[i] != nullptr) flushes_[i]->flush_slot_ = i;
  }
}

void EventLoop::RunAfterOutput() {
  std::vector<Task> tasks = std::exchange(after_output_, {});
  for (Task& task : tasks) task();
}

// ---- FdWatch ----

FdWatch::FdWatch(EventLoop* loop, int fd, Handler* handler)
    : handler_(handler),
      read_event_(event_new(loop->base(), fd, EV_READ | EV_PERSIST, OnEvent, this)),
      write_event_(event_new(loop->base(), fd, EV_WRITE | EV_PERSIST, OnEvent, this)) {
  CONCORDAT_CHECK(read_event_ != nullptr && write_event_ != nullptr) << "out of memory";
}

FdWatch::~FdWatch() {
  event_free(read_event_);
  event_free(write_event_);
}

void FdWatch::WatchRead(bool on) {
  if (on == reading_) return;
  reading_ = on;
  CONCORDAT_CHECK((on ? event_add(read_event_, nullptr) : event_del(read_event_)) == 0);
}

void FdWatch::WatchWrite(bool on) {
  if (on == writing_) return;
  writing_ = on;
  CONCORDAT_CHECK((on ? event_add(write_event_, nullptr) : event_del(write_event_)) == 0);
}

void FdWatch::OnEvent(int /*fd*/, short what, void* watch) {
  static_cast<FdWatch*>(watch)->handler_->OnFdEvent((what & EV_READ) != 0,
                                                    (what & EV_WRITE) != 0);
}

// ---- LoopThread ----

absl::StatusOr<std::unique_ptr<LoopThread>> LoopThread::Start() {
  absl::StatusOr<std::unique_ptr<EventLoop>> loop = EventLoop::Create();
  if (!loop.ok()) return loop.status();
  return std::unique_ptr<LoopThread>(new LoopThread(std::move(*loop)));
}

LoopThread::LoopThread(std::unique_ptr<EventLoop> loop) : loop_(std::move(loop)) {
  thread_ = std::thread([this] { loop_->Run(); });
  RunSync([] {});  // from here on the loop knows its thread
}

LoopThread::~LoopThread() { StopAndJoin(); }

void LoopThread::StopAndJoin() {
  if (!thread_.joinable()) return;
  loop_->Stop();
  thread_.join();
}

void LoopThread::RunSync(absl::AnyInvocable<void()> function) {
  if (!thread_.joinable() || thread_.get_id() == std::this_thread::get_id()) {
    function();
    return;
  }
  Mutex mutex;
  ConditionVariable ran;
  bool done = false;
  loop_->post_queue()->Post([&] {
    function();
    MutexLock lock(&mutex);
    done = true;
    ran.NotifyOne();
  });
  MutexLock lock(&mutex);
  while (!done) ran.Wait(&mutex);
}

}  // namespace concordat::rpc
