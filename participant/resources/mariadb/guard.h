// Makes this process the only one that serves a resource of a server, and ends what an
// earlier one has left there.
//
// A process that was killed may leave a session behind that is still going to PREPARE or
// to COMMIT what it was last sent, or that holds on to a branch it has prepared. As long
// as it lives, "not there" is not the truth about a branch. So before anything is
// answered:
//
//   connect -> end all sessions of the resource -> take its user lock
//                        ^                              |  not got: again
//                        +------------------------------+
//           -> end all its sessions that are left -> held
//
// A session of the resource is known by the row of concordat.sessions that it writes in
// its set-up (session.cc), and is over when the server does not list it any more: not
// before it has let go of its branch. Users' statements in it have no right to the row.
// Having written it, it asks whether the resource's lock is still held by us. So none is
// made after somebody else has taken that, and none that was made before survives his
// second round. The last one to start wins; the one before it sees the lock gone, tries
// to get it back without ending anybody (but its own old session, which may not have
// noticed that it was cut off), and refuses new branches meanwhile. For the loop's
// thread, but for held() and why_not_held().
#ifndef PARTICIPANT_RESOURCES_MARIADB_GUARD_H_
#define PARTICIPANT_RESOURCES_MARIADB_GUARD_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "participant/resources/database/why_not_held.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/resources/mariadb/sql.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::mariadb {

class Guard {
 public:
  // `config` without a guard_id. `id` is filled when the lock is held.
  Guard(rpc::EventLoop* loop, ConnectionConfig config, Owner owner,
        std::shared_ptr<std::string> id, Counters* counters);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  // Once. UNAVAILABLE: not reached within `patience`. FAILED_PRECONDITION: refused, or
  // the lock was not to be had (another user's process holds it).
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
  void EndOthers();
  void OnOthers(const Result& ids);
  void TryLock();
  void OnLock(const BatchResult& r);
  void Held();
  void Failed(const absl::Status& status);
  void After(Duration delay, void (Guard::*step)());
  // Runs the batch; failures go to Failed.
  void Run(std::vector<Statement> batch, absl::AnyInvocable<void(BatchResult)> done);

  rpc::EventLoop* const loop_;
  const ConnectionConfig config_;
  const Owner owner_;
  const std::shared_ptr<std::string> id_;
  Counters* const counters_;
  std::shared_ptr<Connection> connection_;
  absl::AnyInvocable<void(absl::Status)> taken_;
  Backend before_;  // that held the lock for us
  Timestamp give_up_at_;
  bool first_ = true;
  bool locked_ = false;  // and now the rest is ended
  bool closed_ = false;
  std::atomic<bool> held_{false};
  database::WhyNotHeld why_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_GUARD_H_
