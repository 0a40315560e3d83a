// Plans the file descriptors of a process. Without a plan, a server's connections could
// take the descriptors that the log, the snapshots, the other nodes and the databases
// need.
//
//   auto plan = PlanDescriptors(RaiseDescriptorLimit(), reserve, limits.max_connections);
//   limits.max_connections = plan->connections;
#ifndef THRIFT_RPC_DESCRIPTORS_H_
#define THRIFT_RPC_DESCRIPTORS_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace concordat::rpc {

// Sets the soft limit of open files (RLIMIT_NOFILE) to the hard one, and returns the
// limit that is in force then. If the system refuses, that is the previous one.
[[nodiscard]] uint64_t RaiseDescriptorLimit();

// How many descriptors every daemon needs besides connections: standard streams, the
// log file, loops, listeners, name look-ups, the write-ahead log and a snapshot.
inline constexpr uint64_t kDescriptorsOfAProcess = 48;
// The smallest number of connections with which a server is useful.
inline constexpr uint64_t kLeastConnections = 16;

struct DescriptorPlan {
  uint64_t limit = 0;        // descriptors that the process may open
  uint64_t reserve = 0;      // descriptors that are not for connections
  uint32_t connections = 0;  // the most connections that the server may hold
};

// Computes how many connections a server may hold, at most `most`, when `reserve`
// descriptors are needed for other purposes. RESOURCE_EXHAUSTED: fewer than
// kLeastConnections are left; the message says how many descriptors are needed and what
// to do.
[[nodiscard]] absl::StatusOr<DescriptorPlan> PlanDescriptors(uint64_t limit,
                                                             uint64_t reserve,
                                                             uint32_t most);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_DESCRIPTORS_H_
