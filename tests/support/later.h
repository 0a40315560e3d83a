// Waits for a value that another thread delivers.
//
//   Later<PrepareResult> done;
//   manager.Prepare(branch, done.callback());
//   EXPECT_EQ(done.Get().vote, Vote::kPrepared);
#ifndef TESTS_SUPPORT_LATER_H_
#define TESTS_SUPPORT_LATER_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "coordinator/base/check.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"

namespace concordat::testing {

template <class T>
class Later {
 public:
  absl::AnyInvocable<void(T)> callback() {
    return [state = state_](T value) {
      MutexLock lock(&state->mutex);
      EXPECT_FALSE(state->value.has_value()) << "called back twice";
      state->value = std::move(value);
      state->changed.NotifyAll();
    };
  }
  [[nodiscard]] bool ready() const {
    MutexLock lock(&state_->mutex);
    return state_->value.has_value();
  }
  // False: it did not arrive within `time`.
  [[nodiscard]] bool WaitFor(Duration time) const {
    MutexLock lock(&state_->mutex);
    if (!state_->value.has_value()) state_->changed.WaitFor(&state_->mutex, time);
    return state_->value.has_value();
  }
  // Waits at most half a minute; then the program ends.
  T Get() const {
    for (int i = 0; i < 600 && !WaitFor(Duration::Millis(50)); ++i) {
    }
    MutexLock lock(&state_->mutex);
    CONCORDAT_CHECK(state_->value.has_value()) << "no answer came";
    return *state_->value;
  }

 private:
  struct State {
    Mutex mutex;
    ConditionVariable changed;
    std::optional<T> value;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_LATER_H_
