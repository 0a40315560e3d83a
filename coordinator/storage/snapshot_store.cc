#include "coordinator/storage/snapshot_store.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/strings/str_cat.h"

namespace concordat::storage {

namespace {

constexpr std::string_view kSuffix = ".snapshot";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr uint64_t kPartBytes = uint64_t{256} << 10;

std::string NameOf(GroupId group, LogIndex index) {
  return absl::StrCat("group-", group.value(), "-", index.value(), std::string(kSuffix));
}

// The index in "group-<g>-<index>.snapshot"; nullopt for the name of another group's
// file.
std::optional<LogIndex> IndexInName(std::string_view name, GroupId group) {
  const std::string prefix = absl::StrCat("group-", group.value(), "-");
  if (name.size() <= prefix.size() + kSuffix.size() ||
      name.substr(0, prefix.size()) != prefix ||
      name.substr(name.size() - kSuffix.size()) != kSuffix) {
    return std::nullopt;
  }
  const std::string_view digits =
      name.substr(prefix.size(), name.size() - prefix.size() - kSuffix.size());
  uint64_t index = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return LogIndex(index);
}

}  // namespace

SnapshotStore::SnapshotStore(FileEnv* env, std::string dir)
    : env_(env), dir_(std::move(dir)) {}

absl::Status SnapshotStore::Open(uint64_t log_id) {
  log_id_ = log_id;
  if (absl::Status made = env_->CreateDir(dir_); !made.ok()) return made;
  const auto names = env_->List(dir_);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    absl::Status owner =
        SnapshotFile::CheckOwner(env_, absl::StrCat(dir_, "/", name), log_id_);
    if (!owner.ok()) return owner;
  }
  for (const std::string& name : *names) {
    if (name.ends_with(kTemporarySuffix)) {
      if (absl::Status s = env_->Remove(absl::StrCat(dir_, "/", name)); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<SnapshotWriter>> SnapshotStore::Create(
    GroupId group, const raft::SnapshotMeta& meta) {
  const std::string name = NameOf(group, meta.index);
  const std::string temporary =
      absl::StrCat(name, ".", ++created_, std::string(kTemporarySuffix));
  return SnapshotWriter::Create({env_, dir_, name, temporary}, log_id_, group, meta);
}

absl::StatusOr<raft::SnapshotMeta> SnapshotStore::Load(GroupId group, LogIndex index,
                                                       TakePart take) const {
  const auto file =
      SnapshotFile::Open(env_, absl::StrCat(dir_, "/", NameOf(group, index)), log_id_);
  if (!file.ok()) return file.status();
  const uint64_t end = (*file)->state_bytes();
  for (uint64_t at = 0; at < end; at += kPartBytes) {
    const auto part = (*file)->Read(at, std::min(kPartBytes, end - at));
    if (!part.ok()) return part.status();
    if (absl::Status taken = take(*part); !taken.ok()) return taken;
  }
  return (*file)->meta();
}

absl::StatusOr<SnapshotStore::Chunk> SnapshotStore::Read(GroupId group, LogIndex index,
                                                         uint64_t offset,
                                                         size_t max_bytes) {
  std::unique_ptr<SnapshotFile>& file = sending_[{group, index}];
  if (file == nullptr) {
    auto opened =
        SnapshotFile::Open(env_, absl::StrCat(dir_, "/", NameOf(group, index)), log_id_);
    if (!opened.ok()) {
      sending_.erase({group, index});
      return opened.status();
    }
    file = *std::move(opened);
  }
  const uint64_t end = file->state_bytes();
  if (offset > end) return absl::OutOfRangeError("behind the snapshot's end");
  const uint64_t size = std::min<uint64_t>(max_bytes, end - offset);
  auto data = file->Read(offset, size);
  if (!data.ok()) return data.status();
  return Chunk{*std::move(data), offset + size == end};
}

void SnapshotStore::RemoveOlder(GroupId group, LogIndex index, LogIndex keep) {
  std::erase_if(sending_, [&](const auto& sending) {
    const auto& [of, at] = sending.first;
    return of == group && at < index && at != keep;
  });
  const auto names = env_->List(dir_);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const auto found = IndexInName(name, group);
    if (found && *found < index && *found != keep) {
      (void)env_->Remove(absl::StrCat(dir_, "/", name));
    }
  }
}

}  // namespace concordat::storage
