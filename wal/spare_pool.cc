#include "wal/spare_pool.h"

#include <algorithm>

#include "coordinator/base/check.h"
#include "wal/directory.h"

namespace concordat::wal {

void DieUnlessOk(const absl::Status& status) {
  if (!status.ok()) FatalIoError(std::string(status.message()));
}

absl::Status SparePool::Adopt(const std::vector<uint32_t>& numbers) {
  for (const uint32_t number : numbers) {
    next_number_ = std::max(next_number_, number + 1);
    const std::string path = SparePath(dir_, number);
    auto file = env_->OpenReadOnly(path);
    if (!file.ok()) return file.status();
    auto size = (*file)->Size();
    if (!size.ok()) return size.status();
    if (*size == segment_bytes_) {
      spares_.push_back({number, false});
    } else if (absl::Status status = env_->Remove(path); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status SparePool::Fill(size_t count) {
  while (spares_.size() < count) {
    const absl::Status status = MakeOne();
    if (absl::IsResourceExhausted(status)) return status;
    DieUnlessOk(status);
  }
  return absl::OkStatus();
}

absl::Status SparePool::MakeOne() {
  const std::string path = SparePath(dir_, next_number_);
  auto file = env_->Create(path);
  if (!file.ok()) return file.status();
  const absl::Status status = (*file)->Preallocate(segment_bytes_);
  file->reset();
  if (!status.ok()) {
    DieUnlessOk(env_->Remove(path));
    return status;
  }
  spares_.push_back({next_number_++, true});
  return absl::OkStatus();
}

Spare SparePool::Take() {
  CONCORDAT_CHECK(!spares_.empty()) << "no spare segment";
  auto it = std::find_if(spares_.begin(), spares_.end(),
                         [](const Spare& spare) { return !spare.fresh; });
  if (it == spares_.end()) it = spares_.begin();
  const Spare spare = *it;
  spares_.erase(it);
  return spare;
}

void SparePool::Recycle(const std::string& segment_path) {
  DieUnlessOk(env_->Rename(segment_path, SparePath(dir_, next_number_)));
  spares_.push_back({next_number_++, false});
}

}  // namespace concordat::wal
