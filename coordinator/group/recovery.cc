#include "coordinator/group/recovery.h"

#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "coordinator/group/snapshot_stream.h"

namespace concordat::group {

absl::StatusOr<raft::RecoveredState> Recover(storage::RaftStore* store, GroupId group,
                                             LoadSnapshot load, StateMachine* machine) {
  raft::RecoveredState recovered = store->TakeRecovered(group);
  if (absl::Status s = store->FinishReplay(); !s.ok()) return s;
  const raft::SnapshotMeta& meta = recovered.snapshot;
  if (meta.index.is_none()) return recovered;
  const std::unique_ptr<SnapshotRestore> restore = machine->BeginRestore(meta.index);
  SnapshotParser parser(restore.get());
  const auto loaded = load(group, meta.index, [&parser](std::string_view part) {
    return parser.Append(part);
  });
  if (absl::IsNotFound(loaded.status())) {
    return absl::DataLossError(
        absl::StrCat("the log says that the snapshot at entry ", meta.index.value(),
                     " is in force, and it is not there (", loaded.status().message(),
                     "). Mount what belongs there, or put the folder back"));
  }
  if (!loaded.ok()) return loaded.status();
  if (*loaded != meta) {
    return absl::DataLossError(
        absl::StrCat("the snapshot at entry ", meta.index.value(),
                     " is not the one that the log says is in force"));
  }
  if (absl::Status s = parser.Finish(); !s.ok()) return s;
  restore->Install();
  return recovered;
}

}  // namespace concordat::group
