#include "coordinator/rpc/coordinator_service.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/types_constants.h"
#include "coordinator/base/signed.h"
#include "coordinator/rpc/page.h"
#include "coordinator/rpc/txn_wire.h"

namespace concordat::rpc {

namespace {

using wire::Code;

constexpr size_t kMaxInquiries = 4096;
constexpr size_t kMaxPage = 10'000;

// The limit that the caller asks for, at most kMaxPage; kMaxPage if it is less than 1.
size_t LimitOf(int32_t asked) {
  return asked < 1 ? kMaxPage : std::min(static_cast<size_t>(asked), kMaxPage);
}

template <class Reply>
Reply Failed(wire::Result result) {
  Reply reply;
  reply.result = std::move(result);
  return reply;
}

wire::Result Invalid(const absl::Status& status) {
  return MakeResult(Code::INVALID, std::string(status.message()));
}

// How long the caller waits. 0: it does not say. CheckContext has checked the value.
Duration AnswerWithin(const wire::CallContext& context) {
  return context.__isset.deadline_ms ? Duration::Millis(context.deadline_ms) : Duration();
}

// OK, or which number of the request is wrong.
wire::Result CheckNumbers(const wire::CommitRequest& request) {
  if (request.timeout_ms <= 0) {
    return MakeResult(Code::INVALID, absl::StrCat("timeout_ms is ", request.timeout_ms,
                                                  ", it must be positive"));
  }
  return MakeResult(Code::OK);
}

// Collects the answers to several requests of one call. When the last one is there, all
// are sent.
template <class Item>
struct Gather {
  std::vector<Item> items;
  size_t missing = 0;
};

}  // namespace

wire::Result CoordinatorServiceHandler::CheckContext(
    const wire::CallContext& context) const {
  if (context.version > wire::g_types_constants.PROTOCOL_VERSION) {
    wire::Result other =
        MakeResult(Code::VERSION, absl::StrCat("protocol version ", context.version,
                                               " is newer than this node's, which is ",
                                               wire::g_types_constants.PROTOCOL_VERSION));
    if (const std::string leader = LeaderAddress(); !leader.empty()) {
      other.__set_leader_hint(leader);
    }
    return other;
  }
  if (context.__isset.deadline_ms && context.deadline_ms <= 0) {
    return MakeResult(Code::INVALID, absl::StrCat("deadline_ms is ", context.deadline_ms,
                                                  ", it must be positive"));
  }
  const int64_t cluster = Signed(backend_->cluster());
  // A node that does not know its cluster yet does not lead, and answers so.
  if (context.cluster != 0 && cluster != 0 && context.cluster != cluster) {
    return MakeResult(Code::INVALID,
                      absl::StrCat("this node belongs to cluster ", absl::Hex(cluster),
                                   ", the caller expects ", absl::Hex(context.cluster)));
  }
  return MakeResult(Code::OK);
}

wire::Result CoordinatorServiceHandler::CheckForLeader(
    const wire::CallContext& context) const {
  const wire::Result checked = CheckContext(context);
  if (checked.code != Code::VERSION || backend_->is_ready_leader()) return checked;
  return ToResult(txn::Reply(txn::NotLeaderReply{}), LeaderAddress());
}

std::string CoordinatorServiceHandler::LeaderAddress() const {
  const auto& addresses = backend_->client_addresses();
  const auto found = addresses.find(backend_->leader());
  return found == addresses.end() ? std::string() : found->second;
}

std::vector<std::string> CoordinatorServiceHandler::NodeAddresses() const {
  std::vector<std::string> nodes;
  for (const auto& [node, address] : backend_->client_addresses()) {
    nodes.push_back(address);
  }
  return nodes;
}

void CoordinatorServiceHandler::hello(Cob<wire::HelloReply> cob,
                                      const wire::CallContext& context) {
  const auto view = backend_->View();
  wire::HelloReply reply;
  reply.result = CheckContext(context);
  reply.version = wire::g_types_constants.PROTOCOL_VERSION;
  reply.cluster = Signed(backend_->cluster());
  if (reply.result.code == Code::OK && reply.cluster == 0) {
    reply.result = MakeResult(Code::NOT_LEADER,
                              "this node has not heard from its cluster yet, whose id is "
                              "drawn by its first leader");
  }
  reply.node = Signed(view.node);
  if (const std::string leader = LeaderAddress(); !leader.empty()) {
    reply.__set_leader(leader);
  }
  reply.__set_nodes(NodeAddresses());
  cob(reply);
}

void CoordinatorServiceHandler::allocateGtids(Cob<wire::BeginReply> cob,
                                              const wire::BeginRequest& request) {
  wire::Result checked = CheckForLeader(request.context);
  if (checked.code == Code::OK && request.count < 1) {
    checked = MakeResult(Code::INVALID, "at least one gtid must be asked for");
  }
  if (checked.code != Code::OK) return cob(Failed<wire::BeginReply>(checked));
  txn::AllocateGtidsRequest allocate{static_cast<uint32_t>(request.count)};
  backend_->Submit(allocate, [this, cob = std::move(cob)](txn::Reply result) {
    wire::BeginReply reply;
    reply.result = ToResult(result, LeaderAddress());
    if (const auto* block = std::get_if<txn::GtidBlockReply>(&result)) {
      reply.__set_first(ToWire(block->first));
      reply.__set_count(static_cast<int32_t>(block->count));
      reply.__set_valid_ms(static_cast<int32_t>(block->use_within_ms));
      reply.__set_nodes(NodeAddresses());
    }
    cob(reply);
  });
}

void CoordinatorServiceHandler::SubmitForOutcome(Cob<wire::OutcomeReply> cob,
                                                 const Gtid& gtid, txn::Request request) {
  backend_->Submit(std::move(request),
                   [this, gtid, cob = std::move(cob)](txn::Reply reply) {
                     cob(ToOutcome(reply, gtid, LeaderAddress()));
                   });
}

void CoordinatorServiceHandler::commit(Cob<wire::OutcomeReply> cob,
                                       const wire::CommitRequest& request) {
  wire::Result checked = CheckForLeader(request.context);
  if (checked.code == Code::OK) checked = CheckNumbers(request);
  if (checked.code != Code::OK) return cob(Failed<wire::OutcomeReply>(checked));
  const auto gtid = FromWire(request.gtid);
  if (!gtid.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(gtid.status())));
  auto branches = FromWire(request.branches);
  if (!branches.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(branches.status())));
  const auto mode = FromWire(request.mode);
  if (!mode.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(mode.status())));
  txn::CommitRequest commit;
  commit.gtid = *gtid;
  commit.branches = std::move(*branches);
  commit.mode = *mode;
  commit.timeout = Duration::Millis(request.timeout_ms);
  commit.answer_within = AnswerWithin(request.context);
  // A negative position becomes one that is too large, which the core refuses.
  for (const int32_t position : request.prepared) {
    commit.prepared.push_back(static_cast<uint32_t>(position));
  }
  SubmitForOutcome(std::move(cob), commit.gtid, std::move(commit));
}

void CoordinatorServiceHandler::rollback(Cob<wire::OutcomeReply> cob,
                                         const wire::RollbackRequest& request) {
  const wire::Result checked = CheckForLeader(request.context);
  if (checked.code != Code::OK) return cob(Failed<wire::OutcomeReply>(checked));
  const auto gtid = FromWire(request.gtid);
  if (!gtid.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(gtid.status())));
  auto branches = FromWire(request.branches);
  if (!branches.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(branches.status())));
  txn::RollbackRequest rollback;
  rollback.gtid = *gtid;
  rollback.branches = std::move(*branches);
  rollback.reason = request.reason;
  rollback.answer_within = AnswerWithin(request.context);
  SubmitForOutcome(std::move(cob), rollback.gtid, std::move(rollback));
}

void CoordinatorServiceHandler::enlist(Cob<wire::Result> cob,
                                       const wire::EnlistRequest& request) {
  const wire::Result checked = CheckForLeader(request.context);
  if (checked.code != Code::OK) return cob(checked);
  auto branch = FromWire(request.branch);
  if (!branch.ok()) return cob(Invalid(branch.status()));
  backend_->Submit(txn::EnlistRequest{std::move(*branch), AnswerWithin(request.context)},
                   [this, cob = std::move(cob)](txn::Reply reply) {
                     cob(ToResult(reply, LeaderAddress()));
                   });
}

void CoordinatorServiceHandler::outcome(Cob<wire::OutcomeReply> cob,
                                        const wire::OutcomeRequest& request) {
  const wire::Result checked = CheckForLeader(request.context);
  if (checked.code != Code::OK) return cob(Failed<wire::OutcomeReply>(checked));
  const auto gtid = FromWire(request.gtid);
  if (!gtid.ok()) return cob(Failed<wire::OutcomeReply>(Invalid(gtid.status())));
  txn::OutcomeRequest outcome{*gtid};
  outcome.answer_within = AnswerWithin(request.context);
  SubmitForOutcome(std::move(cob), *gtid, std::move(outcome));
}

void CoordinatorServiceHandler::inquire(Cob<wire::InquiryReply> cob,
                                        const wire::InquiryRequest& request) {
  wire::Result checked = CheckForLeader(request.context);
  auto branches = FromWire(request.branches);
  if (checked.code == Code::OK && !branches.ok()) checked = Invalid(branches.status());
  if (checked.code == Code::OK && request.branches.size() > kMaxInquiries) {
    checked = MakeResult(Code::INVALID, "too many branches in one inquiry");
  }
  if (checked.code != Code::OK) return cob(Failed<wire::InquiryReply>(checked));
  wire::InquiryReply reply;
  reply.result = checked;
  reply.__isset.items = true;
  if (branches->empty()) return cob(reply);
  auto gather = std::make_shared<Gather<wire::InquiryItem>>();
  gather->items.resize(branches->size());
  gather->missing = branches->size();
  auto shared_cob = std::make_shared<Cob<wire::InquiryReply>>(std::move(cob));
  for (size_t i = 0; i < branches->size(); ++i) {
    backend_->Submit(txn::InquireRequest{(*branches)[i]},
                     [this, gather, shared_cob, i](txn::Reply result) {
                       wire::InquiryItem& item = gather->items[i];
                       item.result = ToResult(result, LeaderAddress());
                       if (const auto* told = std::get_if<txn::InquiryReply>(&result)) {
                         item.__set_answer(ToWire(told->answer));
                       }
                       if (--gather->missing > 0) return;
                       wire::InquiryReply all;
                       all.result = MakeResult(Code::OK);
                       all.__set_items(gather->items);
                       // All items have the same reason, so it is the call's result.
                       if (item.result.code == Code::NOT_LEADER) all.result = item.result;
                       (*shared_cob)(all);
                     });
  }
}

void CoordinatorServiceHandler::registerResources(Cob<wire::RegisterReply> cob,
                                                  const wire::RegisterRequest& request) {
  wire::Result checked = CheckForLeader(request.context);
  if (checked.code == Code::OK && request.resources.empty()) {
    checked = MakeResult(Code::INVALID, "no resources to register");
  }
  if (checked.code != Code::OK) return cob(Failed<wire::RegisterReply>(checked));
  auto gather = std::make_shared<Gather<wire::Result>>();
  gather->missing = request.resources.size();
  auto shared_cob = std::make_shared<Cob<wire::RegisterReply>>(std::move(cob));
  const ClusterId cluster = backend_->cluster();
  for (const wire::ResourceInfo& info : request.resources) {
    registry::RegisterResourceRequest one{
        {info.name, info.address, info.kind, Incarnation(Unsigned(info.incarnation)),
         cluster, info.store, info.__isset.replace_store && info.replace_store,
         info.__isset.generation ? Unsigned(info.generation) : 0},
        info.quarantined,
        info.unavailable};
    backend_->Submit(std::move(one), [this, gather, shared_cob](registry::Reply result) {
      const wire::Result one_result = ToResult(result, LeaderAddress());
      if (one_result.code != Code::OK) gather->items.push_back(one_result);
      if (--gather->missing > 0) return;
      wire::RegisterReply reply;
      reply.result = gather->items.empty() ? MakeResult(Code::OK) : gather->items.front();
      reply.__set_heartbeat_ms(static_cast<int32_t>(kHeartbeatInterval.millis()));
      reply.__set_nodes(NodeAddresses());
      reply.__set_cluster(Signed(backend_->cluster()));
      if (!backend_->watermark().term.is_none()) {
        reply.__set_watermarks({ToWire(backend_->watermark())});
      }
      (*shared_cob)(reply);
    });
  }
}

std::vector<wire::ResourceInfo> CoordinatorServiceHandler::ResourceInfos() const {
  std::vector<wire::ResourceInfo> infos;
  for (const registry::ResourceView& view : backend_->Resources()) {
    wire::ResourceInfo info;
    info.name = view.resource.name;
    info.address = view.resource.address;
    info.kind = view.resource.kind;
    info.incarnation = Signed(view.resource.incarnation);
    if (!view.resource.store.empty()) info.__set_store(view.resource.store);
    if (view.resource.generation > 0)
      info.__set_generation(Signed(view.resource.generation));
    if (!view.refused.empty()) {
      info.__set_quarantined(view.refused);
      info.__set_quarantined_age_ms(view.refused_ago.millis());
    }
    if (!view.unavailable.empty()) info.__set_unavailable(view.unavailable);
    if (view.last_seen) {
      info.__set_alive(!view.silent);
      info.__set_heartbeat_age_ms(view.last_seen->millis());
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

void CoordinatorServiceHandler::resolve(Cob<wire::ResolveReply> cob,
                                        const wire::ResolveRequest& request) {
  wire::ResolveReply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code != Code::OK) return cob(reply);
  std::vector<wire::ResourceInfo> infos = ResourceInfos();
  if (!request.names.empty()) {
    std::erase_if(infos, [&request](const wire::ResourceInfo& info) {
      return std::find(request.names.begin(), request.names.end(), info.name) ==
             request.names.end();
    });
  }
  std::erase_if(infos, [&request](const wire::ResourceInfo& info) {
    return request.__isset.after && info.name <= request.after;
  });
  Page page;
  reply.__set_more(page.Truncate(&infos, kMaxPage));
  reply.__set_resources(infos);
  cob(reply);
}

void CoordinatorServiceHandler::status(Cob<wire::StatusReply> cob,
                                       const wire::CallContext& context) {
  wire::StatusReply reply;
  reply.result = CheckContext(context);
  const auto view = backend_->View();
  reply.__set_cluster(Signed(backend_->cluster()));
  reply.__set_node(Signed(view.node));
  reply.__set_version(wire::g_types_constants.PROTOCOL_VERSION);
  reply.__set_role(std::string(raft::RoleName(view.role)));
  reply.__set_term(Signed(view.term));
  reply.__set_leader(Signed(backend_->leader()));
  reply.__set_last_index(Signed(view.last_index));
  reply.__set_commit_index(Signed(view.commit_index));
  reply.__set_applied_index(Signed(view.applied_index));
  reply.__set_undecided(Signed(view.undecided));
  reply.__set_unended(Signed(view.transactions.live - view.undecided));
  reply.__set_remembered(Signed(view.transactions.retained));
  if (!backend_->watermark().term.is_none()) {
    reply.__set_watermark(ToWire(backend_->watermark()));
  }
  std::vector<wire::ResourceInfo> resources = ResourceInfos();
  Page page;
  reply.__set_more_resources(page.Truncate(&resources, kMaxPage));
  reply.__set_resources(resources);
  std::map<std::string, int64_t> peers;
  for (const auto& [node, match] : view.match) {
    const auto address = backend_->client_addresses().find(node);
    if (address == backend_->client_addresses().end()) continue;
    peers[address->second] = Signed(match);
    const auto state = view.peer_states.find(node);
    if (state != view.peer_states.end())
      reply.peer_states[address->second] = state->second;
  }
  reply.__set_peers(peers);
  reply.__isset.peer_states = true;
  reply.__set_lost_tail(view.lost_tail);
  reply.__set_state_hash(Signed(view.state_hash));
  reply.__set_uptime_ms(view.uptime_ms);
  reply.__set_disk_full(view.disk_full);
  reply.__set_heuristics(Signed(view.transactions.heuristics));
  cob(reply);
}

void CoordinatorServiceHandler::listTransactions(
    Cob<wire::ListTransactionsReply> cob, const wire::ListTransactionsRequest& request) {
  wire::ListTransactionsReply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code != Code::OK) return cob(reply);
  absl::StatusOr<Gtid> after = Gtid{};
  if (request.__isset.after) after = FromWire(request.after);
  if (!after.ok()) {
    return cob(Failed<wire::ListTransactionsReply>(Invalid(after.status())));
  }
  const size_t limit = LimitOf(request.limit);
  std::vector<wire::TransactionView> transactions;
  for (const txn::TransactionView& view : backend_->List(*after, limit + 1)) {
    transactions.push_back(ToWire(view));
  }
  Page page;
  reply.__set_more(page.Truncate(&transactions, limit));
  reply.__set_transactions(transactions);
  cob(reply);
}

void CoordinatorServiceHandler::showTransaction(Cob<wire::ShowTransactionReply> cob,
                                                const wire::OutcomeRequest& request) {
  wire::ShowTransactionReply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code != Code::OK) return cob(reply);
  const auto gtid = FromWire(request.gtid);
  if (!gtid.ok()) return cob(Failed<wire::ShowTransactionReply>(Invalid(gtid.status())));
  reply.__set_transaction(ToWire(backend_->Show(*gtid)));
  cob(reply);
}

void CoordinatorServiceHandler::listHeuristics(
    Cob<wire::ListHeuristicsReply> cob, const wire::ListHeuristicsRequest& request) {
  wire::ListHeuristicsReply reply;
  reply.result = CheckContext(request.context);
  if (reply.result.code != Code::OK) return cob(reply);
  absl::StatusOr<BranchId> after = BranchId{};
  if (request.__isset.after) after = FromWire(request.after);
  if (!after.ok()) {
    return cob(Failed<wire::ListHeuristicsReply>(Invalid(after.status())));
  }
  const size_t limit = LimitOf(request.limit);
  std::vector<wire::HeuristicBranch> branches;
  for (const txn::HeuristicView& view : backend_->Heuristics(*after, limit + 1)) {
    wire::HeuristicBranch& one = branches.emplace_back();
    one.branch = ToWire(view.branch);
    one.what = std::string(ToString(view.what));
    one.__set_detail(view.detail);
  }
  Page page;
  reply.__set_more(page.Truncate(&branches, limit));
  reply.__set_branches(branches);
  cob(reply);
}

void CoordinatorServiceHandler::forgetHeuristic(
    Cob<wire::Result> cob, const wire::ForgetHeuristicRequest& request) {
  const wire::Result checked = CheckForLeader(request.context);
  if (checked.code != Code::OK) return cob(checked);
  auto branch = FromWire(request.branch);
  if (!branch.ok()) return cob(Invalid(branch.status()));
  backend_->Submit(txn::ForgetHeuristicRequest{std::move(*branch), request.by},
                   [this, cob = std::move(cob)](txn::Reply reply) {
                     cob(ToResult(reply, LeaderAddress()));
                   });
}

void CoordinatorServiceHandler::retireResource(
    Cob<wire::Result> cob, const wire::RetireResourceRequest& request) {
  const wire::Result checked = CheckForLeader(request.context);
  if (checked.code != Code::OK) return cob(checked);
  backend_->Submit(registry::RetireResourceRequest{request.name, request.by},
                   [this, cob = std::move(cob)](const registry::Reply& reply) {
                     cob(ToResult(reply, LeaderAddress()));
                   });
}

}  // namespace concordat::rpc
