// Whose a coordinator's data directory is: the file `node` in it, written at the first
// start and never changed.
//
//   concordat coordinator node, format 1
//   cluster 9f2c61d07c33a8e1
//   node 1
//   members 1 2 3
//
// Until a snapshot has a configuration, the voters come from the command line. A node of
// three that was started alone by mistake would be its own majority, elect itself, and
// decide against the others: so the set of members is kept here and compared.
#ifndef COORDINATOR_STORAGE_IDENTITY_H_
#define COORDINATOR_STORAGE_IDENTITY_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/ids.h"
#include "wal/file_env.h"

namespace concordat::storage {

struct Identity {
  ClusterId cluster;
  NodeId node;
  std::vector<NodeId> members;  // ascending

  friend bool operator==(const Identity&, const Identity&) = default;
};

// Before anything is made in the directory: FAILED_PRECONDITION when it holds what no
// coordinator has made. A directory that has been claimed may hold other files.
[[nodiscard]] absl::Status CheckFolder(wal::FileEnv* env, const std::string& dir);

// Compares with what the directory says; writes it, durably, when the directory says
// nothing and `fresh`: its log has never held a record.
//   FAILED_PRECONDITION  another node's, another cluster's, another set of members, or
//                        a log without the file
//   DATA_LOSS            the file cannot be read as one of ours
//   others               could not be read or written
[[nodiscard]] absl::Status ClaimDirectory(wal::FileEnv* env, const std::string& dir,
                                          const Identity& identity, bool fresh);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_IDENTITY_H_
