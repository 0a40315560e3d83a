// Gtids in stock, so that beginning a transaction does not wait for the network.
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

// Loop thread only.
class GtidPool {
 public:
  GtidPool(rpc::EventLoop* loop, Coordinators* coordinators, int32_t block_size,
           Duration time_limit);
  GtidPool(const GtidPool&) = delete;
  GtidPool& operator=(const GtidPool&) = delete;

  // A gtid that nobody has used. UNAVAILABLE when no leader gave one in time: no
  // transaction was begun.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Gtid>)>;
  void Take(Callback done);

 private:
  void Fetch();
  void OnBlock(const wire::BeginReply& reply, const wire::Result& result);
  void Serve();

  rpc::EventLoop* const loop_;
  Coordinators* const coordinators_;
  const int32_t block_size_;
  const Duration time_limit_;
  Gtid next_;
  int32_t left_ = 0;
  Timestamp expires_;
  bool fetching_ = false;
  std::deque<Callback> waiting_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_GTID_POOL_H_
