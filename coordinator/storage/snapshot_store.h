// Snapshots of a group's state machine, one file each, written whole or not at all.
//
// File `group-<g>-<index>.snapshot`:
//
//   8 bytes   "CNCDSNP3"
//   header    a varint, its length; then 8 bytes: the id of the node's log; varints:
//   group,
//             index, term; 16 bytes: cluster; varints: the number of voters, and each; 8
//             bytes: the length of the state
//   4 bytes   CRC-32 of the header
//   4 bytes   each: CRC-32 of each 64 KiB of the state, of the rest the last
//   4 bytes   CRC-32 of those
//   state
//
// A part of the state is read and checked without the rest. The log's id keeps out the
// files of another node or of a log that is gone. A file appears by rename after its
// bytes and before its name are flushed, so a name that is there has all its bytes; a
// file that does not check is damage, and is reported as that.
//
// Blocking calls on a FileEnv. Save may run on another thread than the rest, also at the
// same time; two Saves must not overlap.
#ifndef COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
#define COORDINATOR_STORAGE_SNAPSHOT_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/types.h"

namespace concordat::storage {

struct Snapshot {
  raft::SnapshotMeta meta;
  std::string state;
};

class SnapshotStore {
 public:
  SnapshotStore(FileEnv* env, std::string dir);
  ~SnapshotStore();

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
  class OpenFile;
  [[nodiscard]] std::string Path(GroupId group, LogIndex index) const;
  [[nodiscard]] absl::Status CheckOwner(const std::string& path) const;
  [[nodiscard]] absl::StatusOr<std::unique_ptr<OpenFile>> Open(GroupId group,
                                                               LogIndex index) const;

  FileEnv* const env_;
  const std::string dir_;
  uint64_t log_id_ = 0;
  // Those being sent: followers ask for them chunk by chunk.
  std::map<std::pair<GroupId, LogIndex>, std::unique_ptr<OpenFile>> sending_;
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_STORE_H_
