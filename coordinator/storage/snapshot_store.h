// Snapshots of a group's state machine, one file each, written whole or not at all.
//
// File `group-<g>-<index>.snapshot`: "CNCDSNP2", a header (8 bytes: the id of the node's
// log; varints: group, index, term; 16 bytes: cluster; varints: voters), the length and
// the CRC-32 of the state, the CRC-32 of the header, then the state. The log's id keeps
// out the files of another node or of a log that is gone. A file appears by rename after
// its bytes and before its name are flushed, so a name that is there has all its bytes; a
// file that does not check is damage, and is reported as that.
//
// Blocking calls on a FileEnv. Save may run on another thread than the rest; two
// calls for one group must not overlap.
#ifndef COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
#define COORDINATOR_STORAGE_SNAPSHOT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/types.h"
#include "wal/file_env.h"

namespace concordat::storage {

struct Snapshot {
  raft::SnapshotMeta meta;
  std::string state;
};

class SnapshotStore {
 public:
  SnapshotStore(wal::FileEnv* env, std::string dir);

  // Makes the directory and removes what an interrupted write left. Snapshots belong to
  // the log of this id, and to no other.
  // FAILED_PRECONDITION: a snapshot of another log is there. Nothing was removed.
  [[nodiscard]] absl::Status Open(uint64_t log_id);

  // Durable when it returns OK. RESOURCE_EXHAUSTED on a full disk: the old snapshot
  // stays in force.
  [[nodiscard]] absl::Status Save(GroupId group, const raft::SnapshotMeta& meta,
                                  std::string_view state);

  // NOT_FOUND, DATA_LOSS when the file does not check, or FAILED_PRECONDITION when it is
  // of another log.
  [[nodiscard]] absl::StatusOr<Snapshot> Load(GroupId group, LogIndex index) const;

  // A part of the state for a follower. NOT_FOUND when it is not there any more.
  struct Chunk {
    std::string data;
    bool last = false;
  };
  [[nodiscard]] absl::StatusOr<Chunk> Read(GroupId group, LogIndex index, uint64_t offset,
                                           size_t max_bytes);

  // Snapshots of the group older than this one are removed.
  void RemoveOlder(GroupId group, LogIndex index);

 private:
  [[nodiscard]] std::string Path(GroupId group, LogIndex index) const;
  [[nodiscard]] absl::Status CheckOwner(const std::string& path) const;

  wal::FileEnv* const env_;
  const std::string dir_;
  uint64_t log_id_ = 0;
  // The one being sent: followers ask for it chunk by chunk.
  struct Cached {
    GroupId group;
    LogIndex index;
    std::string state;
  };
  std::optional<Cached> sending_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
