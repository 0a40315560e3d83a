// The state with which a node's group begins after a start: it is put together from the
// log's records and the snapshot that they name. The daemon and the simulator both use
// it.
#ifndef COORDINATOR_GROUP_RECOVERY_H_
#define COORDINATOR_GROUP_RECOVERY_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/raft/raft.h"
#include "coordinator/storage/raft_store.h"
#include "coordinator/storage/snapshot_store.h"

namespace concordat::group {

// As SnapshotStore::Load.
using LoadSnapshot = absl::FunctionRef<absl::StatusOr<raft::SnapshotMeta>(
    GroupId, LogIndex, storage::SnapshotStore::TakePart)>;

// Called once for each group, after the log was replayed into `store`. The snapshot is
// the one that the log says is in force; a later file was left by an installation that a
// crash has interrupted, and will be made again. `machine` is new, and has the snapshot's
// state afterwards. After an error it is unchanged.
//   DATA_LOSS            a record that does not decode, a gap in the log, or the snapshot
//                        is missing, damaged, or not the one that the log names
//   FAILED_PRECONDITION  the snapshot is another log's
//   UNIMPLEMENTED        it is a newer version's: upgrade the node
[[nodiscard]] absl::StatusOr<raft::RecoveredState> Recover(storage::RaftStore* store,
                                                           GroupId group,
                                                           LoadSnapshot load,
                                                           StateMachine* machine);

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_RECOVERY_H_
