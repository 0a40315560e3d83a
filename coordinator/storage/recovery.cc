#include "coordinator/storage/recovery.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::storage {

absl::StatusOr<RecoveredGroup> RecoverGroup(RaftStore* store, GroupId group,
                                            LoadSnapshot load) {
  RecoveredGroup recovered;
  recovered.raft = store->TakeRecovered(group);
  if (absl::Status s = store->FinishReplay(); !s.ok()) return s;
  const raft::SnapshotMeta& meta = recovered.raft.snapshot;
  if (meta.index.is_none()) return recovered;
  absl::StatusOr<Snapshot> snapshot = load(group, meta.index);
  if (absl::IsNotFound(snapshot.status())) {
    return absl::DataLossError(
        absl::StrCat("the log says that the snapshot at entry ", meta.index.value(),
                     " is in force, and it is not there (", snapshot.status().message(),
                     "). Mount what belongs there, or put the folder back"));
  }
  if (!snapshot.ok()) return snapshot.status();
  if (snapshot->meta != meta) {
    return absl::DataLossError(
        absl::StrCat("the snapshot at entry ", meta.index.value(),
                     " is not the one that the log says is in force"));
  }
  recovered.snapshot_state = std::move(snapshot->state);
  return recovered;
}

}  // namespace concordat::storage
