// Makes this process the only one that serves a resource of a database, and ends the
// sessions that an earlier process has left there.
//
// A process that was killed may leave a session behind that will still PREPARE or COMMIT
// what it was sent last, or to which a prepared branch belongs. While that session lives,
// it cannot be known that a branch is not there. So this comes before any answer:
//
//   connect -> end all sessions of the resource -> take its lock
//                        ^                              |  not got: again
//                        +------------------------------+
//           -> end all its sessions that are left -> held
//
// Every other session asks in its set-up whether this process still holds the lock, after
// the session can be found as one of the resource's. So no session comes into use after
// another process has taken the lock, and those that were made before are ended in that
// process's second round. The process that starts last wins. The one before it sees that
// it has lost the lock, and tries to get it back without ending any session but its own
// old one, which may not have noticed that it was cut off. It refuses new branches
// meanwhile.
//
// Used on the loop's thread, except for held() and why_not_held().
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
#include "coordinator/base/lifetime.h"
#include "coordinator/base/log.h"
#include "coordinator/base/mutex.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/pool.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

class ServingLock {
 public:
  // `holder` is set to the id of the session that holds the lock (see Dialect::Open).
  // `loop` and `dialect` outlive this.
  ServingLock(rpc::EventLoop* loop, Dialect* dialect, std::string resource,
              std::shared_ptr<std::string> holder);
  ServingLock(const ServingLock&) = delete;
  ServingLock& operator=(const ServingLock&) = delete;

  // Called once. UNAVAILABLE: the server was not reached within `patience`.
  // FAILED_PRECONDITION: the server refused the connection, or the lock is held by a
  // process that this one may not end.
  void Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done);
  // Thread-safe.
  [[nodiscard]] bool held() const { return held_.load(std::memory_order_acquire); }
  // Why it is not held, for operators. Empty: it is held. Thread-safe.
  [[nodiscard]] std::string why_not_held() const;
  // The session that holds the lock, for the start-up checks. Not null once Take has
  // succeeded.
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
  // Whether Take has waited too long for another process. Take is then called back.
  [[nodiscard]] bool GaveUp();
  // Ends a session, where Dialect::Kill is needed for that. The answer does not matter,
  // since the caller looks again.
  void Kill(std::string_view id);
  void After(Duration delay, absl::AnyInvocable<void()> step);
  // Runs the batch. Failures are passed to Failed.
  void Run(std::vector<Statement> batch, absl::AnyInvocable<void(BatchResult)> done);
  void Report(Level level, const char* event, const std::string& why);
  void SetWhy(std::string why);

  rpc::EventLoop* const loop_;
  Dialect& dialect_;
  const std::string resource_;                    // its name
  const std::shared_ptr<std::string> holder_;     // see the constructor
  SessionPtr session_;                            // has the lock, or is to take it
  absl::AnyInvocable<void(absl::Status)> taken_;  // null once it has been called
  SessionId before_;                              // our last session that had the lock
  Timestamp give_up_at_;                          // when Take fails
  bool first_ = true;    // this process has not held the lock yet
  bool locked_ = false;  // the lock is taken; the sessions that are left are being ended
  bool closed_ = false;
  std::atomic<bool> held_{false};
  Timestamp report_at_;  // it is not logged again before this that the lock is not held
  mutable Mutex mutex_;
  std::string why_ ABSL_GUARDED_BY(mutex_);  // see why_not_held
  Lifetime lifetime_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_SERVING_LOCK_H_
