// The file `node` in a coordinator's data directory. It says to which node the directory
// belongs, is written at the first start and never changes.
//
//   concordat coordinator node, format 2
//   cluster payments
//   node 1
//   members 1 2 3
//   log 9f2c61d07c33a8e1
//
// Before the group's first entry is in the log, the voters come from the command line.
// One node of three that was started alone by mistake would be a majority of itself,
// elect itself, and decide against the others. Therefore the members are recorded here
// and compared at each start with what the node is started with now. When the log holds
// members, those count, and a node may be started with them too.
// "members -" stands for a node that was to join a cluster.
//
// The last line is the id of the write-ahead log. If that log were lost, for example
// because a file system is not mounted, the node would begin at term 0 again and could
// vote a second time in a term. Therefore it does not start without that log.
//
//   auto log_id = RecordedLog(env, dir, identity);     // before the log is opened
//   log_options.log_id = *log_id;
//   auto log = wal::Log::Open(env, log_options, replay);
//   ClaimDirectory(env, dir, identity, {(*log)->log_id(), fresh});   // under its lock
#ifndef COORDINATOR_STORAGE_IDENTITY_H_
#define COORDINATOR_STORAGE_IDENTITY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"

namespace concordat::storage {

struct NodeIdentity {
  std::string cluster_name;  // satisfies IsValidClusterName
  NodeId node;
  std::vector<NodeId> members;  // with which it was started; ascending

  friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

// A valid name has 1 to 64 printable ASCII characters; the first and the last are no
// spaces.
[[nodiscard]] bool IsValidClusterName(std::string_view name);

// To be called before anything is created in the directory. FAILED_PRECONDITION when
// there is no file `node`, but there are files that no coordinator has made.
[[nodiscard]] absl::Status CheckFolder(FileEnv* env, const std::string& dir);

// The id of the log that the file `node` names: this log must be opened, and no other. 0
// when there is no file yet. Changes nothing.
//   FAILED_PRECONDITION  the file names another node or cluster
//   DATA_LOSS            the file is not in the format above
//   others               the file could not be read
[[nodiscard]] absl::StatusOr<uint64_t> RecordedLog(FileEnv* env, const std::string& dir,
                                                   const NodeIdentity& identity);

// FAILED_PRECONDITION when the file names other members than `identity`; others: as
// RecordedLog.
[[nodiscard]] absl::Status CheckMembers(FileEnv* env, const std::string& dir,
                                        const NodeIdentity& identity);

struct OpenedLog {
  uint64_t id = 0;     // wal::Log::log_id
  bool fresh = false;  // it has never had a record
};

// Compares the node and its log with the file `node`. Writes the file durably when there
// is none and the log is fresh.
//   FAILED_PRECONDITION  as RecordedLog; or the log is not the recorded one; or the log
//                        has records, but there is no file
//   others               as RecordedLog; or the file could not be written
[[nodiscard]] absl::Status ClaimDirectory(FileEnv* env, const std::string& dir,
                                          const NodeIdentity& identity,
                                          const OpenedLog& log);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_IDENTITY_H_
