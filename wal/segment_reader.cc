#include "wal/segment_reader.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace concordat::wal {
namespace {

constexpr size_t kWindowBytes = 256u << 10;

BatchRead Bad(BatchRead batch, uint32_t sector, std::string problem) {
  batch.state = BatchState::kBad;
  batch.problem_sector = sector;
  batch.problem = std::move(problem);
  return batch;
}

}  // namespace

absl::Status DamageAt(const std::string& path, uint32_t sector, std::string_view what) {
  return absl::DataLossError(absl::StrCat(
      path, " at offset ", uint64_t{sector} * kSectorBytes, ": ", std::string(what)));
}

absl::StatusOr<std::unique_ptr<SegmentReader>> SegmentReader::Open(
    FileEnv* env, const std::string& path, uint64_t log_id, uint32_t generation) {
  auto file = env->OpenReadOnly(path);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  std::unique_ptr<SegmentReader> reader(new SegmentReader(*std::move(file), path, *size));
  auto sector = reader->Sector(0);
  if (!sector.ok()) return sector.status();
  auto header = DecodeSegmentHeader(*sector, log_id, generation, *size);
  if (!header.ok()) {
    return absl::Status(header.status().code(),
                        absl::StrCat(path, " at offset 0: ", header.status().message()));
  }
  reader->header_ = *header;
  return reader;
}

absl::StatusOr<const char*> SegmentReader::Sector(uint32_t index) {
  const size_t held = window_.size() / kSectorBytes;
  if (index < window_first_ || index >= window_first_ + held) {
    const uint64_t offset = uint64_t{index} * kSectorBytes;
    window_.resize(
        std::min<uint64_t>(kWindowBytes, std::max(file_bytes_, offset) - offset));
    auto read = file_->ReadAt(offset, window_.size(), window_.data());
    if (!read.ok()) return read.status();
    window_.resize(*read / kSectorBytes * kSectorBytes);
    window_first_ = index;
    if (window_.empty()) return DamageAt(path_, index, "the file ends here");
  }
  return window_.data() + size_t{index - window_first_} * kSectorBytes;
}

absl::StatusOr<BatchRead> SegmentReader::ReadBatch(uint32_t first, Lsn first_lsn) {
  BatchRead batch;
  batch.first = first;
  if (first >= header_.sectors) return batch;
  auto sector = Sector(first);
  if (!sector.ok()) return sector.status();
  const SectorState state = Classify(*sector, first);
  if (state == SectorState::kOld) return batch;
  if (state == SectorState::kBad) return Bad(batch, first, "damaged sector");
  if (SectorBatchFirst(*sector) != first) {
    return Bad(batch, first, "a sector of another batch stands where one must begin");
  }
  batch.header = DecodeBatchHeader(SectorData(*sector));
  const uint64_t sectors = BatchSectors(batch.header.body_bytes);
  if (sectors > header_.sectors - first) {
    return Bad(batch, first, "a batch reaches beyond the segment's end");
  }
  if (batch.header.first_lsn != first_lsn) {
    return Bad(batch, first,
               absl::StrCat("a batch begins with record ", batch.header.first_lsn.value(),
                            " where ", first_lsn.value(), " is due"));
  }
  batch.sectors = static_cast<uint32_t>(sectors);
  batch.body = std::string(SectorData(*sector).substr(kBatchHeaderBytes));
  if (absl::Status status = ReadRest(&batch); !status.ok()) return status;
  if (batch.state != BatchState::kWhole) return batch;
  if (std::string problem = CheckRecords(batch); !problem.empty()) {
    return Bad(batch, first, problem);
  }
  return batch;
}

absl::Status SegmentReader::ReadRest(BatchRead* batch) {
  batch->state = BatchState::kWhole;
  for (uint32_t i = batch->first + 1; i < batch->first + batch->sectors; ++i) {
    auto sector = Sector(i);
    if (!sector.ok()) return sector.status();
    const SectorState state = Classify(*sector, i);
    if (state == SectorState::kOld) {
      batch->state = BatchState::kTorn;
    } else if (state == SectorState::kBad) {
      *batch = Bad(*batch, i, "damaged sector");
      return absl::OkStatus();
    } else if (SectorBatchFirst(*sector) != batch->first) {
      *batch = Bad(*batch, i, "a sector of another batch stands inside this one");
      return absl::OkStatus();
    }
    batch->body.append(SectorData(*sector));
  }
  batch->body.resize(std::min<size_t>(batch->body.size(), batch->header.body_bytes));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> SegmentReader::FindLaterBatch(const BatchRead& torn) {
  for (uint32_t i = torn.first + 1; i < header_.sectors; ++i) {
    auto sector = Sector(i);
    if (!sector.ok()) return sector.status();
    if (SectorGeneration(*sector) != header_.generation) continue;
    if (Classify(*sector, i) != SectorState::kNew) continue;
    const bool own = SectorBatchFirst(*sector) == torn.first &&
                     (torn.sectors == 0 || i < torn.first + torn.sectors);
    if (!own) return i;
  }
  return 0;
}

absl::StatusOr<uint32_t> SegmentReader::FindBatchStart(uint32_t from) {
  for (uint32_t i = from; i < header_.sectors; ++i) {
    auto sector = Sector(i);
    if (!sector.ok()) return sector.status();
    if (SectorGeneration(*sector) != header_.generation) continue;
    if (SectorBatchFirst(*sector) != i) continue;
    if (Classify(*sector, i) == SectorState::kNew) return i;
  }
  return 0;
}

absl::StatusOr<uint32_t> SegmentReader::EndOfLeftovers(uint32_t from) {
  uint32_t end = from;
  for (uint32_t i = from; i < header_.sectors; ++i) {
    auto sector = Sector(i);
    if (!sector.ok()) return sector.status();
    if (SectorGeneration(*sector) == header_.generation) end = i + 1;
  }
  return end;
}

std::string CheckRecords(const BatchRead& batch) {
  std::string_view body = batch.body;
  uint8_t type = 0;
  std::string_view payload;
  bool good = true;
  uint32_t count = 0;
  while (TakeRecord(&body, &type, &payload, &good)) ++count;
  if (!good) return absl::StrCat("record ", count, " of a batch has a wrong checksum");
  if (count != batch.header.records) {
    return absl::StrCat("a batch has ", count, " records, its header says ",
                        batch.header.records);
  }
  return "";
}

}  // namespace concordat::wal
