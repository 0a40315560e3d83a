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

// What the header of a snapshot's file says.
struct SnapshotHeader {
  uint64_t log_id = 0;
  raft::SnapshotMeta meta;
  uint64_t state_bytes = 0;
  uint64_t end = 0;  // in the file
};

namespace {

constexpr std::string_view kMagic = "CNCDSNP3";
constexpr std::string_view kSuffix = ".snapshot";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr uint64_t kMaxVotersInSnapshot = 64;
constexpr size_t kHeadBytes = 4096;  // more than any header
constexpr size_t kBlockBytes = size_t{64} << 10;
constexpr size_t kCrcBytes = 4;

uint32_t Crc(std::string_view bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

uint64_t BlocksOf(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

std::string EncodeHeader(uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta,
                         size_t state_bytes) {
  ByteWriter out;
  out.U64(log_id);
  out.Varint(group.value());
  out.Varint(meta.index.value());
  out.Varint(meta.term.value());
  out.U64(meta.configuration.cluster().high);
  out.U64(meta.configuration.cluster().low);
  out.Varint(meta.configuration.voters().size());
  for (const NodeId node : meta.configuration.voters()) out.Varint(node.value());
  out.U64(state_bytes);
  return out.Take();
}

// All that stands before the state.
std::string EncodeHead(std::string_view header, std::string_view state) {
  ByteWriter checksums;
  for (size_t at = 0; at < state.size(); at += kBlockBytes) {
    checksums.U32(Crc(state.substr(at, kBlockBytes)));
  }
  ByteWriter head;
  head.Bytes(header);
  head.U32(Crc(header));
  const uint32_t crc = Crc(checksums.str());
  std::string bytes = std::string(kMagic) + head.Take() + checksums.Take();
  ByteWriter tail;
  tail.U32(crc);
  return bytes + tail.Take();
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

// `head` is the file's beginning.
absl::StatusOr<SnapshotHeader> ParseHeader(const std::string& path,
                                           std::string_view head) {
  if (head.substr(0, kMagic.size()) != kMagic) return Damaged(path, "not a snapshot");
  ByteReader frame(head.substr(kMagic.size()));
  const std::string_view bytes = frame.Bytes();
  const uint32_t crc = frame.U32();
  if (!frame.ok() || Crc(bytes) != crc) return Damaged(path, "its header");
  SnapshotHeader header;
  header.end = head.size() - frame.remaining();
  ByteReader in(bytes);
  header.log_id = in.U64();
  (void)in.Varint();  // the group, which is in the name
  header.meta.index = LogIndex(in.Varint());
  header.meta.term = Term(in.Varint());
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
  header.meta.configuration = raft::Configuration(std::move(voters), cluster);
  header.state_bytes = in.U64();
  return in.complete() ? absl::StatusOr<SnapshotHeader>(std::move(header))
                       : Damaged(path, "its header");
}

absl::StatusOr<std::string> ReadAll(const File& file, const std::string& path,
                                    uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  const auto read = file.ReadAt(offset, size, bytes.data());
  if (!read.ok()) return read.status();
  return *read == size ? absl::StatusOr<std::string>(std::move(bytes))
                       : Damaged(path, "its length");
}

absl::StatusOr<SnapshotHeader> ReadHeader(const File& file, const std::string& path) {
  std::string head(kHeadBytes, '\0');
  const auto read = file.ReadAt(0, head.size(), head.data());
  if (!read.ok()) return read.status();
  head.resize(*read);
  return ParseHeader(path, head);
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

// A snapshot's file whose checksums are known.
class SnapshotStore::OpenFile {
 public:
  static absl::StatusOr<std::unique_ptr<OpenFile>> Open(FileEnv* env, std::string path,
                                                        uint64_t log_id) {
    auto file = env->OpenReadOnly(path);
    if (!file.ok()) return file.status();
    std::unique_ptr<OpenFile> open(new OpenFile(std::move(path), *std::move(file)));
    auto header = ReadHeader(*open->file_, open->path_);
    if (!header.ok()) return header.status();
    open->header_ = *std::move(header);
    absl::Status status = CheckLog(open->path_, open->header_.log_id, log_id);
    if (status.ok()) status = open->ReadChecksums();
    if (!status.ok()) return status;
    return open;
  }

  const raft::SnapshotMeta& meta() const { return header_.meta; }
  uint64_t state_bytes() const { return header_.state_bytes; }

  // That part of the state, which must be in it.
  absl::StatusOr<std::string> Read(uint64_t offset, uint64_t size) const {
    if (size == 0) return std::string();
    const uint64_t first = offset / kBlockBytes;
    const uint64_t begin = first * kBlockBytes;
    const uint64_t end =
        std::min(BlocksOf(offset + size) * kBlockBytes, header_.state_bytes);
    auto bytes = ReadAll(*file_, path_, state_at_ + begin, end - begin);
    if (!bytes.ok()) return bytes.status();
    const std::string_view blocks = *bytes;
    for (uint64_t at = 0; at < blocks.size(); at += kBlockBytes) {
      if (Crc(blocks.substr(at, kBlockBytes)) != checksums_[first + at / kBlockBytes]) {
        return Damaged(path_, absl::StrCat("its state at ", begin + at));
      }
    }
    return offset == begin && size == blocks.size()
               ? std::move(bytes)
               : absl::StatusOr<std::string>(bytes->substr(offset - begin, size));
  }

 private:
  OpenFile(std::string path, std::unique_ptr<File> file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status ReadChecksums() {
    const auto file_bytes = file_->Size();
    if (!file_bytes.ok()) return file_bytes.status();
    const uint64_t count = BlocksOf(header_.state_bytes);
    state_at_ = header_.end + (count + 1) * kCrcBytes;
    if (header_.state_bytes > *file_bytes ||
        *file_bytes != state_at_ + header_.state_bytes) {
      return Damaged(path_, "its length");
    }
    const auto bytes = ReadAll(*file_, path_, header_.end, (count + 1) * kCrcBytes);
    if (!bytes.ok()) return bytes.status();
    ByteReader in(*bytes);
    checksums_.reserve(count);
    for (uint64_t i = 0; i < count; ++i) checksums_.push_back(in.U32());
    const std::string_view table = std::string_view(*bytes).substr(0, count * kCrcBytes);
    return in.U32() == Crc(table) ? absl::OkStatus() : Damaged(path_, "its checksums");
  }

  const std::string path_;
  const std::unique_ptr<File> file_;
  SnapshotHeader header_;
  uint64_t state_at_ = 0;            // in the file
  std::vector<uint32_t> checksums_;  // of the state's blocks
};

SnapshotStore::SnapshotStore(FileEnv* env, std::string dir)
    : env_(env), dir_(std::move(dir)) {}

SnapshotStore::~SnapshotStore() = default;

std::string SnapshotStore::Path(GroupId group, LogIndex index) const {
  return absl::StrCat(dir_, "/group-", group.value(), "-", index.value(),
                      std::string(kSuffix));
}

// Whose a file is, without reading all of it. A damaged one is reported when it is
// loaded.
absl::Status SnapshotStore::CheckOwner(const std::string& path) const {
  auto file = env_->OpenReadOnly(path);
  if (!file.ok()) return file.status();
  const auto header = ReadHeader(**file, path);
  if (absl::IsDataLoss(header.status())) return absl::OkStatus();
  return header.ok() ? CheckLog(path, header->log_id, log_id_) : header.status();
}

absl::StatusOr<std::unique_ptr<SnapshotStore::OpenFile>> SnapshotStore::Open(
    GroupId group, LogIndex index) const {
  return OpenFile::Open(env_, Path(group, index), log_id_);
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
  const std::string start =
      EncodeHead(EncodeHeader(log_id_, group, meta, state.size()), state);
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
  const auto file = Open(group, index);
  if (!file.ok()) return file.status();
  auto state = (*file)->Read(0, (*file)->state_bytes());
  if (!state.ok()) return state.status();
  return Snapshot{(*file)->meta(), *std::move(state)};
}

absl::StatusOr<SnapshotStore::Chunk> SnapshotStore::Read(GroupId group, LogIndex index,
                                                         uint64_t offset,
                                                         size_t max_bytes) {
  std::unique_ptr<OpenFile>& file = sending_[{group, index}];
  if (file == nullptr) {
    auto opened = Open(group, index);
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
      (void)env_->Remove(Path(group, *found));
    }
  }
}

}  // namespace concordat::storage
