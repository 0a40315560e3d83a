#include "participant/resources/kv/checkpoint.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"
#include "participant/resources/kv/records.h"
#include "wal/crc.h"

namespace concordat::participant::kv {
namespace {

constexpr std::string_view kMagic("CNCDKV\0\1", 8);
constexpr size_t kFrameBytes = 8;
constexpr uint32_t kMaxBlockBytes = 1u << 30;

enum Kind : uint8_t { kStart = 1, kPrepared, kAlone, kEvidence, kRows, kEnd };

std::string FileName(const std::string& dir) { return dir + "/checkpoint"; }
std::string NewFileName(const std::string& dir) { return dir + "/checkpoint.new"; }

// --- reading ---

class Reader {
 public:
  Reader(const File* file, std::string path) : file_(file), path_(std::move(path)) {}

  absl::StatusOr<CheckpointState> Read() {
    std::string magic;
    if (!Take(kMagic.size(), &magic) || magic != kMagic) {
      return Damaged("is not a checkpoint of a KV shard, or of another format version");
    }
    while (!ended_) {
      if (absl::Status status = ReadBlock(); !status.ok()) return status;
    }
    return std::move(state_);
  }

 private:
  absl::Status Damaged(std::string_view what) const {
    return absl::DataLossError(
        absl::StrCat(path_, " at offset ", offset_, ": ", std::string(what),
                     "; restore the folder from a copy, or set the resource up anew"));
  }

  bool Take(size_t size, std::string* bytes) {
    bytes->resize(size);
    const absl::StatusOr<size_t> read = file_->ReadAt(offset_, size, bytes->data());
    if (!read.ok() || *read != size) return false;
    offset_ += size;
    return true;
  }

  absl::Status ReadBlock() {
    std::string frame;
    std::string body;
    if (!Take(kFrameBytes, &frame)) return Damaged("the file ends too early");
    ByteReader head(frame);
    const uint32_t length = head.U32();
    const uint32_t crc = head.U32();
    if (length == 0 || length > kMaxBlockBytes) return Damaged("impossible length");
    if (!Take(length, &body)) return Damaged("the file ends too early");
    if (wal::Crc32(0, body) != crc) return Damaged("checksum does not match");
    ByteReader in(body);
    if (!Load(&in) || !in.complete()) return Damaged("block cannot be read");
    ++blocks_;
    return absl::OkStatus();
  }

  bool Load(ByteReader* in) {
    const uint8_t kind = in->U8();
    if ((blocks_ == 0) != (kind == kStart)) return false;
    switch (kind) {
      case kStart:
        state_.start = wal::Lsn(in->Varint());
        return true;
      case kPrepared: {
        BranchId branch = DecodeBranchId(in);
        state_.prepared.push_back({std::move(branch), DecodeWrites(in), wal::Lsn()});
        return true;
      }
      case kAlone: {
        const wal::Lsn record(in->Varint());
        BranchId branch = DecodeBranchId(in);
        state_.alone.push_back({std::move(branch), DecodeWrites(in), record});
        return true;
      }
      case kEvidence:
        return LoadEvidence(in);
      case kRows:
        return LoadRows(in);
      case kEnd:
        ended_ = true;
        return in->Varint() == blocks_;
      default:
        return false;
    }
  }

  bool LoadEvidence(ByteReader* in) {
    const uint64_t count = in->Varint();
    for (uint64_t i = 0; i < count && in->ok(); ++i) {
      const BranchKey branch(DecodeBranchId(in));
      state_.evidence.Add(branch, static_cast<Evidence>(in->U8()));
    }
    return in->ok();
  }

  bool LoadRows(ByteReader* in) {
    const uint64_t count = in->Varint();
    for (uint64_t i = 0; i < count && in->ok(); ++i) {
      std::string key(in->Bytes());
      std::string value(in->Bytes());
      state_.rows.insert_or_assign(state_.rows.end(), std::move(key),
                                   Row{std::move(value), in->Varint()});
    }
    return in->ok();
  }

  const File* const file_;
  const std::string path_;
  uint64_t offset_ = 0;
  uint64_t blocks_ = 0;
  bool ended_ = false;
  CheckpointState state_;
};

}  // namespace

absl::StatusOr<CheckpointState> ReadCheckpoint(FileEnv* env, const std::string& dir) {
  absl::StatusOr<std::unique_ptr<File>> file = env->OpenReadOnly(FileName(dir));
  if (!file.ok()) return file.status();
  return Reader(file->get(), FileName(dir)).Read();
}

// --- writing ---

absl::StatusOr<std::unique_ptr<CheckpointWriter>> CheckpointWriter::Create(
    FileEnv* env, const std::string& dir) {
  std::unique_ptr<CheckpointWriter> writer(new CheckpointWriter(env, dir));
  // Left by an earlier attempt.
  const absl::Status removed = env->Remove(NewFileName(dir));
  if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  absl::StatusOr<std::unique_ptr<File>> file = env->Create(NewFileName(dir));
  if (!file.ok()) return file.status();
  writer->file_ = *std::move(file);
  if (absl::Status s = writer->file_->WriteAt(0, kMagic); !s.ok()) return s;
  writer->offset_ = kMagic.size();
  return writer;
}

absl::Status CheckpointWriter::AddBlock(std::string_view body) {
  ByteWriter frame;
  frame.U32(static_cast<uint32_t>(body.size()));
  frame.U32(wal::Crc32(0, body));
  if (absl::Status s = file_->WriteAt(offset_, frame.str()); !s.ok()) return s;
  if (absl::Status s = file_->WriteAt(offset_ + kFrameBytes, body); !s.ok()) return s;
  offset_ += kFrameBytes + body.size();
  ++blocks_;
  return absl::OkStatus();
}

absl::Status CheckpointWriter::AddStart(wal::Lsn start) {
  ByteWriter out;
  out.U8(kStart);
  out.Varint(start.value());
  return AddBlock(out.str());
}

absl::Status CheckpointWriter::AddPrepared(const BranchWrites& branch) {
  ByteWriter out;
  out.U8(kPrepared);
  concordat::Encode(branch.branch, &out);
  Encode(branch.writes, &out);
  return AddBlock(out.str());
}

absl::Status CheckpointWriter::AddAlone(const BranchWrites& branch) {
  ByteWriter out;
  out.U8(kAlone);
  out.Varint(branch.record.value());
  concordat::Encode(branch.branch, &out);
  Encode(branch.writes, &out);
  return AddBlock(out.str());
}

absl::Status CheckpointWriter::Finish() {
  ByteWriter out;
  out.U8(kEnd);
  out.Varint(blocks_);
  if (absl::Status s = AddBlock(out.str()); !s.ok()) return s;
  return file_->Sync();
}

absl::Status CheckpointWriter::Install() {
  file_.reset();
  if (absl::Status s = env_->Rename(NewFileName(dir_), FileName(dir_)); !s.ok()) return s;
  return env_->SyncDir(dir_);
}

std::string EncodeEvidence(const EvidenceTable::Bucket& bucket) {
  ByteWriter out;
  out.U8(kEvidence);
  out.Varint(bucket.size());
  for (const auto& [key, evidence] : bucket) {
    concordat::Encode(BranchId{key.gtid, "", key.incarnation, key.number}, &out);
    out.U8(static_cast<uint8_t>(evidence));
  }
  return out.Take();
}

std::string EncodeRows(const Rows& rows, size_t max_bytes, std::string* from,
                       bool* done) {
  ByteWriter body;
  uint64_t count = 0;
  auto it = rows.lower_bound(*from);
  for (; it != rows.end() && body.str().size() < max_bytes; ++it, ++count) {
    body.Bytes(it->first);
    body.Bytes(it->second.value);
    body.Varint(it->second.version);
  }
  *done = it == rows.end();
  if (!*done) *from = it->first;
  ByteWriter out;
  out.U8(kRows);
  out.Varint(count);
  std::string bytes = out.Take();
  bytes += body.str();
  return bytes;
}

}  // namespace concordat::participant::kv
