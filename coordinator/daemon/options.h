// What concordatd is told: by flags, or by a config file with the same names.
#ifndef COORDINATOR_DAEMON_OPTIONS_H_
#define COORDINATOR_DAEMON_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"

namespace concordat::daemon {

// One node of the cluster, as every node is told it.
struct Member {
  std::string peer_address;    // for the other nodes
  std::string client_address;  // for clients, participants and the command line
};

struct Options {
  NodeId self;
  std::map<NodeId, Member> members;
  std::string cluster_name = "concordat";
  std::string data_dir;
  std::string log_file;
  std::string log_level = "info";
  // Elections: a follower waits between one and two times this for its leader.
  int64_t election_timeout_ms = 200;
  int64_t heartbeat_ms = 40;
  uint64_t segment_bytes = uint64_t{64} << 20;
  uint64_t snapshot_entries = 200'000;
};

// "1=127.0.0.1:7101/127.0.0.1:7001,2=…": id, address for peers, address for clients.
// INVALID_ARGUMENT names the part that is wrong.
[[nodiscard]] absl::StatusOr<std::map<NodeId, Member>> ParseMembers(
    std::string_view text);

struct Parsed {
  Options options;
  // Set when the program should end at once: help was asked for, or the words were
  // wrong (and the message has been printed).
  bool exit = false;
  int exit_code = 0;
};
[[nodiscard]] Parsed ParseCommandLine(int argc, char** argv);

}  // namespace concordat::daemon

#endif  // COORDINATOR_DAEMON_OPTIONS_H_
