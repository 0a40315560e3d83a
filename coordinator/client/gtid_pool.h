// A stock of gtids, so that the begin of a transaction does not wait for the network.
#ifndef COORDINATOR_CLIENT_GTID_POOL_H_
#define COORDINATOR_CLIENT_GTID_POOL_H_

#include <cstdint>
#include <deque>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/coordinators.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

// For the loop's thread.
class GtidPool {
 public:
  GtidPool(rpc::EventLoop* loop, Coordinators* coordinators, int32_t block_size,
           Duration time_limit);
  GtidPool(const GtidPool&) = delete;
  GtidPool& operator=(const GtidPool&) = delete;

  // Gives a gtid that was never used. UNAVAILABLE: no leader gave one in time, so no
  // transaction was begun.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Gtid>)>;
  void Take(Callback done);

 private:
  void Fetch();
  void OnBlock(const wire::BeginReply& reply, const wire::Result& result);
  void Serve();

  rpc::EventLoop* const loop_;
  Coordinators* const coordinators_;
  const int32_t block_size_;      // gtids fetched at once
  const Duration time_limit_;     // of one fetch
  Gtid next_;                     // the next one to give
  int32_t left_ = 0;              // how many are left, from next_ on
  Timestamp expires_;             // those that are left are not used after it
  bool fetching_ = false;         // a request is under way
  std::deque<Callback> waiting_;  // of Take, oldest first
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_GTID_POOL_H_
