// UntilReady: the requests that reach a leader before it may answer. Each waits for a
// limited time. When the leader is ready they are handled in the order in which they
// came.
//
//   leading, not ready:   Add(token, request, expires), and TakeExpired(now) now and then
//   ready:                OnReady(), then TakeNext() while there is room for work
//   leadership is lost:   TakeAll(), to tell the callers to ask another node
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

  // At most `most` requests wait.
  explicit UntilReady(size_t most) : most_(most) {}

  // False: too many wait already.
  [[nodiscard]] bool Add(RequestToken token, Request request, Timestamp expires) {
    if (waiting_.size() >= most_) return false;
    waiting_.emplace(++arrivals_, Waiting{token, std::move(request)});
    by_expiry_.emplace(expires, arrivals_);
    return true;
  }
  // Removes the requests whose time is over.
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

  // The leader is ready: from now on TakeNext returns the requests, and none expires.
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
  // When the first of them expires. Infinite: none does.
  [[nodiscard]] Timestamp NextExpiry() const {
    return by_expiry_.empty() ? Timestamp::Infinite() : by_expiry_.begin()->first;
  }

 private:
  const size_t most_;
  uint64_t arrivals_ = 0;                         // the number of the last request
  std::map<uint64_t, Waiting> waiting_;           // before OnReady, by number
  std::multimap<Timestamp, uint64_t> by_expiry_;  // the numbers of those in waiting_
  std::deque<Waiting> next_;                      // since OnReady, in their order
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_UNTIL_READY_H_
