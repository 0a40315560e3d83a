#include "coordinator/storage/snapshot_file.h"

#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/directory.h"

namespace concordat::storage {

namespace {

constexpr std::string_view kMagic = "CNCDSNP5";
constexpr size_t kHeadBytes = 64 * 1024;  // larger than any header
constexpr size_t kBlockBytes = size_t{64} << 10;
constexpr size_t kCrcBytes = 4;
constexpr size_t kFooterBytes = 16;
// The most that is written between two flushes, so that the flush of the log does not
// wait for a whole snapshot.
constexpr uint64_t kSyncBytes = uint64_t{4} << 20;

uint32_t Crc(std::string_view bytes, uint32_t before = 0) {
  return static_cast<uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

uint64_t BlocksOf(uint64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

// All bytes of the file before the state.
std::string EncodeHead(uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta) {
  ByteWriter header;
  header.U64(log_id);
  header.Varint(group.value());
  header.Varint(meta.index.value());
  header.Varint(meta.term.value());
  header.Bytes(raft::EncodeConfiguration(meta.configuration));
  ByteWriter head;
  head.Bytes(header.str());
  head.U32(Crc(header.str()));
  return std::string(kMagic) + head.Take();
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

struct Header {
  uint64_t log_id = 0;
  raft::SnapshotMeta meta;
  uint64_t end = 0;  // offset of the state
};

// `head` is the beginning of the file.
absl::StatusOr<Header> ParseHeader(const std::string& path, std::string_view head) {
  if (head.substr(0, kMagic.size()) != kMagic) return Damaged(path, "not a snapshot");
  ByteReader frame(head.substr(kMagic.size()));
  const std::string_view bytes = frame.Bytes();
  const uint32_t crc = frame.U32();
  if (!frame.ok() || Crc(bytes) != crc) return Damaged(path, "its header");
  Header header;
  header.end = head.size() - frame.remaining();
  ByteReader in(bytes);
  header.log_id = in.U64();
  (void)in.Varint();  // the group; the file's name has it too
  header.meta.index = LogIndex(in.Varint());
  header.meta.term = Term(in.Varint());
  auto configuration = raft::DecodeConfiguration(in.Bytes());
  if (!configuration.has_value()) return Damaged(path, "its members");
  header.meta.configuration = *std::move(configuration);
  return in.complete() ? absl::StatusOr<Header>(std::move(header))
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

absl::StatusOr<Header> ReadHeader(const File& file, const std::string& path) {
  std::string head(kHeadBytes, '\0');
  const auto read = file.ReadAt(0, head.size(), head.data());
  if (!read.ok()) return read.status();
  head.resize(*read);
  return ParseHeader(path, head);
}

}  // namespace

// --- SnapshotWriter ------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<SnapshotWriter>> SnapshotWriter::Create(
    Place place, uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta) {
  const std::string path = absl::StrCat(place.dir, "/", place.temporary);
  (void)place.env->Remove(path);  // left from an attempt that has failed
  auto file = place.env->Create(path);
  if (!file.ok()) return file.status();
  std::unique_ptr<SnapshotWriter> writer(
      new SnapshotWriter(std::move(place), *std::move(file)));
  absl::Status written = writer->Write(EncodeHead(log_id, group, meta));
  if (!written.ok()) return written;
  return writer;
}

SnapshotWriter::~SnapshotWriter() {
  file_.reset();
  if (finished_) return;
  (void)place_.env->Remove(absl::StrCat(place_.dir, "/", place_.temporary));
}

absl::Status SnapshotWriter::Write(std::string_view bytes) {
  if (absl::Status s = file_->WriteAt(end_, bytes); !s.ok()) return s;
  end_ += bytes.size();
  if (end_ - synced_ < kSyncBytes) return absl::OkStatus();
  synced_ = end_;
  return file_->Sync();
}

absl::Status SnapshotWriter::Append(std::string_view part) {
  for (std::string_view rest = part; !rest.empty();) {
    const uint64_t room = kBlockBytes - state_bytes_ % kBlockBytes;
    const std::string_view now = rest.substr(0, room);
    block_crc_ = Crc(now, block_crc_);
    state_bytes_ += now.size();
    if (now.size() == room) checksums_.U32(std::exchange(block_crc_, 0));
    rest.remove_prefix(now.size());
  }
  return Write(part);
}

absl::Status SnapshotWriter::Finish() {
  if (state_bytes_ % kBlockBytes != 0) checksums_.U32(block_crc_);
  ByteWriter footer;
  footer.U64(state_bytes_);
  footer.U32(Crc(checksums_.str()));
  footer.U32(Crc(footer.str()));
  absl::Status status = Write(checksums_.str());
  if (status.ok()) status = Write(footer.str());
  if (status.ok()) status = file_->Sync();
  const std::string dir = place_.dir + "/";
  if (status.ok()) {
    status = place_.env->Rename(dir + place_.temporary, dir + place_.name);
    finished_ = status.ok();
  }
  return status.ok() ? place_.env->SyncDir(place_.dir) : status;
}

// --- SnapshotFile --------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<SnapshotFile>> SnapshotFile::Open(FileEnv* env,
                                                                 std::string path,
                                                                 uint64_t log_id) {
  auto opened = env->OpenReadOnly(path);
  if (!opened.ok()) return opened.status();
  std::unique_ptr<SnapshotFile> file(
      new SnapshotFile(std::move(path), *std::move(opened)));
  auto header = ReadHeader(*file->file_, file->path_);
  if (!header.ok()) return header.status();
  file->meta_ = std::move(header->meta);
  file->state_at_ = header->end;
  absl::Status status = CheckLog(file->path_, header->log_id, log_id);
  if (status.ok()) status = file->ReadChecksums();
  if (!status.ok()) return status;
  return file;
}

absl::Status SnapshotFile::CheckOwner(FileEnv* env, const std::string& path,
                                      uint64_t log_id) {
  const auto file = env->OpenReadOnly(path);
  if (!file.ok()) return file.status();
  const auto header = ReadHeader(**file, path);
  if (absl::IsDataLoss(header.status())) return absl::OkStatus();
  return header.ok() ? CheckLog(path, header->log_id, log_id) : header.status();
}

absl::Status SnapshotFile::ReadChecksums() {
  const auto file_bytes = file_->Size();
  if (!file_bytes.ok()) return file_bytes.status();
  if (*file_bytes < state_at_ + kFooterBytes) return Damaged(path_, "its length");
  const auto footer = ReadAll(*file_, path_, *file_bytes - kFooterBytes, kFooterBytes);
  if (!footer.ok()) return footer.status();
  ByteReader end(*footer);
  state_bytes_ = end.U64();
  const uint32_t table_crc = end.U32();
  if (end.U32() != Crc(std::string_view(*footer).substr(0, kFooterBytes - kCrcBytes))) {
    return Damaged(path_, "its end");
  }
  const uint64_t table = BlocksOf(state_bytes_) * kCrcBytes;
  if (state_bytes_ > *file_bytes ||
      *file_bytes != state_at_ + state_bytes_ + table + kFooterBytes) {
    return Damaged(path_, "its length");
  }
  const auto bytes = ReadAll(*file_, path_, state_at_ + state_bytes_, table);
  if (!bytes.ok()) return bytes.status();
  if (Crc(*bytes) != table_crc) return Damaged(path_, "its checksums");
  ByteReader in(*bytes);
  while (!in.at_end()) checksums_.push_back(in.U32());
  return absl::OkStatus();
}

absl::StatusOr<std::string> SnapshotFile::Read(uint64_t offset, uint64_t size) const {
  if (size == 0) return std::string();
  const uint64_t first = offset / kBlockBytes;
  const uint64_t begin = first * kBlockBytes;
  const uint64_t end = std::min(BlocksOf(offset + size) * kBlockBytes, state_bytes_);
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

}  // namespace concordat::storage
