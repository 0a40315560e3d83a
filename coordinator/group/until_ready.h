// UntilReady: the requests that reach a leader before it may answer. They wait, each for
// a limited time, and are then dealt with in the order in which they came.
//
//   leading:   Add(token, request, expires)    every time that comes: TakeExpired(now)
//   ready:     OnReady()                       while there is room for work: TakeNext()
//   follower:  TakeAll(), to send the callers on
#ifndef COORDINATOR_GROUP_UNTIL_READY_H_
#define COORDINATOR_GROUP_UNTIL_READY_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/group/request.h"

namespace concordat::group {

template <class Request>
class UntilReady {
 public:
  struct Waiting {
    RequestToken token;
    Request request;
  };

  explicit UntilReady(size_t most) : most_(most) {}

  // False: too many wait already.
  [[nodiscard]] bool Add(RequestToken token, Request request, Timestamp expires) {
    if (waiting_.size() >= most_) return false;
    waiting_.emplace(++arrivals_, Waiting{token, std::move(request)});
    by_expiry_.emplace(expires, arrivals_);
    return true;
  }
  // Those whose time is over.
  [[nodiscard]] std::vector<RequestToken> TakeExpired(Timestamp now) {
    std::vector<RequestToken> tokens;
    while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
      const auto entry = waiting_.find(by_expiry_.begin()->second);
      tokens.push_back(entry->second.token);
      waiting_.erase(entry);
      by_expiry_.erase(by_expiry_.begin());
    }
    return tokens;
  }

  // From here on their turn comes, and none expires.
  void OnReady() {
    by_expiry_.clear();
    for (auto& [arrival, waiting] : std::exchange(waiting_, {})) {
      next_.push_back(std::move(waiting));
    }
  }
  [[nodiscard]] std::optional<Waiting> TakeNext() {
    if (next_.empty()) return std::nullopt;
    std::optional<Waiting> waiting(std::move(next_.front()));
    next_.pop_front();
    return waiting;
  }
  [[nodiscard]] bool HasNext() const { return !next_.empty(); }

  [[nodiscard]] std::vector<RequestToken> TakeAll() {
    OnReady();
    std::vector<RequestToken> tokens;
    for (const Waiting& waiting : std::exchange(next_, {})) {
      tokens.push_back(waiting.token);
    }
    return tokens;
  }

  [[nodiscard]] size_t waiting() const { return waiting_.size(); }
  // When the first of them expires; Infinite if none does.
  [[nodiscard]] Timestamp NextExpiry() const {
    return by_expiry_.empty() ? Timestamp::Infinite() : by_expiry_.begin()->first;
  }

 private:
  const size_t most_;
  uint64_t arrivals_ = 0;
  std::map<uint64_t, Waiting> waiting_;  // by arrival
  std::multimap<Timestamp, uint64_t> by_expiry_;
  std::deque<Waiting> next_;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_UNTIL_READY_H_
