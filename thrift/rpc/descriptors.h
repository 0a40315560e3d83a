// File descriptors of the process: a server that takes all of them takes those that the
// log, the snapshots, the other nodes and the databases need.
//
//   auto plan = PlanDescriptors(RaiseDescriptorLimit(), reserve, limits.max_connections);
//   limits.max_connections = plan->connections;
#ifndef THRIFT_RPC_DESCRIPTORS_H_
#define THRIFT_RPC_DESCRIPTORS_H_

#include <cstdint>

#include "absl/status/statusor.h"

namespace concordat::rpc {

// Sets the soft limit of open files (RLIMIT_NOFILE) to the hard one, and returns the
// limit that holds then. Where the system refuses, that is the one from before.
[[nodiscard]] uint64_t RaiseDescriptorLimit();

// What every daemon needs besides connections: standard streams, the log file, loops,
// listeners, name look-ups, the write-ahead log and a snapshot.
inline constexpr uint64_t kDescriptorsOfAProcess = 48;
// With fewer connections a server is of no use.
inline constexpr uint64_t kLeastConnections = 16;

struct DescriptorPlan {
  uint64_t limit = 0;
  uint64_t reserve = 0;
  uint32_t connections = 0;  // of the server, at most
};

// How many connections a server may hold when `reserve` descriptors are for others; not
// more than `most`. RESOURCE_EXHAUSTED, saying how many are needed and what to do, when
// fewer than kLeastConnections are left.
[[nodiscard]] absl::StatusOr<DescriptorPlan> PlanDescriptors(uint64_t limit,
                                                             uint64_t reserve,
                                                             uint32_t most);

}  // namespace concordat::rpc

#endif  // THRIFT_RPC_DESCRIPTORS_H_
