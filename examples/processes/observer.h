// Watches a cluster from outside, by the calls that `concordat status` and `concordat
// txn list` make: who leads, which resources are registered, and what is still open.
//
//   Observer observer(loop, nodes, participants);   // asks all nodes all the time
//   observer.Leader()                               // the last that is known
//   observer.CountOpen()                            // asks now
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
#include "coordinator/base/mutex.h"
#include "coordinator/client/link.h"

namespace concordat::example {

struct LeaderView {
  size_t node = 0;  // index into the addresses
  int64_t term = 0;
  int64_t commit_index = 0;
  // Of each resource whose heartbeats arrive: the incarnation of its participant.
  std::map<std::string, int64_t> alive;
};

// What is not over.
struct OpenWork {
  size_t transactions = 0;  // at the leader
  size_t branches = 0;      // held by participants
  // In words, some of it.
  std::vector<std::string> examples;

  [[nodiscard]] bool none() const { return transactions == 0 && branches == 0; }
};

// Thread-safe; not for the loop's own thread.
class Observer {
 public:
  // Addresses for clients of all coordinator nodes, and of all participants. The loop
  // must outlive it.
  Observer(rpc::EventLoop* loop, std::vector<std::string> nodes,
           std::vector<std::string> participants);
  ~Observer();
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;

  // Nothing while nobody leads, or nobody knows.
  [[nodiscard]] std::optional<LeaderView> Leader() const;
  // How far a node has applied the log; nothing when it does not answer.
  [[nodiscard]] std::optional<int64_t> AppliedIndex(size_t node) const;
  // How many leaders there were, each in a term of its own.
  [[nodiscard]] size_t leaders_seen() const;

  // UNAVAILABLE, saying who, when somebody does not answer.
  [[nodiscard]] absl::StatusOr<OpenWork> CountOpen();

 private:
  struct NodeState {
    bool asked = false;  // an answer is awaited
    std::optional<wire::StatusReply> last;
  };
  struct Count;

  // The loop's thread.
  void AskAll();
  void Ask(size_t node);
  void CountAt(const std::string& leader, const std::shared_ptr<Count>& count);

  rpc::EventLoop* const loop_;
  const std::vector<std::string> nodes_;
  const std::vector<std::string> participants_;
  std::unique_ptr<client::LinkProvider> links_;  // the loop's thread
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  mutable Mutex mutex_;
  std::vector<NodeState> states_ ABSL_GUARDED_BY(mutex_);
  std::set<int64_t> terms_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_OBSERVER_H_
