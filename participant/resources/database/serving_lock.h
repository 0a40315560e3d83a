// Makes this process the only one that serves a resource of a database, and ends what an
// earlier one has left there.
//
// A process that was killed may leave a session behind that is still going to PREPARE or
// to COMMIT what it was last sent, or that a branch it has prepared belongs to. As long
// as it lives, "not there" is not the truth about a branch. So before anything is
// answered:
//
//   connect -> end all sessions of the resource -> take its lock
//                        ^                              |  not got: again
//                        +------------------------------+
//           -> end all its sessions that are left -> held
//
// Every other session asks in its set-up, when it can be found as one of the resource's,
// whether this lock is still held by us. So none is made after somebody else has taken
// it, and none that was made before survives his second round. The last one to start
// wins; the one before it sees the lock gone, tries to get it back without ending anybody
// (but its own old session, which may not have noticed that it was cut off), and refuses
// new branches meanwhile. For the loop's thread, but for held() and why_not_held().
#ifndef PARTICIPANT_RESOURCES_DATABASE_SERVING_LOCK_H_
#define PARTICIPANT_RESOURCES_DATABASE_SERVING_LOCK_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/log.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/pool.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

class ServingLock {
 public:
  // `holder` gets the id of the session that holds the lock (Dialect::Open).
  ServingLock(rpc::EventLoop* loop, Dialect* dialect, std::string resource,
              std::shared_ptr<std::string> holder);
  ~ServingLock();
  ServingLock(const ServingLock&) = delete;
  ServingLock& operator=(const ServingLock&) = delete;

  // Once. UNAVAILABLE: not reached within `patience`. FAILED_PRECONDITION: refused, or
  // the lock was not to be had: a process holds it that we may not end.
  void Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done);
  // Thread-safe.
  [[nodiscard]] bool held() const { return held_.load(std::memory_order_acquire); }
  // Why it is not held, for operators who look; empty when it is. Thread-safe.
  [[nodiscard]] std::string why_not_held() const;
  // The session that holds the lock, for the start-up checks. After Take was OK.
  [[nodiscard]] Session* session() { return session_.get(); }
  void Close();

 private:
  void Connect();
  void OnBroken();
  void EndOthers(bool unprepared);
  void OnOthers(const StatementResult& ids);
  void TryLock();
  void OnLock(const BatchResult& r);
  void Held();
  void Failed(const absl::Status& status);
  // Whether somebody else was to be waited for too long; then Take has been called back.
  [[nodiscard]] bool GaveUp();
  // Ends it, if the database has not done so when it was asked; the answer does not
  // matter, for one looks again.
  void Kill(std::string_view id);
  void After(Duration delay, absl::AnyInvocable<void()> step);
  // Runs the batch; failures go to Failed.
  void Run(std::vector<Statement> batch, absl::AnyInvocable<void(BatchResult)> done);
  void Report(Level level, const char* event, const std::string& why);
  void SetWhy(std::string why);

  rpc::EventLoop* const loop_;
  Dialect& dialect_;
  const std::string resource_;
  const std::shared_ptr<std::string> holder_;
  SessionPtr session_;
  absl::AnyInvocable<void(absl::Status)> taken_;  // null once it has been called
  SessionId before_;                              // that held the lock for us
  Timestamp give_up_at_;
  bool first_ = true;    // it was never held
  bool locked_ = false;  // and now the rest is ended
  bool closed_ = false;
  std::atomic<bool> held_{false};
  Timestamp report_at_;  // that it is not held, again, not before
  mutable Mutex mutex_;
  std::string why_ ABSL_GUARDED_BY(mutex_);
  // Timers and callbacks that come after the end find it gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_SERVING_LOCK_H_
