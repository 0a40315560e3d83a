// Whose a coordinator's data directory is: the file `node` in it, written at the first
// start and never changed.
//
//   concordat coordinator node, format 2
//   cluster payments
//   node 1
//   members 1 2 3
//   log 9f2c61d07c33a8e1
//
// Until a snapshot has a configuration, the voters come from the command line. A node of
// three that was started alone by mistake would be its own majority, elect itself, and
// decide against the others: so the set of members is kept here and compared.
//
// The last line is the id that the write-ahead log drew when it was made. A node whose
// log is gone, because a mount is missing say, would otherwise begin again at term 0 and
// vote a second time in terms in which it has voted.
//
//   auto log_id = RecordedLog(env, dir, identity);     // before the log is opened
//   ...opens the log; LogOptions::log_id = *log_id...
//   ClaimDirectory(env, dir, identity, {log->log_id(), fresh});   // under its lock
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
  std::string cluster_name;  // IsValidClusterName
  NodeId node;
  std::vector<NodeId> members;  // ascending

  friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

// 1 to 64 printable characters, the first and the last no spaces: it stands on a line of
// its own in the file, and in messages.
[[nodiscard]] bool IsValidClusterName(std::string_view name);

// Before anything is made in the directory: FAILED_PRECONDITION when it holds what no
// coordinator has made. A directory that has been claimed may hold other files.
[[nodiscard]] absl::Status CheckFolder(FileEnv* env, const std::string& dir);

// The id of the log that the directory's file names, which must be opened and no other;
// 0 when there is no file yet. Changes nothing.
//   FAILED_PRECONDITION  another node's, another cluster's, another set of members
//   DATA_LOSS            the file cannot be read as one of ours
//   others               could not be read
[[nodiscard]] absl::StatusOr<uint64_t> RecordedLog(FileEnv* env, const std::string& dir,
                                                   const NodeIdentity& identity);

struct OpenedLog {
  uint64_t id = 0;
  bool fresh = false;  // it has never held a record
};

// Compares with what the directory says; writes it, durably, when the directory says
// nothing and the log is fresh.
//   FAILED_PRECONDITION  as RecordedLog; or another log than the recorded one, or a log
//                        with records and no file
//   others               as RecordedLog, or could not be written
[[nodiscard]] absl::Status ClaimDirectory(FileEnv* env, const std::string& dir,
                                          const NodeIdentity& identity,
                                          const OpenedLog& log);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_IDENTITY_H_
