#include "coordinator/cli/commands.h"

#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/cli/printing.h"
#include "coordinator/client/link.h"
#include "coordinator/client/wire_names.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::cli {

namespace {

// Asks one node after the other, on a loop that lives for one call.
class Asker {
 public:
  explicit Asker(const Target& target) : timeout_(Duration::Millis(target.timeout_ms)) {}

  // The reply of the node at `address`, whatever its result says.
  template <class Reply>
  Reply Ask(const std::string& address,
            const std::function<void(client::CoordinatorLink*,
                                     std::function<void(const Reply&)>)>& call) {
    Reply reply;
    auto loop = rpc::EventLoop::Create();
    if (!loop.ok()) return reply;
    {
      client::ChannelLinkProvider links(loop->get(), timeout_, SystemRandom64());
      client::CoordinatorLink* link = links.Coordinator(address);
      if (link == nullptr) {
        reply.result.code = wire::Code::UNKNOWN;
        reply.result.__set_message(absl::StrCat("'", address, "' is no address"));
        return reply;
      }
      call(link, [&](const Reply& answer) {
        reply = answer;
        (*loop)->Stop();
      });
      (*loop)->Run();
    }
    return reply;
  }

 private:
  const Duration timeout_;
};

std::vector<std::string> StatusRow(const std::string& address,
                                   const wire::StatusReply& reply) {
  if (reply.result.code != wire::Code::OK) {
    return {"-", address, "unreachable", "-", "-", "-", "-", reply.result.message};
  }
  return {
      absl::StrCat(reply.node),
      address,
      reply.role,
      absl::StrCat(reply.term),
      absl::StrCat(reply.last_index),
      absl::StrCat(reply.applied_index),
      absl::StrCat(reply.undecided, "/", reply.unended, "/", reply.remembered),
      absl::StrCat(reply.disk_full ? "DISK FULL " : "", "up ", AgeText(reply.uptime_ms))};
}

void PrintResources(const wire::StatusReply& leader) {
  std::vector<std::vector<std::string>> rows = {
      {"resource", "kind", "address", "heartbeat"}};
  for (const wire::ResourceInfo& info : leader.resources) {
    std::string heartbeat = "none since this leader began";
    if (info.__isset.alive) {
      heartbeat = absl::StrCat(info.alive ? "alive, " : "SILENT, ",
                               AgeText(info.heartbeat_age_ms), " ago");
    }
    rows.push_back({info.name, info.kind, info.address, heartbeat});
  }
  std::cout << "\n";
  PrintTable(rows, std::cout);
  PrintQuarantined(leader.resources, std::cout);
}

int Unreachable(const std::string& last) {
  std::cerr << "concordat: no coordinator node answered; the last one said: " << last
            << "\n";
  return kExitUnreachable;
}

// The leader's address, from the nodes that answer; empty when none leads.
std::optional<std::string> FindLeader(Asker* asker, const Target& target,
                                      std::string* why) {
  for (const std::string& address : target.coordinators) {
    const auto hello = asker->Ask<wire::HelloReply>(
        address, [](client::CoordinatorLink* link,
                    std::function<void(const wire::HelloReply&)> done) {
          link->hello(std::move(done), client::MakeContext());
        });
    if (hello.result.code == wire::Code::OK && !hello.leader.empty()) return hello.leader;
    *why = hello.result.code == wire::Code::OK ? "the cluster has no leader now"
                                               : hello.result.message;
  }
  return std::nullopt;
}

// Asks the node that leads. Without an answer that is OK: says why, and gives nothing.
template <class Reply>
std::optional<Reply> AskLeader(
    const Target& target,
    const std::function<void(client::CoordinatorLink*,
                             std::function<void(const Reply&)>)>& call) {
  Asker asker(target);
  std::string why;
  const auto leader = FindLeader(&asker, target, &why);
  if (leader) {
    Reply reply = asker.Ask<Reply>(*leader, call);
    if (reply.result.code == wire::Code::OK) return reply;
    why = reply.result.message;
  }
  Unreachable(why);
  return std::nullopt;
}

}  // namespace

int Status(const Target& target) {
  Asker asker(target);
  std::vector<std::vector<std::string>> rows = {{"node", "address", "role", "term",
                                                 "last", "applied",
                                                 "undecided/unended/remembered", ""}};
  std::optional<wire::StatusReply> leader;
  bool answered = false;
  std::string last_error;
  for (const std::string& address : target.coordinators) {
    const auto reply = asker.Ask<wire::StatusReply>(
        address, [](client::CoordinatorLink* link,
                    std::function<void(const wire::StatusReply&)> done) {
          link->status(std::move(done), client::MakeContext());
        });
    rows.push_back(StatusRow(address, reply));
    if (reply.result.code != wire::Code::OK) {
      last_error = reply.result.message;
      continue;
    }
    answered = true;
    if (reply.role == "leader") leader = reply;
  }
  if (!answered) return Unreachable(last_error);
  PrintTable(rows, std::cout);
  if (!leader) {
    std::cout << "\nNo node that was asked leads; transactions wait.\n";
    return kExitNegative;
  }
  PrintResources(*leader);
  return kExitOk;
}

int ListTransactions(const Target& target, int limit) {
  wire::ListTransactionsRequest request;
  request.context = client::MakeContext();
  request.limit = limit;
  const auto reply = AskLeader<wire::ListTransactionsReply>(
      target, [&request](client::CoordinatorLink* link,
                         std::function<void(const wire::ListTransactionsReply&)> done) {
        link->listTransactions(std::move(done), request);
      });
  if (!reply) return kExitUnreachable;
  std::vector<std::vector<std::string>> rows = {
      {"gtid", "state", "branches", "age", "waiting for"}};
  for (const wire::TransactionView& view : reply->transactions) {
    rows.push_back({GtidText(view.gtid), view.state, absl::StrCat(view.branches.size()),
                    view.__isset.age_ms ? AgeText(view.age_ms) : "-", view.waiting_for});
  }
  PrintTable(rows, std::cout);
  if (reply->more) std::cout << "… and more; --limit shows them\n";
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
  request.context = client::MakeContext();
  request.gtid = client::ToWire(*gtid);
  const auto reply = AskLeader<wire::ShowTransactionReply>(
      target, [&request](client::CoordinatorLink* link,
                         std::function<void(const wire::ShowTransactionReply&)> done) {
        link->showTransaction(std::move(done), request);
      });
  if (!reply) return kExitUnreachable;
  PrintTransaction(reply->transaction, std::cout);
  return reply->transaction.state == "unknown" ? kExitNegative : kExitOk;
}

int ListHeuristics(const Target& target) {
  const auto reply = AskLeader<wire::ListHeuristicsReply>(
      target, [](client::CoordinatorLink* link,
                 std::function<void(const wire::ListHeuristicsReply&)> done) {
        link->listHeuristics(std::move(done), client::MakeContext());
      });
  if (!reply) return kExitUnreachable;
  std::vector<std::vector<std::string>> rows = {{"branch", "what", "detail"}};
  for (const wire::HeuristicBranch& one : reply->branches) {
    rows.push_back({BranchText(one.branch), one.what, one.detail});
  }
  PrintTable(rows, std::cout);
  return reply->branches.empty() ? kExitOk : kExitNegative;
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
  request.context = client::MakeContext();
  request.branch = client::ToWire(*branch);
  request.by = by;
  // In the shape that AskLeader wants.
  struct Forgotten {
    wire::Result result;
  };
  const auto forgotten = AskLeader<Forgotten>(
      target, [&request](client::CoordinatorLink* link,
                         std::function<void(const Forgotten&)> done) {
        link->forgetHeuristic(
            [done = std::move(done)](const wire::Result& result) { done({result}); },
            request);
      });
  if (!forgotten) return kExitUnreachable;
  std::cout << "forgotten\n";
  return kExitOk;
}

}  // namespace concordat::cli
