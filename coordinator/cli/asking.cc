#include "coordinator/cli/asking.h"

#include "thrift/wire/conversion.h"

namespace concordat::cli {

Search FindNode(Asker* asker, const Target& target) {
  Search search;
  for (const std::string& address : target.coordinators) {
    const auto hello = asker->Ask<wire::HelloReply>(
        address, [](client::CoordinatorLink* link,
                    std::function<void(const wire::HelloReply&)> done) {
          link->hello(std::move(done), MakeContext());
        });
    const bool answered = hello.result.code == wire::Code::OK;
    // The result is NOT_LEADER both from a node that does not know its cluster yet and,
    // made by the channel, for one that cannot be reached. Only a node sets its version.
    const bool heard = answered || hello.version != 0;
    search.answered = search.answered || heard;
    if (answered && (target.local || !hello.leader.empty())) {
      search.address = target.local ? address : hello.leader;
      return search;
    }
    search.reasons.push_back(absl::StrCat(
        "  ", address, ": ", answered ? "knows no leader" : hello.result.message, "\n"));
  }
  return search;
}

int SayNotFound(const Search& search) {
  std::cerr << "concordat: "
            << (search.answered ? "the cluster has no leader now; transactions wait for "
                                  "one, and nothing was changed:\n"
                                : "no coordinator node answered:\n");
  for (const std::string& reason : search.reasons) std::cerr << reason;
  if (search.answered) {
    std::cerr << "\"concordat status\" shows the nodes; --local asks one of them what it "
                 "knows, which may be old.\n";
  }
  return search.answered ? kExitNegative : kExitUnreachable;
}

}  // namespace concordat::cli
