#include "wal/segment.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "wal/crc.h"

namespace concordat::wal {
namespace {

constexpr char kMagic[] = "CNCDWAL\n";
constexpr uint64_t kMagicBytes = 8;
constexpr size_t kMaxPayloadBytes = 64u << 20;

uint32_t RecordCrc(char type, std::string_view payload) {
  return Crc32(Crc32(0, {&type, 1}), payload);
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string sector(kSectorBytes, '\0');
  char* data = sector.data() + kSectorHeaderBytes;
  std::memcpy(data, kMagic, kMagicBytes);
  PutU32(data + 8, kFormatVersion);
  PutU32(data + 12, header.sectors);
  PutU64(data + 16, header.log_id);
  PutU64(data + 24, header.base_lsn.value());
  PutU64(data + 32, header.released.value());
  PutU32(data + 40, header.previous_end);
  SealSector(sector.data(), header.log_id, 0, header.generation, 0);
  return sector;
}

absl::StatusOr<SegmentHeader> DecodeSegmentHeader(const char* sector, uint64_t log_id,
                                                  uint32_t generation,
                                                  uint64_t file_bytes) {
  if (ClassifySector(sector, log_id, 0, generation) != SectorState::kNew) {
    return absl::DataLossError("the segment's header is damaged");
  }
  const char* data = SectorData(sector).data();
  if (std::memcmp(data, kMagic, kMagicBytes) != 0) {
    return absl::DataLossError("the segment's header has a wrong magic number");
  }
  if (const uint32_t version = GetU32(data + 8); version != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the segment has format version ",
                                                      version, ", this program reads ",
                                                      kFormatVersion));
  }
  SegmentHeader header;
  header.generation = generation;
  header.sectors = GetU32(data + 12);
  header.log_id = GetU64(data + 16);
  header.base_lsn = Lsn(GetU64(data + 24));
  header.released = Lsn(GetU64(data + 32));
  header.previous_end = GetU32(data + 40);
  if (header.log_id != log_id) {
    return absl::DataLossError("the segment belongs to another log");
  }
  if (uint64_t{header.sectors} * kSectorBytes != file_bytes) {
    return absl::DataLossError(absl::StrCat("the file has ", file_bytes,
                                            " bytes, its header says ",
                                            uint64_t{header.sectors} * kSectorBytes));
  }
  return header;
}

BatchHeader DecodeBatchHeader(std::string_view data) {
  BatchHeader header;
  header.body_bytes = GetU32(data.data());
  header.records = GetU32(data.data() + 4);
  header.first_lsn = Lsn(GetU64(data.data() + 8));
  header.released = Lsn(GetU64(data.data() + 16));
  return header;
}

bool TakeRecord(std::string_view* body, uint8_t* type, std::string_view* payload,
                bool* good) {
  *good = true;
  if (body->empty()) return false;
  *good = false;
  if (body->size() < kRecordOverhead) return false;
  const uint32_t length = GetU32(body->data());
  const uint32_t crc = GetU32(body->data() + 4);
  const char type_byte = (*body)[8];
  if (length > body->size() - kRecordOverhead) return false;
  const std::string_view bytes = body->substr(kRecordOverhead, length);
  if (crc != RecordCrc(type_byte, bytes)) return false;
  *good = true;
  *type = static_cast<uint8_t>(type_byte);
  *payload = bytes;
  body->remove_prefix(kRecordOverhead + length);
  return true;
}

void BatchBuilder::Put(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t used = out_.size() % kSectorBytes;
    if (used == 0) {
      out_.append(kSectorHeaderBytes, '\0');
      continue;
    }
    const size_t n = std::min(bytes.size(), kSectorBytes - used);
    out_.append(bytes.data(), n);
    bytes.remove_prefix(n);
  }
}

void BatchBuilder::Add(uint8_t type, std::string_view payload) {
  if (out_.empty()) Put(std::string_view(std::string(kBatchHeaderBytes, '\0')));
  char header[kRecordOverhead];
  PutU32(header, static_cast<uint32_t>(payload.size()));
  PutU32(header + 4, RecordCrc(static_cast<char>(type), payload));
  header[8] = static_cast<char>(type);
  Put({header, sizeof(header)});
  Put(payload);
  body_bytes_ += kRecordOverhead + payload.size();
  ++records_;
}

std::string* BatchBuilder::Seal(const SegmentHeader& segment, uint32_t first,
                                Lsn first_lsn, Lsn released) {
  if (out_.empty()) Put(std::string_view(std::string(kBatchHeaderBytes, '\0')));
  out_.resize((out_.size() + kSectorBytes - 1) / kSectorBytes * kSectorBytes, '\0');
  char* data = out_.data() + kSectorHeaderBytes;
  PutU32(data, static_cast<uint32_t>(body_bytes_));
  PutU32(data + 4, records_);
  PutU64(data + 8, first_lsn.value());
  PutU64(data + 16, released.value());
  const auto sectors = static_cast<uint32_t>(out_.size() / kSectorBytes);
  for (uint32_t i = 0; i < sectors; ++i) {
    SealSector(out_.data() + size_t{i} * kSectorBytes, segment.log_id, first + i,
               segment.generation, first);
  }
  return &out_;
}

void BatchBuilder::Clear() {
  out_.clear();
  body_bytes_ = 0;
  records_ = 0;
}

uint64_t SegmentCapacity(uint64_t segment_bytes) {
  // One sector is the header, and one is kept free for a release on a full disk.
  const uint64_t sectors = segment_bytes / kSectorBytes - 2;
  return sectors * kSectorDataBytes - kBatchHeaderBytes;
}

size_t MaxPayload(uint64_t segment_bytes) {
  return std::min<uint64_t>(kMaxPayloadBytes,
                            SegmentCapacity(segment_bytes) - kRecordOverhead);
}

}  // namespace concordat::wal
