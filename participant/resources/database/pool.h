// The connections to one database, up to a maximum. They are made when they are needed,
// and given to one holder at a time, in the order in which they were asked for.
//
//   pool.Acquire([](absl::StatusOr<SessionPtr> session) { ... });
//   pool.Release(session);   // outside of a transaction; otherwise Close() it first
//
// When the server cannot be reached, the pool tries again after a pause that doubles each
// time, with jitter. Those who ask wait meanwhile, until it is their turn or their time
// is over. Used on the loop's thread only.
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
#include "coordinator/base/lifetime.h"
#include "coordinator/base/random.h"
#include "participant/resources/database/session.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

using SessionPtr = std::shared_ptr<Session>;
using SessionFactory = absl::AnyInvocable<SessionPtr()>;

struct PoolOptions {
  uint32_t max_connections = 1;
  Duration wait;  // how long Acquire waits for a connection
  // The shortest and the longest pause between tries to reach the server.
  Duration min_back_off;
  Duration max_back_off;
  uint64_t seed = 1;     // of the jitter
  std::string resource;  // its name, for the log
};

class Pool {
 public:
  using Taker = absl::AnyInvocable<void(absl::StatusOr<SessionPtr>)>;

  Pool(rpc::EventLoop* loop, SessionFactory make, PoolOptions options);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // RESOURCE_EXHAUSTED: all connections were in use during the whole waiting time.
  // UNAVAILABLE: the server could not be reached, or the pool is closed. An error that
  // waiting might have avoided is never given from within the call.
  void Acquire(Taker taker);
  // A connection that is not alive any more is dropped.
  void Release(SessionPtr session);
  // `listener` is called from time to time while somebody waits and all connections are
  // in use: the owner may hold some that it can give back.
  void OnStarved(absl::AnyInvocable<void()> listener) { starved_ = std::move(listener); }
  // Closes all connections, also those in use, and fails those who wait. The pool stays
  // closed.
  void Close(const std::string& why);

  // The number of connections, also of those that are being made.
  [[nodiscard]] size_t open() const { return all_.size(); }

 private:
  struct Waiter {
    Timestamp since;  // when it asked
    Taker taker;
  };
  void Serve();
  void OpenMore();
  void OnConnected(const SessionPtr& session, const absl::Status& status);
  void BackOff(const absl::Status& status);
  void ExpireWaiters();

  rpc::EventLoop* const loop_;  // outlives this
  SessionFactory make_;         // makes a session that is not connected yet
  const PoolOptions options_;
  Random random_;  // for the jitter
  bool closed_ = false;
  absl::flat_hash_set<SessionPtr> all_;  // idle, in use, or connecting
  std::vector<SessionPtr> idle_;         // the last one is used first
  size_t connecting_ = 0;                // how many are connecting
  std::deque<Waiter> waiters_;           // in the order in which they asked
  Duration back_off_;                    // the next pause; zero: the last try succeeded
  Timestamp not_before_;                 // no try before this
  rpc::TimerId retry_timer_;             // for not_before_
  rpc::TimerId expiry_timer_;            // for the waiters' time-outs
  absl::Status last_error_;              // of the last try; OK: it succeeded
  absl::AnyInvocable<void()> starved_;   // null: nobody listens
  bool reported_down_ = false;           // it was logged that the server is not reached
  Timestamp report_at_;                  // that is not logged again before this
  Lifetime lifetime_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_POOL_H_
