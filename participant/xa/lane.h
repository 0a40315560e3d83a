// A thread that has opened the resource manager (xa_open) and carries out what is posted
// to it, one after the other. XA binds a branch at work to the thread that started it
// (The XA Specification, 2.2.8 "Thread of Control").
#ifndef PARTICIPANT_XA_LANE_H_
#define PARTICIPANT_XA_LANE_H_

#include <deque>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/mutex.h"
#include "participant/xa/work.h"
#include "participant/xa/xa.h"

namespace concordat::participant::xa {

struct XaLibrary {
  const xa_switch_t* xa = nullptr;
  concordat_work_function* work = nullptr;
  concordat_work_open_function* work_open = nullptr;    // may be missing
  concordat_work_close_function* work_close = nullptr;  // may be missing
};

// What every call of the switch needs.
struct OpenWords {
  XaLibrary library;
  int rmid = 0;
  std::string open_info;
  std::string close_info;
};

class Lane {
 public:
  explicit Lane(OpenWords words);
  // Carries out what was posted, closes the resource manager, ends the thread.
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  // Thread-safe.
  void Post(absl::AnyInvocable<void()> task);

  // On its thread: opens the resource manager if it is not open. UNAVAILABLE with the
  // code in words.
  [[nodiscard]] absl::Status Open();
  // On its thread, after XAER_RMFAIL: the next Open opens it anew.
  void Fail();

 private:
  void Run();
  void CloseResourceManager();
  void CloseSwitch();

  const OpenWords words_;
  bool open_ = false;  // its thread's
  Mutex mutex_;
  ConditionVariable wakes_;
  std::deque<absl::AnyInvocable<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_XA_LANE_H_
