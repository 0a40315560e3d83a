#include "coordinator/storage/snapshot_store.h"

#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"
#include "wal/directory.h"

namespace concordat::storage {

namespace {

constexpr std::string_view kMagic = "CNCDSNP2";
constexpr std::string_view kSuffix = ".snapshot";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr uint64_t kMaxVotersInSnapshot = 64;
constexpr size_t kHeadBytes = 4096;  // more than any header

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

std::string EncodeHeader(uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta,
                         std::string_view state) {
  ByteWriter out;
  out.U64(log_id);
  out.Varint(group.value());
  out.Varint(meta.index.value());
  out.Varint(meta.term.value());
  out.U64(meta.configuration.cluster().high);
  out.U64(meta.configuration.cluster().low);
  out.Varint(meta.configuration.voters().size());
  for (const NodeId node : meta.configuration.voters()) out.Varint(node.value());
  out.U64(state.size());
  out.U32(Crc(state));
  return out.Take();
}

absl::Status Damaged(const std::string& path, std::string_view what) {
  return absl::DataLossError(
      absl::StrCat("snapshot ", path, " is damaged: ", std::string(what)));
}

absl::Status CheckLog(const std::string& path, uint64_t found, uint64_t wanted) {
  if (found == wanted) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("snapshot ", path, " belongs to log ", wal::LogIdText(found),
                   ", this node's is ", wal::LogIdText(wanted),
                   ". Put back the log that it belongs to, or, if this folder is meant "
                   "to be new, move the snapshots away. Nothing was changed"));
}

absl::StatusOr<Snapshot> Parse(const std::string& path, uint64_t log_id,
                               std::string_view bytes) {
  if (bytes.substr(0, kMagic.size()) != kMagic) return Damaged(path, "not a snapshot");
  ByteReader frame(bytes.substr(kMagic.size()));
  const std::string_view header = frame.Bytes();
  const uint32_t header_crc = frame.U32();
  if (!frame.ok() || Crc(header) != header_crc) return Damaged(path, "its header");
  const std::string_view state = bytes.substr(bytes.size() - frame.remaining());
  ByteReader in(header);
  if (absl::Status s = CheckLog(path, in.U64(), log_id); !s.ok()) return s;
  Snapshot snapshot;
  (void)in.Varint();  // the group, which is in the name
  snapshot.meta.index = LogIndex(in.Varint());
  snapshot.meta.term = Term(in.Varint());
  ClusterKey cluster;
  cluster.high = in.U64();
  cluster.low = in.U64();
  const uint64_t count = in.Varint();
  std::vector<NodeId> voters;
  for (uint64_t i = 0; i < count && i < kMaxVotersInSnapshot && in.ok(); ++i) {
    voters.emplace_back(in.Varint());
  }
  if (std::find(voters.begin(), voters.end(), NodeId()) != voters.end()) {
    return Damaged(path, "its voters");
  }
  snapshot.meta.configuration = raft::Configuration(std::move(voters), cluster);
  const uint64_t size = in.U64();
  const uint32_t crc = in.U32();
  if (!in.complete() || size != state.size()) return Damaged(path, "its length");
  if (Crc(state) != crc) return Damaged(path, "the state's checksum");
  snapshot.state = std::string(state);
  return snapshot;
}

// The index in "group-<g>-<index>.snapshot", when it is of this group.
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

SnapshotStore::SnapshotStore(wal::FileEnv* env, std::string dir)
    : env_(env), dir_(std::move(dir)) {}

std::string SnapshotStore::Path(GroupId group, LogIndex index) const {
  return absl::StrCat(dir_, "/group-", group.value(), "-", index.value(),
                      std::string(kSuffix));
}

// Whose a file is, without reading all of it. A damaged one is reported when it is
// loaded.
absl::Status SnapshotStore::CheckOwner(const std::string& path) const {
  auto file = env_->OpenReadOnly(path);
  if (!file.ok()) return file.status();
  char start[kHeadBytes] = {};
  const auto read = (*file)->ReadAt(0, sizeof(start), start);
  if (!read.ok()) return read.status();
  const std::string_view bytes(start, *read);
  if (bytes.substr(0, kMagic.size()) != kMagic) return absl::OkStatus();
  ByteReader frame(bytes.substr(kMagic.size()));
  const std::string_view header = frame.Bytes();
  const uint32_t crc = frame.U32();
  if (!frame.ok() || Crc(header) != crc) return absl::OkStatus();
  return CheckLog(path, ByteReader(header).U64(), log_id_);
}

absl::Status SnapshotStore::Open(uint64_t log_id) {
  log_id_ = log_id;
  if (absl::Status made = env_->CreateDir(dir_); !made.ok()) return made;
  const auto names = env_->List(dir_);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix)) continue;
    if (absl::Status s = CheckOwner(absl::StrCat(dir_, "/", name)); !s.ok()) return s;
  }
  for (const std::string& name : *names) {
    if (name.ends_with(kTemporarySuffix)) {
      if (absl::Status s = env_->Remove(absl::StrCat(dir_, "/", name)); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

absl::Status SnapshotStore::Save(GroupId group, const raft::SnapshotMeta& meta,
                                 std::string_view state) {
  const std::string path = Path(group, meta.index);
  const std::string temporary = absl::StrCat(path, std::string(kTemporarySuffix));
  (void)env_->Remove(temporary);  // of an attempt that failed
  const std::string header = EncodeHeader(log_id_, group, meta, state);
  ByteWriter head;
  head.Bytes(header);
  head.U32(Crc(header));
  const std::string start = std::string(kMagic) + head.Take();
  auto file = env_->Create(temporary);
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->WriteAt(0, start);
  if (status.ok()) status = (*file)->WriteAt(start.size(), state);
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = env_->Rename(temporary, path);
  if (status.ok()) status = env_->SyncDir(dir_);
  if (!status.ok()) (void)env_->Remove(temporary);
  return status;
}

absl::StatusOr<Snapshot> SnapshotStore::Load(GroupId group, LogIndex index) const {
  const std::string path = Path(group, index);
  const auto bytes = wal::ReadWholeFile(env_, path);
  if (!bytes.ok()) return bytes.status();
  return Parse(path, log_id_, *bytes);
}

absl::StatusOr<SnapshotStore::Chunk> SnapshotStore::Read(GroupId group, LogIndex index,
                                                         uint64_t offset,
                                                         size_t max_bytes) {
  if (!sending_ || sending_->group != group || sending_->index != index) {
    auto snapshot = Load(group, index);
    if (!snapshot.ok()) return snapshot.status();
    sending_ = Cached{group, index, std::move(snapshot->state)};
  }
  const std::string_view state = sending_->state;
  if (offset > state.size()) return absl::OutOfRangeError("behind the snapshot's end");
  Chunk chunk;
  chunk.data = std::string(state.substr(offset, max_bytes));
  chunk.last = offset + chunk.data.size() == state.size();
  return chunk;
}

void SnapshotStore::RemoveOlder(GroupId group, LogIndex index) {
  if (sending_ && sending_->group == group && sending_->index < index) sending_.reset();
  const auto names = env_->List(dir_);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const auto found = IndexInName(name, group);
    if (found && *found < index) (void)env_->Remove(Path(group, *found));
  }
}

}  // namespace concordat::storage
