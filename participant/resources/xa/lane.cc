#include "participant/resources/xa/lane.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/xa/codes.h"

namespace concordat::participant::xa {

Lane::Lane(OpenWords words) : words_(std::move(words)), thread_([this] { Run(); }) {}

Lane::~Lane() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    wakes_.NotifyOne();
  }
  thread_.join();
}

void Lane::Post(absl::AnyInvocable<void()> task, GiveUp give_up) {
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

void Lane::Run() {
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

Lane::Calling::Calling(Lane* lane, const char* name, const BranchId* branch)
    : lane_(lane) {
  MutexLock lock(&lane->mutex_);
  lane->call_ = name;
  lane->branch_.reset();
  if (branch != nullptr) lane->branch_ = *branch;
  lane->since_ = SystemClock().Now();
}

Lane::Calling::~Calling() { lane_->EndCall(); }

void Lane::EndCall() {
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

bool Lane::hanging() {
  MutexLock lock(&mutex_);
  return hanging_;
}

std::optional<HangingCall> Lane::NoteHang(Timestamp now, Duration limit) {
  MutexLock lock(&mutex_);
  if (call_ == nullptr || hanging_ || now - since_ < limit) return std::nullopt;
  hanging_ = true;
  return HangingCall{call_, branch_ ? ToString(*branch_) : "-", now - since_};
}

void Lane::GiveUpWaiting() {
  GiveUp running;
  std::deque<Task> given_up;
  {
    MutexLock lock(&mutex_);
    if (!hanging_) return;  // it came back just now, and goes on with the rest
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

absl::Status Lane::Open() {
  if (open_) return absl::OkStatus();
  const Calling calling(this, "xa_open");
  std::string info = words_.open_info;
  const int code = words_.library.xa->xa_open_entry(info.data(), words_.rmid, TMNOFLAGS);
  if (code != XA_OK) return absl::UnavailableError(CodeText("xa_open", code));
  const int ready =
      words_.library.work_open == nullptr ? 0 : words_.library.work_open(words_.rmid);
  if (ready != 0) {
    CloseSwitch();
    return absl::UnavailableError(
        absl::StrCat("the work library's open function returned ", ready));
  }
  open_ = true;
  return absl::OkStatus();
}

void Lane::Fail() { CloseResourceManager(); }

void Lane::CloseResourceManager() {
  if (!open_) return;
  open_ = false;
  const Calling calling(this, "xa_close");
  if (words_.library.work_close != nullptr) words_.library.work_close(words_.rmid);
  CloseSwitch();
}

void Lane::CloseSwitch() {
  std::string info = words_.close_info;
  (void)words_.library.xa->xa_close_entry(info.data(), words_.rmid, TMNOFLAGS);
}

}  // namespace concordat::participant::xa
