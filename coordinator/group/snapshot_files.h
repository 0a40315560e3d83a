// What a replica asks for its snapshots (ReplicaEnvironment), done with files. Every call
// blocks until its part of the work is done: a daemon has a thread for them, so that the
// loop waits for none; the simulator calls them when the disk's time has passed.
//
// One thread at a time.
#ifndef COORDINATOR_GROUP_SNAPSHOT_FILES_H_
#define COORDINATOR_GROUP_SNAPSHOT_FILES_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/raft/output.h"
#include "coordinator/storage/snapshot_store.h"

namespace concordat::group {

class SnapshotFiles {
 public:
  // The store outlives it.
  SnapshotFiles(storage::SnapshotStore* store, GroupId group)
      : store_(store), group_(group) {}

  // Durable when it returns OK: so many bytes of state.
  [[nodiscard]] absl::StatusOr<uint64_t> Save(const raft::SnapshotMeta& meta,
                                              SnapshotSource* source);
  // An error is reported by Restore.
  void Receive(const raft::SnapshotWrite& part);
  // What was received is made durable, and read back into `restore`.
  [[nodiscard]] absl::Status Restore(const raft::SnapshotMeta& meta,
                                     SnapshotRestore* restore);

 private:
  storage::SnapshotStore* const store_;
  const GroupId group_;
  // Of the snapshot that is being received.
  std::unique_ptr<storage::SnapshotWriter> received_;
  absl::Status receive_status_;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_SNAPSHOT_FILES_H_
