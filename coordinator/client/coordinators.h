// Finds the leader and follows it: repeats a call at the nodes of the cluster, with a
// short pause between rounds, until a node answers it or the time is over.
#ifndef COORDINATOR_CLIENT_COORDINATORS_H_
#define COORDINATOR_CLIENT_COORDINATORS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "concordat_wire/coordinator_types.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/leader_finder.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/client/link.h"
#include "coordinator/client/request_fate.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

// For the loop's thread.
class Coordinators {
 public:
  // `addresses` must not be empty. Others are added from the nodes' hints.
  Coordinators(rpc::EventLoop* loop, LinkProvider* links,
               std::vector<std::string> addresses);
  Coordinators(const Coordinators&) = delete;
  Coordinators& operator=(const Coordinators&) = delete;

  // Makes the call at one node, the first argument, and then calls the second argument
  // with the result of the reply.
  using Attempt =
      std::function<void(CoordinatorLink*, std::function<void(const wire::Result&)>)>;
  // Called once, with the last result and with what all results together mean.
  using Done = std::function<void(const wire::Result&, Verdict)>;

  // Repeats the call until an answer is final or a refusal that no other node would
  // change (request_fate.h), or until the time is over. It must be a call that may be
  // repeated.
  void Call(Duration time_limit, Attempt attempt, Done done);

  // Calls `hello` at any node, and makes later calls at the leader that it names. Every
  // node answers some questions, but only the leader's answer is surely up to date.
  void Hello(Duration time_limit,
             std::function<void(const wire::HelloReply&, const wire::Result&)> done);

  // The cluster has these nodes now, as its leader says. Those that are not known yet are
  // asked too from here on; what is no address is left out.
  void Learn(const std::vector<std::string>& nodes);

  // How many times a node other than the last one has answered with OK. Attempts at nodes
  // that do not answer or do not lead do not count.
  [[nodiscard]] uint64_t leader_changes() const { return leader_changes_; }

 private:
  struct Pending;
  void Try(const std::shared_ptr<Pending>& pending);
  void OnResult(const std::shared_ptr<Pending>& pending, const std::string& asked,
                const wire::Result& result);
  void NoteAnswer(const std::string& node);

  rpc::EventLoop* const loop_;
  LinkProvider* const links_;
  LeaderFinder nodes_;           // by their addresses
  std::string last_answered_;    // its address; empty: none yet
  uint64_t leader_changes_ = 0;  // see leader_changes
  Lifetime lifetime_;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_COORDINATORS_H_
