// Connections to one database: at most so many, made when they are wanted, given to one
// holder at a time, in the order of asking.
//
//   pool.Acquire([](absl::StatusOr<SessionPtr> session) { ... });
//   pool.Release(session);   // outside of a transaction; otherwise Close() it first
//
// When the server cannot be reached the pool tries again after a while, twice as long
// each time, with jitter, while those who ask wait for their turn or their time-out.
// For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_DATABASE_POOL_H_
#define PARTICIPANT_RESOURCES_DATABASE_POOL_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/random.h"
#include "participant/resources/database/session.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

using SessionPtr = std::shared_ptr<Session>;
using SessionFactory = absl::AnyInvocable<SessionPtr()>;

struct PoolOptions {
  uint32_t max_connections = 1;
  Duration wait;  // for a connection
  Duration min_back_off;
  Duration max_back_off;
  uint64_t seed = 1;
  std::string resource;  // for the log
};

class Pool {
 public:
  using Taker = absl::AnyInvocable<void(absl::StatusOr<SessionPtr>)>;

  Pool(rpc::EventLoop* loop, SessionFactory make, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // RESOURCE_EXHAUSTED: all connections were in use for all of the waiting time.
  // UNAVAILABLE: the server could not be reached, or the pool is closed. Never called
  // back from within the call with an error that waiting would have changed.
  void Acquire(Taker taker);
  // A connection that is not alive any more is thrown away.
  void Release(SessionPtr session);
  // Called from time to time while somebody waits and all connections are in use: the
  // owner may have some that it can do without.
  void OnStarved(absl::AnyInvocable<void()> listener) { starved_ = std::move(listener); }
  // Closes all connections, also those in use, and fails those who wait. For good.
  void Close(const std::string& why);

  [[nodiscard]] size_t open() const { return all_.size(); }

 private:
  struct Waiter {
    Timestamp since;
    Taker taker;
  };
  void Serve();
  void OpenMore();
  void OnConnected(const SessionPtr& session, const absl::Status& status);
  void BackOff(const absl::Status& status);
  void ExpireWaiters();

  rpc::EventLoop* const loop_;
  SessionFactory make_;
  const PoolOptions options_;
  Random random_;
  bool closed_ = false;
  absl::flat_hash_set<SessionPtr> all_;
  std::vector<SessionPtr> idle_;  // the last used is used first
  size_t connecting_ = 0;
  std::deque<Waiter> waiters_;
  Duration back_off_;
  Timestamp not_before_;
  rpc::TimerId retry_timer_;
  rpc::TimerId expiry_timer_;
  absl::Status last_error_;
  absl::AnyInvocable<void()> starved_;
  bool reported_down_ = false;
  Timestamp report_at_;  // that it is still down, not before
  // Timers and callbacks that come after the end find it gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_POOL_H_
