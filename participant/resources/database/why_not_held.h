// Why the lock that makes a process the only one for its resource is not held: for
// operators who look, and for the log, at once and every minute.
#ifndef PARTICIPANT_RESOURCES_DATABASE_WHY_NOT_HELD_H_
#define PARTICIPANT_RESOURCES_DATABASE_WHY_NOT_HELD_H_

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/log.h"
#include "coordinator/base/mutex.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

// Thread-safe is text() alone; the rest is for the loop's thread.
class WhyNotHeld {
 public:
  WhyNotHeld(rpc::EventLoop* loop, std::string resource)
      : loop_(loop), resource_(std::move(resource)) {}

  // The lock is lost. What is reported next is logged at once.
  void Lost(std::string why) {
    report_at_ = Timestamp();
    Set(std::move(why));
  }
  void Report(Level level, const char* event, const std::string& why) {
    if (loop_->Now() >= report_at_) {
      report_at_ = loop_->Now() + kReportAgain;
      LogEvent(level, event).Field("resource", resource_).Field("error", why);
    }
    Set(absl::StrCat(event, ": ", why));
  }
  // It is held.
  void Held() { Lost(""); }

  // Empty when it is held.
  [[nodiscard]] std::string text() const {
    MutexLock lock(&mutex_);
    return why_;
  }

 private:
  static constexpr Duration kReportAgain = Duration::Seconds(60);

  void Set(std::string why) {
    MutexLock lock(&mutex_);
    why_ = std::move(why);
  }

  rpc::EventLoop* const loop_;
  const std::string resource_;
  Timestamp report_at_;  // the same again, not before
  mutable Mutex mutex_;
  std::string why_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_WHY_NOT_HELD_H_
