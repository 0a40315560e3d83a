#include "participant/xa/lane.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/xa/codes.h"

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

void Lane::Post(absl::AnyInvocable<void()> task) {
  MutexLock lock(&mutex_);
  tasks_.push_back(std::move(task));
  wakes_.NotifyOne();
}

void Lane::Run() {
  for (;;) {
    absl::AnyInvocable<void()> task;
    {
      MutexLock lock(&mutex_);
      while (tasks_.empty() && !stop_) wakes_.Wait(&mutex_);
      if (tasks_.empty()) break;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
  CloseResourceManager();
}

absl::Status Lane::Open() {
  if (open_) return absl::OkStatus();
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
  if (words_.library.work_close != nullptr) words_.library.work_close(words_.rmid);
  CloseSwitch();
}

void Lane::CloseSwitch() {
  std::string info = words_.close_info;
  (void)words_.library.xa->xa_close_entry(info.data(), words_.rmid, TMNOFLAGS);
}

}  // namespace concordat::participant::xa
