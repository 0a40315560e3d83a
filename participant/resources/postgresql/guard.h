// Makes this process the only one that serves a resource of a database, and ends what
// an earlier one has left there.
//
// A process that was killed may leave a backend behind that is still going to PREPARE or
// to COMMIT what it was last sent. As long as it lives, "not there" is not the truth
// about a branch. So before anything is answered:
//
//   connect -> end all backends of the resource's name -> take its advisory lock
//                        ^                                     |  not got: again
//                        +-------------------------------------+
//           -> end all backends of its name that are left -> held
//
// Every other connection asks in its set-up whether this lock is still held by us, so
// none is made after somebody else has taken it, and none that was made before survives
// his second round. The last one to start wins; the one before it sees the lock gone,
// tries to get it back without ending anybody (but its own old session, which may not
// have noticed that it was cut off), and refuses new branches meanwhile.
// For the loop's thread, but for held().
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_GUARD_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_GUARD_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "participant/resources/database/why_not_held.h"
#include "participant/resources/postgresql/connection.h"
#include "participant/resources/postgresql/sql.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::postgresql {

// What the resource's backends are called in pg_stat_activity.
[[nodiscard]] std::string ApplicationName(const Owner& owner);

class Guard {
 public:
  // `config` without a guard_pid. `pid` is filled when the lock is held.
  Guard(rpc::EventLoop* loop, ConnectionConfig config, Owner owner,
        std::shared_ptr<std::string> pid, Counters* counters);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Once. UNAVAILABLE: not reached within `patience`. FAILED_PRECONDITION: refused, or
  // the lock was not to be had (another role's process holds it).
  void Take(Duration patience, absl::AnyInvocable<void(absl::Status)> done);
  // Thread-safe.
  [[nodiscard]] bool held() const { return held_.load(std::memory_order_acquire); }
  // Why it is not held; empty when it is. Thread-safe.
  [[nodiscard]] std::string why_not_held() const { return why_.text(); }
  // The connection that holds the lock, for start checks. After Take was OK.
  [[nodiscard]] Connection* connection() { return connection_.get(); }
  void Close();

 private:
  void Connect();
  void OnConnected(const absl::Status& status);
  // `ended` gets whether there was one.
  void EndAllOthers(bool by_name_only, absl::AnyInvocable<void(bool)> ended);
  void EndOthers();
  void TryLock();
  void EndTheRest();
  void Held();
  void Failed(const absl::Status& status);
  void After(Duration delay, void (Guard::*step)());

  rpc::EventLoop* const loop_;
  const ConnectionConfig config_;
  const Owner owner_;
  const std::shared_ptr<std::string> pid_;
  Counters* const counters_;
  std::shared_ptr<Connection> connection_;
  absl::AnyInvocable<void(absl::Status)> taken_;
  Backend before_;  // that held the lock for us
  Timestamp give_up_at_;
  bool first_ = true;
  bool closed_ = false;
  std::atomic<bool> held_{false};
  database::WhyNotHeld why_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_GUARD_H_
