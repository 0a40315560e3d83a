// The commands of `concordat`: they ask a running cluster, or read a log.
#ifndef COORDINATOR_CLI_COMMANDS_H_
#define COORDINATOR_CLI_COMMANDS_H_

#include <string>
#include <vector>

namespace concordat::cli {

// Exit statuses. 0: success. 1: a node has answered, but it has refused the request, or
// something needs the operator's attention. 2: no node, or not the leader, could be
// reached. 64: wrong usage.
inline constexpr int kExitOk = 0;
inline constexpr int kExitNegative = 1;
inline constexpr int kExitUnreachable = 2;
inline constexpr int kExitUsage = 64;

struct Target {
  std::vector<std::string> coordinators;  // client addresses
  int timeout_ms = 2000;
  // Ask the first node that answers, though it may know less than the leader.
  bool local = false;
};

// Prints one line that says whether anything needs attention; then a line for each node
// with its role, term, log and transactions; then the resources. Returns 1 when no node
// leads, a node cannot be reached or has a full disk, a resource is silent or not served,
// or a branch ended against the decision.
int Status(const Target& target);
// Lists transactions that are not over, oldest first.
int ListTransactions(const Target& target, int limit);
// Shows one transaction: its state, its branches, and for whom it waits. Returns 1 when
// it is unknown, or when one of its branches ended against, or without, the decision.
int ShowTransaction(const Target& target, const std::string& gtid);
// Lists branches that ended against, or without, the decision, unless they were
// forgotten. Returns 1 when there are any.
int ListHeuristics(const Target& target);
// Forgets a heuristic outcome with which `by` has dealt; this is recorded in the
// replicated log. Returns 1 when there is no such outcome, 64 when `branch` is not a
// branch id.
int ForgetHeuristic(const Target& target, const std::string& branch,
                    const std::string& by);
// Retires a resource's name, so that another store may have it; this is recorded with
// `by`. Returns 1 when there is no such resource, it is served, or a transaction needs
// it.
int RetireResource(const Target& target, const std::string& name, const std::string& by);
// Prints the records of a write-ahead log, which is only read. Returns 1 when it is
// damaged.
int DumpLog(const std::string& dir, bool segments_only);

}  // namespace concordat::cli

#endif  // COORDINATOR_CLI_COMMANDS_H_
