#include "coordinator/group/snapshot_files.h"

#include <string_view>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/group/snapshot_stream.h"

namespace concordat::group {

absl::StatusOr<uint64_t> SnapshotFiles::Save(const raft::SnapshotMeta& meta,
                                             SnapshotSource* source) {
  auto writer = store_->Create(group_, meta);
  if (!writer.ok()) return writer.status();
  absl::Status status = WriteSnapshot(
      source, [&](std::string_view bytes) { return (*writer)->Append(bytes); });
  if (status.ok()) status = (*writer)->Finish();
  if (!status.ok()) return status;
  return (*writer)->state_bytes();
}

void SnapshotFiles::Receive(const raft::SnapshotWrite& part) {
  if (part.offset == 0) {
    received_.reset();
    auto writer = store_->Create(group_, part.meta);
    receive_status_ = writer.status();
    if (writer.ok()) received_ = *std::move(writer);
  }
  if (!receive_status_.ok()) return;
  CONCORDAT_CHECK(received_ != nullptr && received_->state_bytes() == part.offset)
      << "snapshot part at " << part.offset << " does not follow the last one";
  receive_status_ = received_->Append(part.data.view());
  if (!receive_status_.ok()) received_.reset();
}

void SnapshotFiles::DropReceived() { received_.reset(); }

absl::Status SnapshotFiles::Restore(const raft::SnapshotMeta& meta,
                                    SnapshotRestore* restore) {
  const std::unique_ptr<storage::SnapshotWriter> received = std::move(received_);
  if (!receive_status_.ok()) return receive_status_;
  CONCORDAT_CHECK(received != nullptr) << "no snapshot was received";
  if (absl::Status s = received->Finish(); !s.ok()) return s;
  SnapshotParser parser(restore);
  const auto loaded = store_->Load(
      group_, meta.index, [&](std::string_view part) { return parser.Append(part); });
  return loaded.ok() ? parser.Finish() : loaded.status();
}

}  // namespace concordat::group
