// A state machine's snapshot as the bytes that are in a file and are sent to other nodes:
// each portion after its length, a varint.
//
//   status = WriteSnapshot(source.get(),
//                          [&](std::string_view bytes) { return file->Append(bytes); });
//   SnapshotParser parser(restore.get());
//   status = parser.Append(part);    // parts of any size, in order
//   status = parser.Finish();        // after the last one
//
// Used on the thread of the source or restore.
#ifndef COORDINATOR_GROUP_SNAPSHOT_STREAM_H_
#define COORDINATOR_GROUP_SNAPSHOT_STREAM_H_

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "coordinator/group/state_machine.h"

namespace concordat::group {

// All of it; the first error of `write` ends it and is returned.
[[nodiscard]] absl::Status WriteSnapshot(
    SnapshotSource* source, absl::FunctionRef<absl::Status(std::string_view)> write);

class SnapshotParser {
 public:
  explicit SnapshotParser(SnapshotRestore* restore) : restore_(restore) {}

  // Errors are those of the restore, or DATA_LOSS: no such bytes.
  [[nodiscard]] absl::Status Append(std::string_view part);
  [[nodiscard]] absl::Status Finish();

 private:
  SnapshotRestore* const restore_;
  std::string rest_;  // the beginning of a portion
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_SNAPSHOT_STREAM_H_
