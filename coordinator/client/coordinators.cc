#include "coordinator/client/coordinators.h"

#include <algorithm>

#include "coordinator/base/check.h"
#include "coordinator/client/wire_names.h"

namespace concordat::client {

namespace {

// Between two tries at nodes that could not answer: an election takes some tenths of
// a second, and the first commit after it should not wait for us.
constexpr Duration kPause = Duration::Millis(10);

bool MustRepeat(wire::Code::type code) {
  return code == wire::Code::NOT_LEADER || code == wire::Code::UNAVAILABLE ||
         code == wire::Code::UNKNOWN;
}

}  // namespace

struct Coordinators::Pending {
  Timestamp give_up;
  Attempt attempt;
  Done done;
  bool sent_unknown = false;
};

Coordinators::Coordinators(rpc::EventLoop* loop, LinkProvider* links,
                           std::vector<std::string> addresses)
    : loop_(loop), links_(links), addresses_(std::move(addresses)) {
  CONCORDAT_CHECK(!addresses_.empty()) << "a client needs a coordinator's address";
}

void Coordinators::Call(Duration time_limit, Attempt attempt, Done done) {
  auto pending = std::make_shared<Pending>();
  pending->give_up = loop_->Now() + time_limit;
  pending->attempt = std::move(attempt);
  pending->done = std::move(done);
  Try(pending);
}

void Coordinators::Try(const std::shared_ptr<Pending>& pending) {
  const std::string asked = addresses_[current_];
  CoordinatorLink* link = links_->Coordinator(asked);
  if (link == nullptr) {
    wire::Result result;
    result.code = wire::Code::UNAVAILABLE;
    result.__set_message("'" + asked + "' is no address");
    return OnResult(pending, asked, result);
  }
  pending->attempt(link, [this, alive = std::weak_ptr<bool>(alive_), pending,
                          asked](const wire::Result& result) {
    if (!alive.expired()) OnResult(pending, asked, result);
  });
}

void Coordinators::OnResult(const std::shared_ptr<Pending>& pending,
                            const std::string& asked, const wire::Result& result) {
  pending->sent_unknown = pending->sent_unknown || result.code == wire::Code::UNKNOWN;
  if (!MustRepeat(result.code)) return pending->done(result, pending->sent_unknown);
  const bool followed_hint = MoveOn(asked, result);
  if (loop_->Now() >= pending->give_up) {
    return pending->done(result, pending->sent_unknown);
  }
  loop_->RunAfter(followed_hint ? Duration() : kPause,
                  [this, alive = std::weak_ptr<bool>(alive_), pending] {
                    if (!alive.expired()) Try(pending);
                  });
}

bool Coordinators::MoveOn(const std::string& asked, const wire::Result& result) {
  // Another call has moved on already.
  if (addresses_[current_] != asked) return true;
  if (result.code == wire::Code::UNAVAILABLE) return false;  // it leads: wait
  ++leader_changes_;
  if (result.code == wire::Code::NOT_LEADER && result.__isset.leader_hint &&
      result.leader_hint != asked) {
    Follow(result.leader_hint);
    return true;
  }
  current_ = (current_ + 1) % addresses_.size();
  return false;
}

void Coordinators::Follow(const std::string& leader) {
  const auto known = std::find(addresses_.begin(), addresses_.end(), leader);
  current_ = static_cast<size_t>(known - addresses_.begin());
  if (known == addresses_.end()) addresses_.push_back(leader);
}

void Coordinators::Hello(
    Duration time_limit,
    std::function<void(const wire::HelloReply&, const wire::Result&)> done) {
  auto reply = std::make_shared<wire::HelloReply>();
  Call(
      time_limit,
      [reply](CoordinatorLink* link, std::function<void(const wire::Result&)> answered) {
        link->hello(
            [reply, answered = std::move(answered)](const wire::HelloReply& answer) {
              *reply = answer;
              answered(answer.result);
            },
            MakeContext());
      },
      [this, reply, done = std::move(done)](const wire::Result& result, bool) {
        if (result.code == wire::Code::OK && !reply->leader.empty()) {
          Follow(reply->leader);
        }
        done(*reply, result);
      });
}

}  // namespace concordat::client
