#include "coordinator/group/snapshot_stream.h"

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/check.h"

namespace concordat::group {

absl::Status WriteSnapshot(SnapshotSource* source,
                           absl::FunctionRef<absl::Status(std::string_view)> write) {
  while (const auto portion = source->Next()) {
    CONCORDAT_CHECK(!portion->empty() && portion->size() <= kMaxPortionBytes)
        << "a portion of " << portion->size() << " bytes";
    ByteWriter frame;
    frame.Bytes(*portion);
    if (absl::Status s = write(frame.str()); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::Status SnapshotParser::Append(std::string_view part) {
  rest_.append(part);
  size_t taken = 0;
  while (taken < rest_.size()) {
    const std::string_view bytes = std::string_view(rest_).substr(taken);
    ByteReader length(bytes);
    const uint64_t size = length.Varint();
    if (!length.ok() && bytes.size() < 10) break;  // the length is not complete
    if (!length.ok() || size == 0 || size > kMaxPortionBytes) {
      return absl::DataLossError(absl::StrCat("a portion of ", size, " bytes"));
    }
    if (length.remaining() < size) break;
    const size_t head = bytes.size() - length.remaining();
    if (absl::Status s = restore_->Append(bytes.substr(head, size)); !s.ok()) return s;
    taken += head + size;
  }
  rest_.erase(0, taken);
  return absl::OkStatus();
}

absl::Status SnapshotParser::Finish() {
  if (!rest_.empty())
    return absl::DataLossError("the snapshot's last portion is cut off");
  return restore_->Finish();
}

}  // namespace concordat::group
