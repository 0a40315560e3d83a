// The transactions that this client has rolled back at their resources, without the
// coordinators. Coordinators do not know their outcome, so the client keeps it. Only the
// newest are kept.
#ifndef COORDINATOR_CLIENT_ROLLED_BACK_GTIDS_H_
#define COORDINATOR_CLIENT_ROLLED_BACK_GTIDS_H_

#include <cstddef>
#include <deque>
#include <set>

#include "coordinator/base/xid.h"

namespace concordat::client {

class RolledBackGtids {
 public:
  void Add(const Gtid& gtid) {
    if (!gtids_.insert(gtid).second) return;
    order_.push_back(gtid);
    if (order_.size() <= kCapacity) return;
    gtids_.erase(order_.front());
    order_.pop_front();
  }
  [[nodiscard]] bool Contains(const Gtid& gtid) const { return gtids_.contains(gtid); }

 private:
  static constexpr size_t kCapacity = 4096;  // how many are kept

  std::set<Gtid> gtids_;
  std::deque<Gtid> order_;  // oldest first
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_ROLLED_BACK_GTIDS_H_
