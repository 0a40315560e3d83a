// What the command line asks of a running cluster.
#ifndef COORDINATOR_CLI_COMMANDS_H_
#define COORDINATOR_CLI_COMMANDS_H_

#include <string>
#include <vector>

namespace concordat::cli {

// Exit statuses: 0 done; 1 a node answered, and something is not as it should be or not
// as asked for; 2 no node, or not the leader, could be reached; 64 wrong usage.
inline constexpr int kExitOk = 0;
inline constexpr int kExitNegative = 1;
inline constexpr int kExitUnreachable = 2;
inline constexpr int kExitUsage = 64;

struct Target {
  std::vector<std::string> coordinators;  // client addresses
  int timeout_ms = 2000;
  // Ask the first node that answers, which may know less than the leader.
  bool local = false;
};

// One line that says whether somebody should look, then a line for each node: role, term,
// log, transactions; then the resources. 1 when somebody should: no node leads, a node
// cannot be reached or has a full disk, a resource is silent or not served, or a branch
// ended against the decision.
int Status(const Target& target);
// Transactions that are not over, oldest first.
int ListTransactions(const Target& target, int limit);
// One transaction: its state, its branches, whom it waits for. 1 when it is unknown, or
// when a branch of it ended against, or without, the decision.
int ShowTransaction(const Target& target, const std::string& gtid);
// Branches that ended against, or without, the decision, until somebody forgets them.
// 1 when there are any.
int ListHeuristics(const Target& target);
// `by` has dealt with it; that is recorded in the replicated log. 1 when no such outcome
// is on record; 64: not a branch id.
int ForgetHeuristic(const Target& target, const std::string& branch,
                    const std::string& by);
// Gives a resource's name up, on record: another store may have it. 1 when there is no
// such resource, when it is served, or when a transaction needs it.
int RetireResource(const Target& target, const std::string& name, const std::string& by);
// The records of a write-ahead log, read-only. 1 when it is damaged.
int DumpLog(const std::string& dir, bool segments_only);
// Makes a database ready to be served: prints the SQL for what Concordat keeps there, and
// runs it with `yes`. `role`, when not empty, is given the rights to serve it. 1 when the
// database refuses, 2 when it is not reached, 64 when the URL's kind needs none, has no
// roles, or is not known.
int InitResource(const std::string& url, const std::string& role, bool yes);

}  // namespace concordat::cli

#endif  // COORDINATOR_CLI_COMMANDS_H_
