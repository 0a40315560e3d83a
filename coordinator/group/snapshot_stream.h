// Converts a state machine's snapshot to the bytes that are in a file and are sent to
// other nodes, and back: each portion follows its length, which is a varint.
//
//   status = WriteSnapshot(source.get(),
//                          [&](std::string_view bytes) { return file->Append(bytes); });
//   SnapshotParser parser(restore.get());
//   status = parser.Append(part);    // parts of any size, in order
//   status = parser.Finish();        // after the last one
//
// Used on the thread of the source or the restore.
#ifndef COORDINATOR_GROUP_SNAPSHOT_STREAM_H_
#define COORDINATOR_GROUP_SNAPSHOT_STREAM_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "coordinator/group/state_machine.h"

namespace concordat::group {

// Writes the whole snapshot. Ends with the first error of `write`, and returns it.
[[nodiscard]] absl::Status WriteSnapshot(
    SnapshotSource* source, absl::FunctionRef<absl::Status(std::string_view)> write);

class SnapshotParser {
 public:
  explicit SnapshotParser(SnapshotRestore* restore) : restore_(restore) {}

  // The errors of the restore. Also DATA_LOSS: these are not the bytes of a snapshot.
  [[nodiscard]] absl::Status Append(std::string_view part);
  [[nodiscard]] absl::Status Finish();

 private:
  SnapshotRestore* const restore_;  // not owned
  std::string rest_;  // the beginning of a portion whose end has not come yet
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_SNAPSHOT_STREAM_H_
