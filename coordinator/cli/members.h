// `concordat members`: who belongs to the cluster, and changes of that.
#ifndef COORDINATOR_CLI_MEMBERS_H_
#define COORDINATOR_CLI_MEMBERS_H_

#include <cstdint>
#include <string>

#include "coordinator/cli/commands.h"

namespace concordat::cli {

// Prints the members as the leader knows them (with --local: a node), and which nodes do
// not know the same. Returns 1 when one of them is not live, or differs.
int ListMembers(const Target& target);

// The word after `concordat members`, and what it needs.
struct MemberOrder {
  std::string action;  // add, promote, demote, remove, replace, address, transfer
  uint64_t node = 0;   // with transfer, 0: whoever has the most of the log
  std::string peer_address;
  std::string client_address;
  bool dry_run = false;
  bool force = false;
  std::string by;
  std::string reason;
};

// Asks the leader to do it, and waits until it is log-committed. "Not now" is asked again
// for as long as --timeout-ms says, at least ten seconds. Returns 1 when it is refused;
// nothing was changed then.
int ChangeMember(const Target& target, const MemberOrder& order);

}  // namespace concordat::cli

#endif  // COORDINATOR_CLI_MEMBERS_H_
