#include "participant/resources/database/pool.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"

namespace concordat::participant::database {

Pool::Pool(rpc::EventLoop* loop, SessionFactory make, PoolOptions options)
    : loop_(loop),
      make_(std::move(make)),
      options_(std::move(options)),
      random_(options_.seed),
      back_off_(options_.min_back_off) {}

Pool::~Pool() {
  lifetime_.End();
  loop_->Cancel(retry_timer_);
  loop_->Cancel(expiry_timer_);
}

void Pool::Acquire(Taker taker) {
  if (closed_) return taker(absl::UnavailableError(kClosing));
  waiters_.push_back({loop_->Now(), std::move(taker)});
  Serve();
  if (waiters_.empty() || !expiry_timer_.is_none()) return;
  expiry_timer_ = loop_->RunEvery(Duration::Millis(20), [this] { ExpireWaiters(); });
}

void Pool::Serve() {
  while (!waiters_.empty() && !idle_.empty()) {
    SessionPtr session = std::move(idle_.back());
    idle_.pop_back();
    if (!session->alive()) {
      all_.erase(session);
      continue;
    }
    Taker taker = std::move(waiters_.front().taker);
    waiters_.pop_front();
    taker(std::move(session));
  }
  OpenMore();
}

void Pool::OpenMore() {
  if (closed_ || loop_->Now() < not_before_) return;
  while (connecting_ < waiters_.size() && all_.size() < options_.max_connections) {
    // After a failure only one connection is tried at a time.
    if (!last_error_.ok() && connecting_ > 0) return;
    SessionPtr session = make_();
    all_.insert(session);
    ++connecting_;
    // Not from within Acquire, because an error may come at once.
    loop_->Defer(lifetime_.IfAlive([this, session] {
      session->Connect(lifetime_.IfAlive(
          [this, weak = std::weak_ptr<Session>(session)](const absl::Status& s) {
            if (const auto c = weak.lock()) OnConnected(c, s);
          }));
    }));
  }
}

void Pool::OnConnected(const SessionPtr& session, const absl::Status& status) {
  --connecting_;
  if (!status.ok()) {
    all_.erase(session);
    if (!closed_) BackOff(status);
    return;
  }
  if (closed_) return session->Close(kClosing);
  if (reported_down_) {
    LogEvent(Level::kInfo, "database reached again").Field("resource", options_.resource);
  }
  reported_down_ = false;
  last_error_ = absl::OkStatus();
  back_off_ = options_.min_back_off;
  not_before_ = Timestamp();
  Release(session);
}

void Pool::BackOff(const absl::Status& status) {
  last_error_ = status;
  if (!std::exchange(reported_down_, true) || loop_->Now() >= report_at_) {
    report_at_ = loop_->Now() + Duration::Seconds(60);
    LogEvent(Level::kWarning, "database not reached")
        .Field("resource", options_.resource)
        .Field("error", status.message());
  }
  // The pause is between half and all of back_off_, so that processes that have lost the
  // same server do not all return to it at the same time.
  const Duration pause =
      Duration::Micros(random_.Between(back_off_.micros() / 2, back_off_.micros()));
  back_off_ = std::min(back_off_ * 2, options_.max_back_off);
  not_before_ = loop_->Now() + pause;
  loop_->Cancel(retry_timer_);
  retry_timer_ = loop_->RunAfter(pause, [this] { Serve(); });
}

void Pool::Release(SessionPtr session) {
  if (!session->alive() || closed_) {
    if (closed_) session->Close(kClosing);
    all_.erase(session);
  } else {
    idle_.push_back(std::move(session));
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
  if (!waiters_.empty()) {
    if (starved_ && all_.size() >= options_.max_connections) starved_();
    return;
  }
  loop_->Cancel(expiry_timer_);
  expiry_timer_ = rpc::TimerId();
}

void Pool::Close(const std::string& why) {
  closed_ = true;
  idle_.clear();
  for (const SessionPtr& session : std::vector<SessionPtr>(all_.begin(), all_.end())) {
    session->Close(why);
  }
  all_.clear();
  std::deque<Waiter> waiters = std::exchange(waiters_, {});
  for (Waiter& waiter : waiters) waiter.taker(absl::UnavailableError(why));
}

}  // namespace concordat::participant::database
