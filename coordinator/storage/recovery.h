// What a group of a node begins with after a start: the log's records and the snapshot
// that they name, put together. The daemon and the simulator both begin here.
#ifndef COORDINATOR_STORAGE_RECOVERY_H_
#define COORDINATOR_STORAGE_RECOVERY_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/raft.h"
#include "coordinator/storage/raft_store.h"
#include "coordinator/storage/snapshot_store.h"

namespace concordat::storage {

struct RecoveredGroup {
  raft::RecoveredState raft;
  std::string snapshot_state;  // empty when there is no snapshot
};

// As SnapshotStore::Load.
using LoadSnapshot = absl::FunctionRef<absl::StatusOr<Snapshot>(GroupId, LogIndex)>;

// After the log was replayed into `store`; once for each group. The snapshot is the one
// that the log says is in force: a later file is the remainder of an installation that a
// crash interrupted, and will be made again.
//   DATA_LOSS            a record that does not decode, a gap in the log, or the snapshot
//                        is missing, damaged, or not the one that the log names
//   FAILED_PRECONDITION  the snapshot is another log's
[[nodiscard]] absl::StatusOr<RecoveredGroup> RecoverGroup(RaftStore* store, GroupId group,
                                                          LoadSnapshot load);

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_RECOVERY_H_
