// A thread that has opened the resource manager (xa_open) and runs what is posted to it,
// one task after another. XA binds an active branch to the thread that started it (The XA
// Specification, 2.2.8 "Thread of Control"). A call that hangs (hang_watch.h) keeps the
// thread; meanwhile tasks that were posted with a `give_up` are answered by it:
//
//   posted ──> runs ──────────────────────────> over
//     │          └──(a call hangs)── give_up(true), and the task continues
//     └──(the call before it hangs)── give_up(false), and the task never runs
#ifndef PARTICIPANT_RESOURCES_XA_THREAD_OF_CONTROL_H_
#define PARTICIPANT_RESOURCES_XA_THREAD_OF_CONTROL_H_

#include <deque>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/xid.h"
#include "participant/resources/xa/work.h"
#include "participant/resources/xa/xa.h"

namespace concordat::participant::xa {

struct XaLibrary {
  const xa_switch_t* xa = nullptr;
  concordat_work_function* work = nullptr;
  concordat_work_open_function* work_open = nullptr;    // null: the library has none
  concordat_work_close_function* work_close = nullptr;  // null: the library has none
};

// What every call of the switch needs.
struct OpenInfo {
  XaLibrary library;
  int rmid = 0;
  std::string open_info;
  std::string close_info;
};

// A call of the switch, or of the work function, that has not returned.
struct HangingCall {
  std::string name;    // "xa_prepare"
  std::string branch;  // "-": the call is not about a branch
  Duration lasts;      // until now
};

class ThreadOfControl {
 public:
  // Called at most once, on any thread. `begun`: the task has begun.
  using GiveUp = absl::AnyInvocable<void(bool begun)>;

  explicit ThreadOfControl(OpenInfo open_info);
  // Runs what was posted, closes the resource manager, ends the thread.
  ~ThreadOfControl();
  ThreadOfControl(const ThreadOfControl&) = delete;
  ThreadOfControl& operator=(const ThreadOfControl&) = delete;

  // Thread-safe. Without a `give_up` the task waits for any time.
  void Post(absl::AnyInvocable<void()> task, GiveUp give_up = nullptr);
  [[nodiscard]] bool hanging();
  // For the HangWatch. NoteHang returns the call that has lasted for `limit`, once.
  [[nodiscard]] std::optional<HangingCall> NoteHang(Timestamp now, Duration limit);
  void GiveUpWaiting();

  // While this object exists, a call is under way on the thread. `name` is a literal.
  class Calling {
   public:
    Calling(ThreadOfControl* thread, const char* name, const BranchId* branch = nullptr);
    ~Calling();
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;

   private:
    ThreadOfControl* const thread_;
  };

  // Called on the thread: opens the resource manager if it is not open. UNAVAILABLE
  // contains the text of the code.
  [[nodiscard]] absl::Status Open();
  // Called on the thread, after XAER_RMFAIL: the next Open opens it again.
  void Fail();

 private:
  struct Task {
    absl::AnyInvocable<void()> run;
    GiveUp give_up;  // may be null
  };

  void Run();
  void EndCall();
  void CloseResourceManager();
  void CloseSwitch();

  const OpenInfo open_info_;
  bool open_ = false;  // used on the thread only
  Mutex mutex_;
  ConditionVariable wakes_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  GiveUp running_ ABSL_GUARDED_BY(mutex_);  // of the running task; null: none
  // Its name; null: none is under way.
  const char* call_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::optional<BranchId> branch_ ABSL_GUARDED_BY(mutex_);  // of the call
  Timestamp since_ ABSL_GUARDED_BY(mutex_);                 // when the call began
  bool hanging_ ABSL_GUARDED_BY(mutex_) = false;  // NoteHang has returned the call
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;     // the destructor has begun
  std::thread thread_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_THREAD_OF_CONTROL_H_
