// The snapshots of a node's groups. Each is one file `group-<g>-<index>.snapshot`, in the
// format of snapshot_file.h. A new file is flushed and then renamed, so a file with this
// name has all its bytes; one with wrong checksums is reported as damaged.
//
// The calls block on a FileEnv. Create and Load are called on one thread, which may be
// another than that of the other calls, also at the same time.
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

  // Creates the directory if necessary, and removes what interrupted writes have left.
  // All snapshots belong to the log with this id. FAILED_PRECONDITION: there is a
  // snapshot of another log; nothing was removed.
  [[nodiscard]] absl::Status Open(uint64_t log_id);

  // Begins a new snapshot, which exists once it is finished. RESOURCE_EXHAUSTED, here or
  // when it is written: the disk is full; existing snapshots stay.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<SnapshotWriter>> Create(
      GroupId group, const raft::SnapshotMeta& meta);

  // Passes the whole state to `take`, in parts and in order. An error of `take` ends this
  // and is returned. Other errors: NOT_FOUND; DATA_LOSS: the file is damaged;
  // FAILED_PRECONDITION: it belongs to another log.
  using TakePart = absl::FunctionRef<absl::Status(std::string_view part)>;
  [[nodiscard]] absl::StatusOr<raft::SnapshotMeta> Load(GroupId group, LogIndex index,
                                                        TakePart take) const;

  // Reads a part of the state for a follower. Only that part of the file is read. Errors
  // as of Load.
  struct Chunk {
    std::string data;
    bool last = false;  // the state ends with this chunk
  };
  [[nodiscard]] absl::StatusOr<Chunk> Read(GroupId group, LogIndex index, uint64_t offset,
                                           size_t max_bytes);

  // Removes the group's snapshots before `index`, except `keep`.
  void RemoveOlder(GroupId group, LogIndex index, LogIndex keep = LogIndex());

 private:
  FileEnv* const env_;
  const std::string dir_;
  uint64_t log_id_ = 0;   // of Open
  uint64_t created_ = 0;  // counts temporary files, whose names it is part of
  // Snapshots that are being sent to followers, which get them chunk by chunk.
  std::map<std::pair<GroupId, LogIndex>, std::unique_ptr<SnapshotFile>> sending_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
