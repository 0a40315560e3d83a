#include "participant/resources/xa/thread_of_control.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/xa/codes.h"

namespace concordat::participant::xa {

ThreadOfControl::ThreadOfControl(OpenInfo open_info)
    : open_info_(std::move(open_info)), thread_([this] { Run(); }) {}

ThreadOfControl::~ThreadOfControl() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    wakes_.NotifyOne();
  }
  thread_.join();
}

void ThreadOfControl::Post(absl::AnyInvocable<void()> task, GiveUp give_up) {
  {
    MutexLock lock(&mutex_);
    if (!hanging_ || !give_up) {
      tasks_.push_back({std::move(task), std::move(give_up)});
      wakes_.NotifyOne();
      return;
    }
  }
  give_up(false);
}

void ThreadOfControl::Run() {
  for (;;) {
    absl::AnyInvocable<void()> run;
    {
      MutexLock lock(&mutex_);
      while (tasks_.empty() && !stop_) wakes_.Wait(&mutex_);
      if (tasks_.empty()) break;
      run = std::move(tasks_.front().run);
      running_ = std::move(tasks_.front().give_up);
      tasks_.pop_front();
    }
    run();
    MutexLock lock(&mutex_);
    running_ = nullptr;
  }
  CloseResourceManager();
}

// --- calls that hang ---

ThreadOfControl::Calling::Calling(ThreadOfControl* thread, const char* name,
                                  const BranchId* branch)
    : thread_(thread) {
  MutexLock lock(&thread->mutex_);
  thread->call_ = name;
  thread->branch_.reset();
  if (branch != nullptr) thread->branch_ = *branch;
  thread->since_ = SystemClock().Now();
}

ThreadOfControl::Calling::~Calling() { thread_->EndCall(); }

void ThreadOfControl::EndCall() {
  const char* call = nullptr;
  Duration lasted;
  std::string branch = "-";
  {
    MutexLock lock(&mutex_);
    call = std::exchange(call_, nullptr);
    if (!std::exchange(hanging_, false)) return;
    lasted = SystemClock().Now() - since_;
    if (branch_) branch = ToString(*branch_);
  }
  LogEvent(Level::kWarning, "a call of the switch has come back")
      .Field("call", std::string(call))
      .Field("branch", branch)
      .Field("after_ms", lasted.millis());
}

bool ThreadOfControl::hanging() {
  MutexLock lock(&mutex_);
  return hanging_;
}

std::optional<HangingCall> ThreadOfControl::NoteHang(Timestamp now, Duration limit) {
  MutexLock lock(&mutex_);
  if (call_ == nullptr || hanging_ || now - since_ < limit) return std::nullopt;
  hanging_ = true;
  return HangingCall{call_, branch_ ? ToString(*branch_) : "-", now - since_};
}

void ThreadOfControl::GiveUpWaiting() {
  GiveUp running;
  std::deque<Task> given_up;
  {
    MutexLock lock(&mutex_);
    if (!hanging_) return;  // the call has just returned, and the thread continues
    running = std::exchange(running_, nullptr);
    std::deque<Task> kept;
    for (Task& task : tasks_) {
      (task.give_up ? given_up : kept).push_back(std::move(task));
    }
    tasks_ = std::move(kept);
  }
  if (running) running(true);
  for (Task& task : given_up) task.give_up(false);
}

absl::Status ThreadOfControl::Open() {
  if (open_) return absl::OkStatus();
  const Calling calling(this, "xa_open");
  std::string info = open_info_.open_info;
  const int code =
      open_info_.library.xa->xa_open_entry(info.data(), open_info_.rmid, TMNOFLAGS);
  if (code != XA_OK) return absl::UnavailableError(CodeText("xa_open", code));
  const int ready = open_info_.library.work_open == nullptr
                        ? 0
                        : open_info_.library.work_open(open_info_.rmid);
  if (ready != 0) {
    CloseSwitch();
    return absl::UnavailableError(
        absl::StrCat("the work library's open function returned ", ready));
  }
  open_ = true;
  return absl::OkStatus();
}

void ThreadOfControl::Fail() { CloseResourceManager(); }

void ThreadOfControl::CloseResourceManager() {
  if (!open_) return;
  open_ = false;
  const Calling calling(this, "xa_close");
  if (open_info_.library.work_close != nullptr)
    open_info_.library.work_close(open_info_.rmid);
  CloseSwitch();
}

void ThreadOfControl::CloseSwitch() {
  std::string info = open_info_.close_info;
  (void)open_info_.library.xa->xa_close_entry(info.data(), open_info_.rmid, TMNOFLAGS);
}

}  // namespace concordat::participant::xa
