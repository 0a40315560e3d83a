// The coordinator's Thrift service: makes a request to the node from each call, and the
// answer from the node's reply. It decides nothing itself.
//
// The daemon serves it by an rpc::Server; a process that embeds the coordinator calls it
// directly.
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
#include "coordinator/rpc/member_requests.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/view.h"

namespace concordat::rpc {

// What the service needs from a node. For the loop's thread.
class CoordinatorBackend {
 public:
  using Done = absl::AnyInvocable<void(txn::Reply)>;
  using RegistryDone = absl::AnyInvocable<void(registry::Reply)>;
  virtual ~CoordinatorBackend() = default;

  virtual void Submit(txn::Request request, Done done) = 0;
  virtual void Submit(registry::Request request, RegistryDone done) = 0;
  using MemberDone = absl::AnyInvocable<void(MemberReply)>;
  virtual void Submit(const MemberRequest& request, MemberDone done) = 0;
  // Whether this node leads and answers requests. Others name the leader to the caller.
  [[nodiscard]] virtual bool is_ready_leader() const = 0;

  // This node.
  [[nodiscard]] virtual NodeId node() const = 0;
  // 0: not known yet.
  [[nodiscard]] virtual ClusterId cluster() const = 0;
  // 0: not known.
  [[nodiscard]] virtual NodeId leader() const = 0;
  [[nodiscard]] virtual const Gtid& watermark() const = 0;

  struct NodeView {
    NodeId node;
    raft::Role role = raft::Role::kFollower;
    Term term;
    LogIndex last_index;  // of its log
    LogIndex commit_index;
    LogIndex applied_index;
    txn::StatusView transactions;  // counts of transactions
    uint64_t state_hash = 0;       // equal on every node that has applied the same
    size_t undecided = 0;          // transactions
    // Only at the leader: raft::Progress::match of each follower.
    std::map<NodeId, LogIndex> match;
    // Only at the leader: raft::ProgressStateName of each follower, or that it has lost
    // the tail of its log.
    std::map<NodeId, std::string> peer_states;
    bool lost_tail = false;  // of this node's log: see raft::Raft::lost_tail
    int64_t uptime_ms = 0;   // since the start of the process
    bool disk_full = false;  // it has no room for new work
  };
  // Counts all transactions, so it is only for operators' requests.
  [[nodiscard]] virtual NodeView View() const = 0;
  [[nodiscard]] virtual MembersView Members() const = 0;
  // The addresses of the members for clients.
  [[nodiscard]] virtual const std::map<NodeId, std::string>& client_addresses() const = 0;
  [[nodiscard]] virtual std::vector<registry::ResourceView> Resources() const = 0;
  // Up to `limit` transactions that are not over, with ids after `after` and in the order
  // of their ids.
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
  // member_calls.cc
  void members(Cob<wire::MembersReply> cob, const wire::CallContext& context) override;
  void changeMember(Cob<wire::ChangeMemberReply> cob,
                    const wire::ChangeMemberRequest& request) override;

 private:
  // OK, or why this caller cannot be served: it has another version or cluster.
  [[nodiscard]] wire::Result CheckContext(const wire::CallContext& context) const;
  // The same for calls that only the leader answers: the leader refuses another version,
  // other nodes only name the leader.
  [[nodiscard]] wire::Result CheckForLeader(const wire::CallContext& context) const;
  [[nodiscard]] std::string LeaderAddress() const;
  [[nodiscard]] std::vector<std::string> NodeAddresses() const;
  [[nodiscard]] std::vector<wire::ResourceInfo> ResourceInfos() const;
  void SubmitForOutcome(Cob<wire::OutcomeReply> cob, const Gtid& gtid,
                        txn::Request request);

  CoordinatorBackend* const backend_;
};

}  // namespace concordat::rpc

#endif  // COORDINATOR_RPC_COORDINATOR_SERVICE_H_
