// Connections to one database: at most so many, made when they are wanted, given to one
// holder at a time, in the order of asking.
//
//   pool.Acquire([](absl::StatusOr<std::shared_ptr<Connection>> c) { ... });
//   pool.Release(connection);   // outside of a transaction; otherwise Close() it first
//
// Connection is a database's own (participant/resources/postgresql/connection.h): it has
// the types Config and Counters, Connect, Close and alive, and lives in a shared_ptr.
//
// When the server cannot be reached the pool tries again after a while, twice as long
// each time, with jitter, while those who ask wait for their turn or their time-out.
// For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_DATABASE_POOL_H_
#define PARTICIPANT_RESOURCES_DATABASE_POOL_H_

#include <algorithm>
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
#include "absl/strings/str_cat.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/log.h"
#include "coordinator/base/random.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

struct PoolOptions {
  uint32_t max_connections = 1;
  Duration wait;  // for a connection
  Duration min_back_off;
  Duration max_back_off;
  uint64_t seed = 1;
  std::string resource;  // for the log
};

template <class Connection>
class Pool {
 public:
  using Config = typename Connection::Config;
  using Counters = typename Connection::Counters;
  using ConnectionPtr = std::shared_ptr<Connection>;
  using Taker = absl::AnyInvocable<void(absl::StatusOr<ConnectionPtr>)>;

  Pool(rpc::EventLoop* loop, Config config, PoolOptions options, Counters* counters);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // RESOURCE_EXHAUSTED: all connections were in use for all of the waiting time.
  // UNAVAILABLE: the server could not be reached, or the pool is closed. Never called
  // back from within the call with an error that waiting would have changed.
  void Acquire(Taker taker);
  // A connection that is not alive any more is thrown away.
  void Release(ConnectionPtr connection);
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
  void OnConnected(const ConnectionPtr& connection, const absl::Status& status);
  void BackOff(const absl::Status& status);
  void ExpireWaiters();

  rpc::EventLoop* const loop_;
  const Config config_;
  const PoolOptions options_;
  Counters* const counters_;
  Random random_;
  bool closed_ = false;
  absl::flat_hash_set<ConnectionPtr> all_;
  std::vector<ConnectionPtr> idle_;  // the last used is used first
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

template <class Connection>
Pool<Connection>::Pool(rpc::EventLoop* loop, Config config, PoolOptions options,
                       Counters* counters)
    : loop_(loop),
      config_(std::move(config)),
      options_(options),
      counters_(counters),
      random_(options.seed),
      back_off_(options.min_back_off) {}

template <class Connection>
Pool<Connection>::~Pool() {
  *alive_ = false;
  loop_->Cancel(retry_timer_);
  loop_->Cancel(expiry_timer_);
}

template <class Connection>
void Pool<Connection>::Acquire(Taker taker) {
  if (closed_) return taker(absl::UnavailableError("the resource is being closed"));
  waiters_.push_back({loop_->Now(), std::move(taker)});
  Serve();
  if (waiters_.empty() || !expiry_timer_.is_none()) return;
  expiry_timer_ = loop_->RunEvery(Duration::Millis(20), [this] { ExpireWaiters(); });
}

template <class Connection>
void Pool<Connection>::Serve() {
  while (!waiters_.empty() && !idle_.empty()) {
    ConnectionPtr connection = std::move(idle_.back());
    idle_.pop_back();
    if (!connection->alive()) {
      all_.erase(connection);
      continue;
    }
    Taker taker = std::move(waiters_.front().taker);
    waiters_.pop_front();
    taker(std::move(connection));
  }
  OpenMore();
}

template <class Connection>
void Pool<Connection>::OpenMore() {
  if (closed_ || loop_->Now() < not_before_) return;
  while (connecting_ < waiters_.size() && all_.size() < options_.max_connections) {
    // After a failure one tries for all.
    if (!last_error_.ok() && connecting_ > 0) return;
    auto connection = std::make_shared<Connection>(loop_, config_, counters_);
    all_.insert(connection);
    ++connecting_;
    // Not from within Acquire: an error can come at once.
    loop_->Defer([this, alive = alive_, connection] {
      if (!*alive) return;
      connection->Connect(
          [this, alive, weak = std::weak_ptr<Connection>(connection)](absl::Status s) {
            if (!*alive) return;
            if (const auto c = weak.lock()) OnConnected(c, s);
          });
    });
  }
}

template <class Connection>
void Pool<Connection>::OnConnected(const ConnectionPtr& connection,
                                   const absl::Status& status) {
  --connecting_;
  if (!status.ok()) {
    all_.erase(connection);
    if (!closed_) BackOff(status);
    return;
  }
  if (closed_) return connection->Close("the resource is being closed");
  if (reported_down_) {
    LogEvent(Level::kInfo, "database reached again").Field("resource", options_.resource);
  }
  reported_down_ = false;
  last_error_ = absl::OkStatus();
  back_off_ = options_.min_back_off;
  not_before_ = Timestamp();
  Release(connection);
}

template <class Connection>
void Pool<Connection>::BackOff(const absl::Status& status) {
  last_error_ = status;
  if (!std::exchange(reported_down_, true) || loop_->Now() >= report_at_) {
    report_at_ = loop_->Now() + Duration::Seconds(60);
    LogEvent(Level::kWarning, "database not reached")
        .Field("resource", options_.resource)
        .Field("error", status.message());
  }
  // Between half and all of it, so that processes that lost one server do not come
  // back to it together.
  const Duration pause =
      Duration::Micros(random_.Between(back_off_.micros() / 2, back_off_.micros()));
  back_off_ = std::min(back_off_ * 2, options_.max_back_off);
  not_before_ = loop_->Now() + pause;
  loop_->Cancel(retry_timer_);
  retry_timer_ = loop_->RunAfter(pause, [this] { Serve(); });
}

template <class Connection>
void Pool<Connection>::Release(ConnectionPtr connection) {
  if (!connection->alive() || closed_) {
    if (closed_) connection->Close("the resource is being closed");
    all_.erase(connection);
  } else {
    idle_.push_back(std::move(connection));
  }
  Serve();
}

template <class Connection>
void Pool<Connection>::ExpireWaiters() {
  const Timestamp now = loop_->Now();
  while (!waiters_.empty() && waiters_.front().since + options_.wait <= now) {
    Taker taker = std::move(waiters_.front().taker);
    waiters_.pop_front();
    if (last_error_.ok()) {
      taker(absl::ResourceExhaustedError(absl::StrCat("all ", options_.max_connections,
                                                      " connections were in use for ",
                                                      options_.wait.millis(), " ms")));
    } else {
      taker(absl::UnavailableError(
          absl::StrCat("the database is not reached: ", last_error_.message())));
    }
  }
  if (!waiters_.empty()) {
    if (starved_ && all_.size() >= options_.max_connections) starved_();
    return;
  }
  loop_->Cancel(expiry_timer_);
  expiry_timer_ = rpc::TimerId();
}

template <class Connection>
void Pool<Connection>::Close(const std::string& why) {
  closed_ = true;
  idle_.clear();
  for (const ConnectionPtr& connection :
       std::vector<ConnectionPtr>(all_.begin(), all_.end())) {
    connection->Close(why);
  }
  all_.clear();
  std::deque<Waiter> waiters = std::exchange(waiters_, {});
  for (Waiter& waiter : waiters) waiter.taker(absl::UnavailableError(why));
}

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_POOL_H_
