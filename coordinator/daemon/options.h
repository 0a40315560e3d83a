// The options of concordatd, from flags or from a config file with the same names.
#ifndef COORDINATOR_DAEMON_OPTIONS_H_
#define COORDINATOR_DAEMON_OPTIONS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"

namespace concordat::daemon {

// Where a node is reached.
struct Member {
  std::string peer_address;    // for the other nodes
  std::string client_address;  // for clients, participants and the command line
};

struct Options {
  NodeId self;
  // Where this node listens, and is reached.
  Member own;
  // The members with which the cluster begins, this node too. Empty: this node waits to
  // be added to a cluster.
  std::map<NodeId, Member> members;
  std::string cluster_name = "concordat";
  std::string data_dir;            // of log, snapshots and the file `node`
  std::string log_file;            // of log lines; empty: standard error
  std::string log_level = "info";  // see ParseLevel
  // A follower that has not heard from a leader for a random time between this and twice
  // this stands for election.
  int64_t election_timeout_ms = 200;
  int64_t heartbeat_ms = 40;                    // raft::Config::heartbeat_interval
  uint64_t segment_bytes = uint64_t{64} << 20;  // wal::LogOptions::segment_bytes
  uint64_t snapshot_entries = 200'000;          // a snapshot is taken after so many
};

// Parses "1=127.0.0.1:7101/127.0.0.1:7001,2=…": for each node its id, its address for the
// other nodes and its address for clients. INVALID_ARGUMENT: the message has the wrong
// part.
[[nodiscard]] absl::StatusOr<std::map<NodeId, Member>> ParseMembers(
    std::string_view text);

struct Parsed {
  Options options;
  // The program must end with exit_code: help was requested, or an option was wrong and a
  // message has been printed.
  bool exit = false;
  int exit_code = 0;
};
[[nodiscard]] Parsed ParseCommandLine(int argc, char** argv);

}  // namespace concordat::daemon

#endif  // COORDINATOR_DAEMON_OPTIONS_H_
