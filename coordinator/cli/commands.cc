#include "coordinator/cli/commands.h"

#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/base/xid.h"
#include "coordinator/cli/asking.h"
#include "coordinator/cli/printing.h"
#include "coordinator/client/link.h"
#include "thrift/wire/conversion.h"

namespace concordat::cli {

namespace {

// What needs attention at a node, and then for how long it has been up.
std::string StatusText(const wire::StatusReply& reply) {
  std::string text = reply.disk_full ? "DISK FULL " : "";
  if (reply.lost_tail) text += "LOST ITS TAIL ";
  for (const auto& [address, state] : reply.peer_states) {
    if (state != "replicating") text += absl::StrCat(address, ": ", state, "; ");
  }
  return absl::StrCat(text, "up ", AgeText(reply.uptime_ms));
}

std::vector<std::string> StatusRow(const std::string& address,
                                   const wire::StatusReply& reply) {
  if (reply.result.code != wire::Code::OK) {
    return {"-", address, "unreachable", "-", "-", "-", "-", reply.result.message};
  }
  return {absl::StrCat(reply.node),
          address,
          reply.role,
          absl::StrCat(reply.term),
          absl::StrCat(reply.last_index),
          absl::StrCat(reply.applied_index),
          absl::StrCat(reply.undecided, "/", reply.unended, "/", reply.remembered),
          StatusText(reply)};
}

void PrintResources(const wire::StatusReply& leader) {
  std::vector<std::vector<std::string>> rows = {
      {"resource", "kind", "address", "heartbeat"}};
  for (const wire::ResourceInfo& info : leader.resources) {
    std::string heartbeat = "none since the last election";
    if (info.__isset.alive) {
      const char* const state = !info.alive                ? "SILENT, "
                                : info.unavailable.empty() ? "alive, "
                                                           : "UNAVAILABLE, ";
      heartbeat = absl::StrCat(state, AgeText(info.heartbeat_age_ms), " ago");
    }
    rows.push_back({info.name, info.kind, info.address, heartbeat});
  }
  std::cout << "\n";
  PrintTable(rows, std::cout);
  PrintNotServed(leader.resources, std::cout);
}

// A reply that is only a result, in the form that ClusterNode needs.
struct PlainReply {
  wire::Result result;
};

void SayIfLocal(const Target& target) {
  if (target.local) std::cout << "As one node knows it, which may be old.\n\n";
}

// Adds the resources that did not fit into the status of the node at `address`.
void AskForMoreResources(Asker* asker, const std::string& address,
                         wire::StatusReply* status) {
  bool more = status->more_resources && !status->resources.empty();
  while (more) {
    wire::ResolveRequest request;
    request.context = MakeContext();
    request.__set_after(status->resources.back().name);
    const auto reply = asker->Ask<wire::ResolveReply>(
        address, [&request](client::CoordinatorLink* link,
                            std::function<void(const wire::ResolveReply&)> done) {
          link->resolve(std::move(done), request);
        });
    if (reply.result.code != wire::Code::OK) return;
    more = reply.more && !reply.resources.empty();
    status->resources.insert(status->resources.end(), reply.resources.begin(),
                             reply.resources.end());
  }
}

// What `concordat status` has found, and what needs attention.
struct Overview {
  size_t nodes = 0;
  size_t up = 0;
  std::optional<wire::StatusReply> leader;
  std::vector<std::string> worries;
};

void Add(const std::string& address, const wire::StatusReply& reply, Overview* all) {
  ++all->nodes;
  if (reply.result.code != wire::Code::OK) {
    return all->worries.push_back(absl::StrCat(address, " cannot be reached"));
  }
  ++all->up;
  if (reply.disk_full) {
    all->worries.push_back(absl::StrCat("the disk of node ", reply.node, " is full"));
  }
  if (reply.role == "leader") all->leader = reply;
}

void AddLeadersWorries(Overview* all) {
  if (!all->leader) {
    return all->worries.push_back("no node that was asked leads; transactions wait");
  }
  for (const wire::ResourceInfo& info : all->leader->resources) {
    if (!info.quarantined.empty()) {
      all->worries.push_back(absl::StrCat("resource ", info.name, " is not served"));
    } else if (info.__isset.alive && !info.alive) {
      all->worries.push_back(absl::StrCat("resource ", info.name, " is silent"));
    } else if (!info.unavailable.empty()) {
      all->worries.push_back(
          absl::StrCat("resource ", info.name, " is unavailable to its participant"));
    }
  }
  if (all->leader->heuristics > 0) {
    all->worries.push_back(absl::StrCat(
        all->leader->heuristics,
        " branches ended against, or without, the decision: concordat heuristic list"));
  }
}

void PrintOverview(const Overview& all) {
  std::cout << (all.worries.empty() ? "ok: " : "ATTENTION: ") << all.up << " of "
            << all.nodes << " nodes answer";
  if (all.leader) {
    std::cout << ", node " << all.leader->node << " leads, " << all.leader->undecided
              << " transactions undecided";
  }
  std::cout << "\n";
  for (const std::string& worry : all.worries) std::cout << "  " << worry << "\n";
  std::cout << "\n";
}

}  // namespace

int Status(const Target& target) {
  Asker asker(target);
  std::vector<std::vector<std::string>> rows = {
      {"node", "address", "role", "term", "last", "applied",
       "undecided/unended/remembered", "state"}};
  Overview all;
  for (const std::string& address : target.coordinators) {
    auto reply = asker.Ask<wire::StatusReply>(
        address, [](client::CoordinatorLink* link,
                    std::function<void(const wire::StatusReply&)> done) {
          link->status(std::move(done), MakeContext());
        });
    if (reply.role == "leader") AskForMoreResources(&asker, address, &reply);
    rows.push_back(StatusRow(address, reply));
    Add(address, reply, &all);
  }
  AddLeadersWorries(&all);
  PrintOverview(all);
  PrintTable(rows, std::cout);
  if (all.leader) PrintResources(*all.leader);
  if (all.up == 0) return kExitUnreachable;
  return all.worries.empty() ? kExitOk : kExitNegative;
}

int ListTransactions(const Target& target, int limit) {
  ClusterNode node(target);
  wire::ListTransactionsReply all;
  wire::ListTransactionsRequest request;
  request.context = MakeContext();
  do {
    request.limit = limit - static_cast<int>(all.transactions.size());
    const auto [reply, failed] = node.Ask<wire::ListTransactionsReply>(
        [&request](client::CoordinatorLink* link,
                   std::function<void(const wire::ListTransactionsReply&)> done) {
          link->listTransactions(std::move(done), request);
        });
    if (!reply) return failed;
    all.more = reply->more && !reply->transactions.empty();
    all.transactions.insert(all.transactions.end(), reply->transactions.begin(),
                            reply->transactions.end());
    if (all.more) request.__set_after(all.transactions.back().gtid);
  } while (all.more && all.transactions.size() < static_cast<size_t>(limit));
  SayIfLocal(target);
  std::vector<std::vector<std::string>> rows = {
      {"gtid", "state", "branches", "age", "waiting for"}};
  for (const wire::TransactionView& view : all.transactions) {
    rows.push_back({GtidText(view.gtid), view.state, absl::StrCat(view.branches.size()),
                    view.__isset.age_ms ? AgeText(view.age_ms) : "-", view.waiting_for});
  }
  PrintTable(rows, std::cout);
  if (all.more) std::cout << "… and more; --limit shows them\n";
  return kExitOk;
}

int ShowTransaction(const Target& target, const std::string& text) {
  const auto gtid = ParseGtid(text);
  if (!gtid.ok()) {
    std::cerr << "concordat: " << gtid.status().message()
              << "; a gtid looks like 1.7.2a\n";
    return kExitUsage;
  }
  wire::OutcomeRequest request;
  request.context = MakeContext();
  request.gtid = ToWire(*gtid);
  ClusterNode node(target);
  const auto [reply, failed] = node.Ask<wire::ShowTransactionReply>(
      [&request](client::CoordinatorLink* link,
                 std::function<void(const wire::ShowTransactionReply&)> done) {
        link->showTransaction(std::move(done), request);
      });
  if (!reply) return failed;
  SayIfLocal(target);
  PrintTransaction(reply->transaction, std::cout);
  const bool well =
      reply->transaction.state != "unknown" && reply->transaction.heuristics.empty();
  return well ? kExitOk : kExitNegative;
}

int ListHeuristics(const Target& target) {
  ClusterNode node(target);
  std::vector<wire::HeuristicBranch> all;
  wire::ListHeuristicsRequest request;
  request.context = MakeContext();
  bool more = true;
  while (more) {
    const auto [reply, failed] = node.Ask<wire::ListHeuristicsReply>(
        [&request](client::CoordinatorLink* link,
                   std::function<void(const wire::ListHeuristicsReply&)> done) {
          link->listHeuristics(std::move(done), request);
        });
    if (!reply) return failed;
    more = reply->more && !reply->branches.empty();
    all.insert(all.end(), reply->branches.begin(), reply->branches.end());
    if (more) request.__set_after(all.back().branch);
  }
  SayIfLocal(target);
  std::vector<std::vector<std::string>> rows = {{"branch", "what", "detail"}};
  for (const wire::HeuristicBranch& one : all) {
    rows.push_back({BranchText(one.branch), one.what, one.detail});
  }
  PrintTable(rows, std::cout);
  return all.empty() ? kExitOk : kExitNegative;
}

int ForgetHeuristic(const Target& target, const std::string& text,
                    const std::string& by) {
  const auto branch = ParseBranchId(text);
  if (!branch.ok()) {
    std::cerr << "concordat: " << branch.status().message()
              << "; \"concordat heuristic list\" prints them\n";
    return kExitUsage;
  }
  wire::ForgetHeuristicRequest request;
  request.context = MakeContext();
  request.branch = ToWire(*branch);
  request.by = by;
  ClusterNode node(target);
  const auto [forgotten, failed] =
      node.Ask<PlainReply>([&request](client::CoordinatorLink* link,
                                      std::function<void(const PlainReply&)> done) {
        link->forgetHeuristic(
            [done = std::move(done)](const wire::Result& result) { done({result}); },
            request);
      });
  if (!forgotten) return failed;
  std::cout << "forgotten\n";
  return kExitOk;
}

int RetireResource(const Target& target, const std::string& name, const std::string& by) {
  wire::RetireResourceRequest request;
  request.context = MakeContext();
  request.name = name;
  request.by = by;
  ClusterNode node(target);
  const auto [retired, failed] =
      node.Ask<PlainReply>([&request](client::CoordinatorLink* link,
                                      std::function<void(const PlainReply&)> done) {
        link->retireResource(
            [done = std::move(done)](const wire::Result& result) { done({result}); },
            request);
      });
  if (!retired) return failed;
  std::cout << "retired\n";
  return kExitOk;
}

}  // namespace concordat::cli
