// How the commands ask the nodes of a cluster: one after the other, and each call waits.
#ifndef COORDINATOR_CLI_ASKING_H_
#define COORDINATOR_CLI_ASKING_H_

#include <functional>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "concordat_wire/coordinator_types.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/cli/commands.h"
#include "coordinator/client/link.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::cli {

// Calls one node after the other, on a loop of its own for each call.
class Asker {
 public:
  explicit Asker(const Target& target) : timeout_(Duration::Millis(target.timeout_ms)) {}

  // The reply of the node at `address`, with any result.
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

// The result of the search for a node to ask.
struct Search {
  std::string address;               // empty: none was found
  bool answered = false;             // a node has answered
  std::vector<std::string> reasons;  // for each node asked, why it was not chosen
};

// The leader, or with --local the first node that answers.
[[nodiscard]] Search FindNode(Asker* asker, const Target& target);
// Prints why no node was found, and returns the exit status.
int SayNotFound(const Search& search);

// A reply that is OK, or an exit status; the reason has then been printed.
template <class Reply>
struct Asked {
  std::optional<Reply> reply;
  int exit_status = kExitOk;
};

// The node that leads, or any node with --local. It is searched for once.
class ClusterNode {
 public:
  explicit ClusterNode(const Target& target) : target_(target), asker_(target) {}

  template <class Reply>
  Asked<Reply> Ask(const std::function<void(client::CoordinatorLink*,
                                            std::function<void(const Reply&)>)>& call) {
    if (address_.empty()) {
      const Search search = FindNode(&asker_, target_);
      if (search.address.empty()) return {std::nullopt, SayNotFound(search)};
      address_ = search.address;
    }
    Reply reply = asker_.Ask<Reply>(address_, call);
    const wire::Code::type code = reply.result.code;
    if (code == wire::Code::OK) return {std::move(reply), kExitOk};
    const bool heard = code == wire::Code::NOT_FOUND || code == wire::Code::INVALID ||
                       code == wire::Code::NOT_LEADER || code == wire::Code::UNDECIDED;
    std::cerr << "concordat: " << (target_.local ? "node " : "the leader, ") << address_
              << ": " << reply.result.message << "\n";
    return {std::nullopt, heard ? kExitNegative : kExitUnreachable};
  }

 private:
  const Target& target_;
  Asker asker_;
  std::string address_;
};

}  // namespace concordat::cli

#endif  // COORDINATOR_CLI_ASKING_H_
