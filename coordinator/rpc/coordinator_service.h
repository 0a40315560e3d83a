// The coordinator's Thrift service: turns calls into requests to the node and its
// replies into answers. Knows no protocol of its own.
//
// Used behind an rpc::Server by the daemon, and called directly by a process that
// embeds the coordinator.
#ifndef COORDINATOR_RPC_COORDINATOR_SERVICE_H_
#define COORDINATOR_RPC_COORDINATOR_SERVICE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "concordat_wire/CoordinatorService.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/xid.h"
#include "coordinator/raft/types.h"
#include "coordinator/registry/reply.h"
#include "coordinator/registry/request.h"
#include "coordinator/registry/view.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/view.h"

namespace concordat::rpc {

// What the service needs of a node. Loop thread only.
class CoordinatorBackend {
 public:
  using Done = absl::AnyInvocable<void(txn::Reply)>;
  using RegistryDone = absl::AnyInvocable<void(registry::Reply)>;
  virtual ~CoordinatorBackend() = default;

  virtual void Submit(txn::Request request, Done done) = 0;
  virtual void Submit(registry::Request request, RegistryDone done) = 0;
  // Whether this node leads and answers, rather than sending callers on.
  [[nodiscard]] virtual bool is_ready_leader() const = 0;

  // 0: not known yet.
  [[nodiscard]] virtual ClusterId cluster() const = 0;
  [[nodiscard]] virtual NodeId leader() const = 0;
  [[nodiscard]] virtual const Gtid& watermark() const = 0;

  struct NodeView {
    NodeId node;
    raft::Role role = raft::Role::kFollower;
    Term term;
    LogIndex last_index;
    LogIndex commit_index;
    LogIndex applied_index;
    txn::StatusView transactions;
    uint64_t state_hash = 0;  // equal on every node that has applied the same
    size_t undecided = 0;
    std::map<NodeId, LogIndex> match;  // on the leader
    // On the leader, what it does for each: raft::ProgressStateName, and whether the
    // node has lost its tail.
    std::map<NodeId, std::string> peer_states;
    bool lost_tail = false;  // this node's log, see raft::Raft::lost_tail
    int64_t uptime_ms = 0;
    bool disk_full = false;
  };
  // Counts all transactions: for operators, not for every call.
  [[nodiscard]] virtual NodeView View() const = 0;
  // Where clients reach the nodes.
  [[nodiscard]] virtual const std::map<NodeId, std::string>& client_addresses() const = 0;
  [[nodiscard]] virtual std::vector<registry::ResourceView> Resources() const = 0;
  // Up to `limit` of those that are not over, in the order of their ids, after `after`.
  [[nodiscard]] virtual std::vector<txn::TransactionView> List(const Gtid& after,
                                                               size_t limit) const = 0;
  [[nodiscard]] virtual txn::TransactionView Show(const Gtid& gtid) const = 0;
  [[nodiscard]] virtual std::vector<txn::HeuristicView> Heuristics(
      const BranchId& after, size_t limit) const = 0;
};

// How often participants repeat their registration.
inline constexpr Duration kHeartbeatInterval = Duration::Millis(1000);

class CoordinatorServiceHandler : public wire::CoordinatorServiceCobSvIf {
 public:
  template <class Reply>
  using Cob = std::function<void(const Reply&)>;

  explicit CoordinatorServiceHandler(CoordinatorBackend* backend) : backend_(backend) {}

  void hello(Cob<wire::HelloReply> cob, const wire::CallContext& context) override;
  void allocateGtids(Cob<wire::BeginReply> cob,
                     const wire::BeginRequest& request) override;
  void commit(Cob<wire::OutcomeReply> cob, const wire::CommitRequest& request) override;
  void rollback(Cob<wire::OutcomeReply> cob,
                const wire::RollbackRequest& request) override;
  void enlist(Cob<wire::Result> cob, const wire::EnlistRequest& request) override;
  void outcome(Cob<wire::OutcomeReply> cob, const wire::OutcomeRequest& request) override;
  void inquire(Cob<wire::InquiryReply> cob, const wire::InquiryRequest& request) override;
  void registerResources(Cob<wire::RegisterReply> cob,
                         const wire::RegisterRequest& request) override;
  void resolve(Cob<wire::ResolveReply> cob, const wire::ResolveRequest& request) override;
  void status(Cob<wire::StatusReply> cob, const wire::CallContext& context) override;
  void listTransactions(Cob<wire::ListTransactionsReply> cob,
                        const wire::ListTransactionsRequest& request) override;
  void showTransaction(Cob<wire::ShowTransactionReply> cob,
                       const wire::OutcomeRequest& request) override;
  void listHeuristics(Cob<wire::ListHeuristicsReply> cob,
                      const wire::ListHeuristicsRequest& request) override;
  void forgetHeuristic(Cob<wire::Result> cob,
                       const wire::ForgetHeuristicRequest& request) override;
  void retireResource(Cob<wire::Result> cob,
                      const wire::RetireResourceRequest& request) override;

 private:
  // OK, or why this caller cannot be served: another version or cluster.
  [[nodiscard]] wire::Result CheckContext(const wire::CallContext& context) const;
  // The same, for calls that only the leader answers: another version is the leader's to
  // refuse, other nodes send the caller on.
  [[nodiscard]] wire::Result CheckForLeader(const wire::CallContext& context) const;
  [[nodiscard]] std::string LeaderAddress() const;
  [[nodiscard]] std::vector<wire::ResourceInfo> ResourceInfos() const;
  void SubmitForOutcome(Cob<wire::OutcomeReply> cob, const Gtid& gtid,
                        txn::Request request);

  CoordinatorBackend* const backend_;
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_COORDINATOR_SERVICE_H_
