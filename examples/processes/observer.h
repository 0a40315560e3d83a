// Watches a cluster from outside, with the calls of `concordat status` and `concordat txn
// list`: who leads, which resources are registered, and what is still open.
//
//   Observer observer(loop, nodes, participants);     // polls all nodes
//   std::optional<LeaderView> view = observer.Leader();   // the last one known
//   absl::StatusOr<OpenWork> open = observer.CountOpen();   // asks now
#ifndef EXAMPLES_PROCESSES_OBSERVER_H_
#define EXAMPLES_PROCESSES_OBSERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/lifetime.h"
#include "coordinator/base/mutex.h"
#include "coordinator/client/link.h"

namespace concordat::example {

struct LeaderView {
  size_t node = 0;  // index into the addresses
  int64_t term = 0;
  int64_t commit_index = 0;
  // For each resource whose heartbeats arrive, its incarnation.
  std::map<std::string, int64_t> alive;
};

// Transactions and branches that are not over.
struct OpenWork {
  size_t transactions = 0;  // at the leader
  size_t branches = 0;      // at participants
  // Descriptions of some of them.
  std::vector<std::string> examples;

  [[nodiscard]] bool none() const { return transactions == 0 && branches == 0; }
};

// Thread-safe, but must not be called on the loop's own thread.
class Observer {
 public:
  // `nodes` are the client addresses of all coordinator nodes. The loop must outlive it.
  Observer(rpc::EventLoop* loop, std::vector<std::string> nodes,
           std::vector<std::string> participants);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // nullopt: no node leads, or none knows.
  [[nodiscard]] std::optional<LeaderView> Leader() const;
  // How far a node has applied the log. nullopt: it does not answer.
  [[nodiscard]] std::optional<int64_t> AppliedIndex(size_t node) const;
  // How many leaders there were, each in a term of its own.
  [[nodiscard]] size_t leaders_seen() const;

  // UNAVAILABLE, with the address: a node or participant does not answer.
  [[nodiscard]] absl::StatusOr<OpenWork> CountOpen();

 private:
  struct NodeState {
    bool asked = false;                     // an answer is awaited
    std::optional<wire::StatusReply> last;  // nullopt: it does not answer
  };
  struct Count;

  // On the loop's thread.
  void AskAll();
  void Ask(size_t node);
  void CountAt(const std::string& leader, const std::shared_ptr<Count>& count);

  rpc::EventLoop* const loop_;
  const std::vector<std::string> nodes_;
  const std::vector<std::string> participants_;
  std::unique_ptr<client::LinkProvider> links_;  // used on the loop's thread
  Lifetime lifetime_;
  mutable Mutex mutex_;
  std::vector<NodeState> states_ ABSL_GUARDED_BY(mutex_);
  std::set<int64_t> terms_ ABSL_GUARDED_BY(mutex_);  // in which a node has led
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_OBSERVER_H_
