#include "coordinator/cli/members.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "absl/strings/str_join.h"
#include "coordinator/cli/asking.h"
#include "coordinator/cli/printing.h"
#include "thrift/wire/conversion.h"

namespace concordat::cli {

namespace {

constexpr int kLeastPatienceMs = 10'000;
constexpr int kPauseMs = 100;

const char* RoleText(wire::MemberRole::type role) {
  return role == wire::MemberRole::VOTER ? "voter" : "learner";
}

std::string StateText(const wire::MemberInfo& member, const wire::MembersReply& all) {
  if (member.node == all.leader) return "leader";
  if (!member.__isset.live) return "-";
  if (!member.live) return "SILENT";
  const bool learner = member.role == wire::MemberRole::LEARNER;
  return learner ? (member.caught_up ? "live, caught up" : "live, catching up") : "live";
}

void PrintMembers(const wire::MembersReply& all) {
  std::vector<std::vector<std::string>> rows = {
      {"node", "role", "peers", "clients", "log", "has", "state"}};
  for (const wire::MemberInfo& member : all.members) {
    rows.push_back({absl::StrCat(member.node), RoleText(member.role), member.peer_address,
                    member.client_address,
                    member.__isset.log ? absl::StrCat(absl::Hex(member.log)) : "unknown",
                    member.__isset.match_index ? absl::StrCat(member.match_index) : "-",
                    StateText(member, all)});
  }
  PrintTable(rows, std::cout);
  std::cout << "\nby entry " << all.index
            << (all.committed ? "" : ", which is not committed yet")
            << (all.last_change.empty() ? "" : ": ") << all.last_change << "\n";
  if (all.removed.empty()) return;
  std::cout << "removed, never to be used again: " << absl::StrJoin(all.removed, ", ")
            << "\n";
}

bool SameMembers(const wire::MembersReply& a, const wire::MembersReply& b) {
  const auto same = [](const wire::MemberInfo& x, const wire::MemberInfo& y) {
    return x.node == y.node && x.role == y.role && x.log == y.log &&
           x.peer_address == y.peer_address && x.client_address == y.client_address;
  };
  return std::equal(a.members.begin(), a.members.end(), b.members.begin(),
                    b.members.end(), same);
}

wire::MembersReply AskMembers(Asker* asker, const std::string& address) {
  return asker->Ask<wire::MembersReply>(
      address, [](client::CoordinatorLink* link,
                  std::function<void(const wire::MembersReply&)> done) {
        link->members(std::move(done), MakeContext());
      });
}

// Whether every member says the same; who does not is printed.
bool CompareNodes(const Target& target, const wire::MembersReply& leader) {
  Asker asker(target);
  bool equal = true;
  for (const wire::MemberInfo& member : leader.members) {
    if (member.node == leader.node) continue;
    const auto reply = AskMembers(&asker, member.client_address);
    if (reply.result.code != wire::Code::OK) {
      equal = false;
      std::cout << "node " << member.node << " does not answer at "
                << member.client_address << ": " << reply.result.message << "\n";
    } else if (reply.index == leader.index && !SameMembers(reply, leader)) {
      equal = false;
      std::cout << "node " << member.node << " KNOWS OTHER MEMBERS by the same entry "
                << reply.index << ": report this as a fault\n";
    } else if (reply.index != leader.index) {
      std::cout << "node " << member.node << " knows those of entry " << reply.index
                << " so far\n";
    }
  }
  return equal;
}

std::string UserName() {
  const char* name = getlogin();
  return name == nullptr ? "unknown" : name;
}

wire::MemberAction::type ActionOf(const std::string& word) {
  constexpr std::pair<const char*, wire::MemberAction::type> kWords[] = {
      {"add", wire::MemberAction::ADD},         {"promote", wire::MemberAction::PROMOTE},
      {"demote", wire::MemberAction::DEMOTE},   {"remove", wire::MemberAction::REMOVE},
      {"replace", wire::MemberAction::REPLACE}, {"address", wire::MemberAction::ADDRESS}};
  for (const auto& [known, action] : kWords) {
    if (word == known) return action;
  }
  return wire::MemberAction::TRANSFER;
}

wire::ChangeMemberRequest ToRequest(const MemberOrder& order) {
  wire::ChangeMemberRequest request;
  request.context = MakeContext();
  request.action = ActionOf(order.action);
  request.node = static_cast<int64_t>(order.node);
  if (!order.peer_address.empty()) request.__set_peer_address(order.peer_address);
  if (!order.client_address.empty()) request.__set_client_address(order.client_address);
  request.__set_dry_run(order.dry_run);
  request.__set_force(order.force);
  request.by = order.by.empty() ? UserName() : order.by;
  if (!order.reason.empty()) request.__set_reason(order.reason);
  return request;
}

// What the change means for the majority.
std::string QuorumText(const wire::ChangeMemberReply& reply) {
  std::vector<std::string> voters;
  for (const wire::MemberInfo& member : reply.members) {
    if (member.role == wire::MemberRole::VOTER) {
      voters.push_back(absl::StrCat(member.node));
    }
  }
  return absl::StrCat("voters ", absl::StrJoin(voters, ", "), "; a majority is ",
                      reply.quorum, ", and ", absl::StrJoin(reply.live_voters, ", "),
                      reply.live_voters.size() == 1 ? " is" : " are", " sure to answer");
}

int SayRefused(const MemberOrder& order, const wire::Result& result) {
  std::cerr << "concordat: " << order.action << " was "
            << (result.code == wire::Code::UNDECIDED ? "begun: " : "not done: ")
            << result.message << "\n";
  if (result.code == wire::Code::CONDITION_FAILED) {
    std::cerr << "Nothing was changed. --force with --reason does it all the same, and "
                 "both are recorded.\n";
  }
  return kExitNegative;
}

int SayDone(const MemberOrder& order, const wire::ChangeMemberReply& reply) {
  const bool transfer = reply.members.empty();
  std::cout << (order.dry_run ? "would be done" : "done")
            << (transfer ? std::string() : absl::StrCat(": ", QuorumText(reply))) << "\n";
  return kExitOk;
}

}  // namespace

int ListMembers(const Target& target) {
  ClusterNode node(target);
  const auto [reply, failed] = node.Ask<wire::MembersReply>(
      [](client::CoordinatorLink* link,
         std::function<void(const wire::MembersReply&)> done) {
        link->members(std::move(done), MakeContext());
      });
  if (!reply) return failed;
  if (target.local) std::cout << "As one node knows it, which may be old.\n\n";
  PrintMembers(*reply);
  if (target.local) return kExitOk;
  const bool equal = CompareNodes(target, *reply);
  const bool live = std::all_of(
      reply->members.begin(), reply->members.end(),
      [](const wire::MemberInfo& one) { return !one.__isset.live || one.live; });
  return equal && live ? kExitOk : kExitNegative;
}

int ChangeMember(const Target& target, const MemberOrder& order) {
  const wire::ChangeMemberRequest request = ToRequest(order);
  Asker asker(target);
  const int patience = std::max(target.timeout_ms, kLeastPatienceMs);
  for (int waited = 0;; waited += kPauseMs) {
    const Search search = FindNode(&asker, target);
    if (search.address.empty()) return SayNotFound(search);
    const auto reply = asker.Ask<wire::ChangeMemberReply>(
        search.address,
        [&request](client::CoordinatorLink* link,
                   std::function<void(const wire::ChangeMemberReply&)> done) {
          link->changeMember(std::move(done), request);
        });
    const wire::Code::type code = reply.result.code;
    if (code == wire::Code::OK) return SayDone(order, reply);
    const bool again = code == wire::Code::NOT_READY || code == wire::Code::NOT_LEADER;
    if (!again || waited >= patience) return SayRefused(order, reply.result);
    std::this_thread::sleep_for(std::chrono::milliseconds(kPauseMs));
  }
}

}  // namespace concordat::cli
