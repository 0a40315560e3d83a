// What a coordinator node tells its operators: transitions of transactions as events with
// fields, who leads, that nobody does, and which resources have fallen silent. What may
// come thousands of times a second is held back (LogLimit).
//
// For the node's loop only.
#ifndef COORDINATOR_NODE_NODE_LOG_H_
#define COORDINATOR_NODE_NODE_LOG_H_

#include <map>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/log_limit.h"
#include "coordinator/raft/output.h"
#include "coordinator/registry/output.h"
#include "coordinator/registry/view.h"
#include "coordinator/txn/output.h"

namespace concordat::node {

class NodeLog {
 public:
  explicit NodeLog(NodeId node) : node_(node) {}

  void OnEvent(const txn::Event& event, Timestamp now);
  void OnEvent(const registry::Event& event);
  void OnRaftState(const raft::SoftState& state, Timestamp now);
  // About once a second: says that no leader is known, again and again while it lasts.
  void OnSecond(Timestamp now);
  // About once a second, at the leader: says which resources are not heard of any more,
  // and which are again.
  void OnResources(const std::vector<registry::ResourceView>& resources);

 private:
  void LogAbort(const txn::Event& event, Timestamp now);

  const NodeId node_;
  bool leads_ = false;
  Timestamp leaderless_since_ = Timestamp::Infinite();
  LogLimit leaderless_;
  // Aborts that somebody may ask about, one for each cause a second.
  LogLimit aborts_{Duration::Seconds(1)};
  std::map<std::string, bool> silent_;  // by the resource's name
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_NODE_LOG_H_
