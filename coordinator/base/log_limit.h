// Limits the log lines about a condition that may last and is met again and again.
//
//   LogLimit not_registered_;
//   if (not_registered_.Admit(loop_->Now(), why)) {
//     LogEvent(Level::kWarning, "resource not registered").Field("error", why);
//   }
#ifndef COORDINATOR_BASE_LOG_LIMIT_H_
#define COORDINATOR_BASE_LOG_LIMIT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/base/clock.h"

namespace concordat {

// Not thread-safe.
class LogLimit {
 public:
  explicit LogLimit(Duration pause = Duration::Seconds(30)) : pause_(pause) {}

  // Whether a line is to be logged: at first, when the reason is a new one, and when
  // `pause` has passed since the last line with that reason. The last two reasons are
  // remembered, so two reasons that alternate give one line each in a pause.
  bool Admit(Timestamp now, std::string_view reason) {
    for (Said& said : said_) {
      if (!said.used || said.reason != reason) continue;
      if (now < said.at + pause_) {
        ++held_back_;
        return false;
      }
      said.at = now;
      return true;
    }
    const bool first = !said_[0].used || (said_[1].used && said_[0].at <= said_[1].at);
    said_[first ? 0 : 1] = {true, std::string(reason), now};
    return true;
  }
  // How often Admit has returned false since the last call of TakeHeldBack.
  uint64_t TakeHeldBack() {
    const uint64_t count = held_back_;
    held_back_ = 0;
    return count;
  }

 private:
  struct Said {
    bool used = false;  // false: no line yet
    std::string reason;
    Timestamp at;  // of the last line with that reason
  };
  const Duration pause_;
  Said said_[2];            // the last two reasons
  uint64_t held_back_ = 0;  // see TakeHeldBack
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_LOG_LIMIT_H_
