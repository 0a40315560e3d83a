// Does with files what a replica asks of its environment for snapshots
// (ReplicaEnvironment). The calls block until their work is done. A daemon has a thread
// for them, so that its loop does not wait; the simulator calls them when the disk's time
// has passed.
//
// Used on one thread at a time.
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

  // When it returns OK, the snapshot is durable. Returns the size of its state in bytes.
  [[nodiscard]] absl::StatusOr<uint64_t> Save(const raft::SnapshotMeta& meta,
                                              SnapshotSource* source);
  // Restore reports an error of this. What was received so far is removed at once then.
  void Receive(const raft::SnapshotWrite& part);
  // Removes what was received, because the rest will not come.
  void DropReceived();
  // Makes durable what was received, and reads it back into `restore`.
  [[nodiscard]] absl::Status Restore(const raft::SnapshotMeta& meta,
                                     SnapshotRestore* restore);

 private:
  storage::SnapshotStore* const store_;  // not owned
  const GroupId group_;
  // The snapshot that is being received. Null: none is, or a part could not be kept.
  std::unique_ptr<storage::SnapshotWriter> received_;
  absl::Status receive_status_;  // the first error of its parts
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_SNAPSHOT_FILES_H_
