#include "participant/resources/service/records.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/crc.h"

namespace concordat::participant::service {
namespace {

constexpr std::string_view kMagic("CNCDSV\0\1", 8);
constexpr size_t kHeadBytes = 12;  // magic and checksum

void EncodeNumbers(const std::vector<uint64_t>& numbers, ByteWriter* out) {
  out->Varint(numbers.size());
  for (const uint64_t number : numbers) out->Varint(number);
}

std::vector<uint64_t> DecodeNumbers(ByteReader* in) {
  std::vector<uint64_t> numbers;
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) numbers.push_back(in->Varint());
  return numbers;
}

absl::Status Damaged(std::string_view what, const BranchId& branch) {
  return absl::DataLossError(absl::StrCat(std::string(what), ": ", ToString(branch)));
}

}  // namespace

absl::Status LogState::Apply(uint8_t type, std::string_view payload) {
  ByteReader in(payload);
  const BranchId id = DecodeBranchId(&in);
  const BranchKey key(id);
  const auto kind = static_cast<RecordType>(type);
  uint64_t number = 0;
  std::vector<uint64_t> numbers;
  if (kind == RecordType::kTrying) number = in.Varint();
  if (kind == RecordType::kPrepared || kind == RecordType::kDeciding) {
    numbers = DecodeNumbers(&in);
  }
  if (!in.complete()) return absl::DataLossError("a record cannot be read");
  const auto it = open.find(key);
  switch (kind) {
    case RecordType::kTrying: {
      OpenBranch& branch = open[key];  // invalidates `it`
      if (branch.phase != Logged::kNothing && branch.phase != Logged::kTrying) {
        return Damaged("work in a branch that is asked to end", id);
      }
      branch.id = id;
      branch.phase = Logged::kTrying;
      branch.numbers.push_back(number);
      return absl::OkStatus();
    }
    case RecordType::kPrepared:
    case RecordType::kDeciding:
      if (it == open.end() || it->second.phase != Logged::kTrying) {
        return Damaged("the end of a branch that did not work", id);
      }
      it->second.phase =
          kind == RecordType::kPrepared ? Logged::kPrepared : Logged::kDeciding;
      it->second.numbers = std::move(numbers);
      return absl::OkStatus();
    case RecordType::kCommitted:
    case RecordType::kAlone:
      evidence.insert_or_assign(key, kind == RecordType::kAlone);
      open.erase(key);
      return absl::OkStatus();
    case RecordType::kCancelled:
      open.erase(key);
      return absl::OkStatus();
  }
  return absl::DataLossError("a record of an unknown type, of a newer version perhaps");
}

std::string TryingRecord(const BranchId& branch, uint64_t number) {
  ByteWriter out;
  Encode(branch, &out);
  out.Varint(number);
  return out.Take();
}

std::string NumbersRecord(const BranchId& branch, const std::vector<uint64_t>& numbers) {
  ByteWriter out;
  Encode(branch, &out);
  EncodeNumbers(numbers, &out);
  return out.Take();
}

std::string BranchRecord(const BranchId& branch) {
  ByteWriter out;
  Encode(branch, &out);
  return out.Take();
}

// --- checkpoint ---

void EncodeOpen(const OpenBranch& branch, ByteWriter* out) {
  Encode(branch.id, out);
  out->U8(static_cast<uint8_t>(branch.phase));
  EncodeNumbers(branch.numbers, out);
}

void EncodeEvidence(const BranchKey& branch, bool alone, ByteWriter* out) {
  Encode(BranchId{branch.gtid, "", branch.incarnation, branch.number}, out);
  out->U8(alone ? 1 : 0);
}

std::string CheckpointBytes(wal::Lsn start, uint64_t open_count, std::string_view open,
                            uint64_t evidence_count, std::string_view evidence) {
  ByteWriter first;
  first.Varint(start.value());
  first.Varint(open_count);
  ByteWriter second;
  second.Varint(evidence_count);
  std::string body = first.Take();
  body.append(open);
  body.append(second.str());
  body.append(evidence);
  ByteWriter crc;
  crc.U32(wal::Crc32(0, body));
  std::string bytes(kMagic);
  bytes += crc.str();
  bytes += body;
  return bytes;
}

absl::StatusOr<LogState> ParseCheckpoint(std::string_view bytes, wal::Lsn* start) {
  if (bytes.size() < kHeadBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError(
        "is not a checkpoint of a service, or of another format version");
  }
  ByteReader head(bytes.substr(kMagic.size(), 4));
  const uint32_t crc = head.U32();
  const std::string_view body = bytes.substr(kHeadBytes);
  if (wal::Crc32(0, body) != crc) return absl::DataLossError("checksum does not match");
  ByteReader in(body);
  LogState state;
  *start = wal::Lsn(in.Varint());
  const uint64_t open_count = in.Varint();
  for (uint64_t i = 0; i < open_count && in.ok(); ++i) {
    OpenBranch branch;
    branch.id = DecodeBranchId(&in);
    branch.phase = static_cast<Logged>(in.U8());
    branch.numbers = DecodeNumbers(&in);
    state.open.insert_or_assign(BranchKey(branch.id), std::move(branch));
  }
  const uint64_t evidence_count = in.Varint();
  for (uint64_t i = 0; i < evidence_count && in.ok(); ++i) {
    const BranchKey key(DecodeBranchId(&in));
    state.evidence.insert_or_assign(state.evidence.end(), key, in.U8() != 0);
  }
  if (!in.complete()) return absl::DataLossError("cannot be read");
  return state;
}

}  // namespace concordat::participant::service
