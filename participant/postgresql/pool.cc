#include "participant/postgresql/pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::postgresql {

Pool::Pool(rpc::EventLoop* loop, ConnectionConfig config, PoolOptions options,
           Counters* counters)
    : loop_(loop),
      config_(std::move(config)),
      options_(options),
      counters_(counters),
      random_(options.seed),
      back_off_(options.min_back_off) {}

Pool::~Pool() {
  *alive_ = false;
  loop_->Cancel(retry_timer_);
  loop_->Cancel(expiry_timer_);
}

void Pool::Acquire(Taker taker) {
  if (closed_) return taker(absl::UnavailableError("the resource is being closed"));
  waiters_.push_back({loop_->Now(), std::move(taker)});
  Serve();
  if (waiters_.empty() || !expiry_timer_.is_none()) return;
  expiry_timer_ = loop_->RunEvery(Duration::Millis(20), [this] { ExpireWaiters(); });
}

void Pool::Serve() {
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

void Pool::OpenMore() {
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

void Pool::OnConnected(const ConnectionPtr& connection, const absl::Status& status) {
  --connecting_;
  if (!status.ok()) {
    all_.erase(connection);
    if (!closed_) BackOff(status);
    return;
  }
  if (closed_) return connection->Close("the resource is being closed");
  if (reported_down_) LogEvent(Level::kInfo, "database reached again");
  reported_down_ = false;
  last_error_ = absl::OkStatus();
  back_off_ = options_.min_back_off;
  not_before_ = Timestamp();
  Release(connection);
}

void Pool::BackOff(const absl::Status& status) {
  last_error_ = status;
  if (!std::exchange(reported_down_, true)) {
    LogEvent(Level::kWarning, "database not reached").Field("error", status.message());
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

void Pool::Release(ConnectionPtr connection) {
  if (!connection->alive() || closed_) {
    if (closed_) connection->Close("the resource is being closed");
    all_.erase(connection);
  } else {
    idle_.push_back(std::move(connection));
  }
  Serve();
}

void Pool::ExpireWaiters() {
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
  if (!waiters_.empty()) return;
  loop_->Cancel(expiry_timer_);
  expiry_timer_ = rpc::TimerId();
}

void Pool::Close(const std::string& why) {
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

}  // namespace concordat::participant::postgresql
