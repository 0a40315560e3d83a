#include "coordinator/group/snapshot_stream.h"

#include "coordinator/storage/snapshot_store.h"

namespace concordat::group {

void SnapshotStreamExample(std::unique_ptr<SnapshotSource> source,
                           std::unique_ptr<SnapshotRestore> restore,
                           storage::SnapshotWriter* file, std::string_view part,
                           absl::Status status) {
  // EXAMPLE
}

}  // namespace concordat::group
