// What a coordinator node tells its operators: the transitions of transactions, as events
// with fields; which node leads, or that none does; and which resources have become
// silent. What may come thousands of times a second is limited (LogLimit).
//
// Used on the node's loop only.
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
  // Called about once a second. Logs that no leader is known, again and again while that
  // lasts.
  void OnSecond(Timestamp now);
  // Called about once a second at the leader. Logs which resources are not heard of any
  // more, and which are heard of again.
  void OnResources(const std::vector<registry::ResourceView>& resources);

 private:
  void LogAbort(const txn::Event& event, Timestamp now);

  const NodeId node_;                                   // this node
  bool leads_ = false;                                  // this node leads
  Timestamp leaderless_since_ = Timestamp::Infinite();  // infinite: a leader is known
  LogLimit leaderless_;
  // For aborts that somebody may ask about: one line a second for each cause.
  LogLimit aborts_{Duration::Seconds(1)};
  std::map<std::string, bool> silent_;  // by the resource's name: it is silent
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_NODE_LOG_H_
