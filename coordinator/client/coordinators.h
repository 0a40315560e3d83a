// Finds the leader and follows it: repeats a call at the nodes of the cluster until
// one of them answers it, with a short pause between rounds, until a deadline.
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
#include "coordinator/client/link.h"
#include "coordinator/client/request_fate.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::client {

// Loop thread only.
class Coordinators {
 public:
  // `addresses` is not empty; more are learnt from the nodes' hints.
  Coordinators(rpc::EventLoop* loop, LinkProvider* links,
               std::vector<std::string> addresses);
  Coordinators(const Coordinators&) = delete;
  Coordinators& operator=(const Coordinators&) = delete;

  // Makes the call at the node that is believed to lead. The first argument is that
  // node, the second what must be called with the reply's result.
  using Attempt =
      std::function<void(CoordinatorLink*, std::function<void(const wire::Result&)>)>;
  // Called once with the last result, and what all of them together mean.
  using Done = std::function<void(const wire::Result&, Verdict)>;

  // Repeats until an answer is final or refuses for good (request_fate.h), or time is up.
  // The call must be one that may be repeated.
  void Call(Duration time_limit, Attempt attempt, Done done);

  // Asks any node who it is, and goes on with the leader that it names: every node
  // answers some questions, the leader with what is newest.
  void Hello(Duration time_limit,
             std::function<void(const wire::HelloReply&, const wire::Result&)> done);

  // How many times another node than the last one has answered with OK. Tries at nodes
  // that do not answer, or do not lead, do not count.
  [[nodiscard]] uint64_t leader_changes() const { return leader_changes_; }

 private:
  struct Pending;
  void Try(const std::shared_ptr<Pending>& pending);
  void OnResult(const std::shared_ptr<Pending>& pending, const std::string& asked,
                const wire::Result& result);
  // The node asked is not the one: follows the hint, or goes on to the next. True: the
  // one that is to be asked now is likely to know.
  bool MoveOn(const std::string& asked, const wire::Result& result, NextStep step);
  void Follow(const std::string& leader);
  void NoteAnswer(const std::string& node);

  rpc::EventLoop* const loop_;
  LinkProvider* const links_;
  std::vector<std::string> addresses_;
  size_t current_ = 0;
  std::string last_answered_;
  uint64_t leader_changes_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_COORDINATORS_H_
