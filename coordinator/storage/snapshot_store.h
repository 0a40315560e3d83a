// The snapshots of a node's groups, one file each (snapshot_file.h):
// `group-<g>-<index>.snapshot`. A file appears by rename after its bytes and before its
// name are flushed, so a name that is there has all its bytes; a file that does not check
// is damage, and is reported as that.
//
// Blocking calls on a FileEnv. Create and Load may be called on another thread than the
// rest, also at the same time; they are called on one thread.
#ifndef COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
#define COORDINATOR_STORAGE_SNAPSHOT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"
#include "coordinator/storage/snapshot_file.h"

namespace concordat::storage {

class SnapshotStore {
 public:
  SnapshotStore(FileEnv* env, std::string dir);

  // Makes the directory and removes what an interrupted write left. Snapshots belong to
  // the log of this id, and to no other.
  // FAILED_PRECONDITION: a snapshot of another log is there. Nothing was removed.
  [[nodiscard]] absl::Status Open(uint64_t log_id);

  // A new snapshot, which is there when it is finished. RESOURCE_EXHAUSTED: the disk is
  // full, here and when it is written; those that are there stay.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<SnapshotWriter>> Create(
      GroupId group, const raft::SnapshotMeta& meta);

  // Hands all of the state over, in parts and in order; an error of `take` ends it and is
  // returned. Its own: NOT_FOUND, DATA_LOSS when the file does not check, or
  // FAILED_PRECONDITION when it is of another log.
  using TakePart = absl::FunctionRef<absl::Status(std::string_view part)>;
  [[nodiscard]] absl::StatusOr<raft::SnapshotMeta> Load(GroupId group, LogIndex index,
                                                        TakePart take) const;

  // A part of the state for a follower: of the file no more is read than that part. Its
  // errors are those of Load.
  struct Chunk {
    std::string data;
    bool last = false;
  };
  [[nodiscard]] absl::StatusOr<Chunk> Read(GroupId group, LogIndex index, uint64_t offset,
                                           size_t max_bytes);

  // Snapshots of the group older than this one are removed, but for `keep`.
  void RemoveOlder(GroupId group, LogIndex index, LogIndex keep = LogIndex());

 private:
  FileEnv* const env_;
  const std::string dir_;
  uint64_t log_id_ = 0;
  uint64_t created_ = 0;  // names the temporary files
  // Those being sent: followers ask for them chunk by chunk.
  std::map<std::pair<GroupId, LogIndex>, std::unique_ptr<SnapshotFile>> sending_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
