// A thread that has opened the resource manager (xa_open) and carries out what is posted
// to it, one after the other. XA binds a branch at work to the thread that started it
// (The XA Specification, 2.2.8 "Thread of Control"). A call that hangs (hang_watch.h)
// keeps the thread; what was posted with a `give_up` is answered by that meanwhile:
//
//   posted ──> runs ──────────────────────────> over
//     │          └──(a call hangs)── give_up(true), and it goes on
//     └──(the call before it hangs)── give_up(false), and it never runs
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
  concordat_work_open_function* work_open = nullptr;    // may be missing
  concordat_work_close_function* work_close = nullptr;  // may be missing
};

// What every call of the switch needs.
struct OpenInfo {
  XaLibrary library;
  int rmid = 0;
  std::string open_info;
  std::string close_info;
};

// A call of the switch, or of the work function, that has not come back.
struct HangingCall {
  std::string name;    // "xa_prepare"
  std::string branch;  // "-": it is not about one
  Duration lasts;      // so far
};

class ThreadOfControl {
 public:
  // Called at most once, on any thread. True: the task has begun.
  using GiveUp = absl::AnyInvocable<void(bool begun)>;

  explicit ThreadOfControl(OpenInfo open_info);
  // Carries out what was posted, closes the resource manager, ends the thread.
  ~ThreadOfControl();
  ThreadOfControl(const ThreadOfControl&) = delete;
  ThreadOfControl& operator=(const ThreadOfControl&) = delete;

  // Thread-safe. Without a `give_up` the task waits for however long.
  void Post(absl::AnyInvocable<void()> task, GiveUp give_up = nullptr);
  [[nodiscard]] bool hanging();
  // For the watch. NoteHang: the call that has lasted for `limit`, once.
  [[nodiscard]] std::optional<HangingCall> NoteHang(Timestamp now, Duration limit);
  void GiveUpWaiting();

  // While it lives, on the thread's thread: this call is under way. `name` is a literal.
  class Calling {
   public:
    Calling(ThreadOfControl* thread, const char* name, const BranchId* branch = nullptr);
    ~Calling();
    Calling(const Calling&) = delete;
    Calling& operator=(const Calling&) = delete;

   private:
    ThreadOfControl* const thread_;
  };

  // On its thread: opens the resource manager if it is not open. UNAVAILABLE with the
  // code in words.
  [[nodiscard]] absl::Status Open();
  // On its thread, after XAER_RMFAIL: the next Open opens it anew.
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
  bool open_ = false;  // its thread's
  Mutex mutex_;
  ConditionVariable wakes_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  GiveUp running_ ABSL_GUARDED_BY(mutex_);                  // the running task's
  const char* call_ ABSL_GUARDED_BY(mutex_) = nullptr;      // null: none is under way
  std::optional<BranchId> branch_ ABSL_GUARDED_BY(mutex_);  // the call's
  Timestamp since_ ABSL_GUARDED_BY(mutex_);
  bool hanging_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_THREAD_OF_CONTROL_H_
