#include "wal/dump.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "wal/directory.h"
#include "wal/segment_reader.h"

namespace concordat::wal {
namespace {

class Dumper {
 public:
  Dumper(FileEnv* env, std::string dir, const DumpOptions& options, std::ostream& out)
      : env_(env), dir_(std::move(dir)), options_(options), out_(out) {}

  absl::Status Run();

 private:
  absl::Status PrintSegments(const Listing& listing);
  absl::Status PrintSegment(SegmentReader* reader, const SegmentHeader* next);
  // Prints what is at the place of `batch`, which is not whole. Returns the sector
  // where the dump continues; 0: there is nothing more.
  absl::StatusOr<uint32_t> PrintGap(SegmentReader* reader, const BatchRead& batch,
                                    const SegmentHeader* next);
  void PrintBatch(const BatchRead& batch);
  void PrintRecord(Lsn lsn, uint8_t type, std::string_view payload);
  void Damage(const std::string& what);
  void CheckStart(Lsn first);

  FileEnv* const env_;
  const std::string dir_;
  const DumpOptions& options_;
  bool format_ = false;  // print records with options_.format
  std::ostream& out_;
  uint64_t log_id_ = 0;
  Lsn next_lsn_;              // the next record that is due; none: not known
  Lsn released_;              // the highest `released` so far
  std::string first_damage_;  // empty: no damage so far
};

void Dumper::Damage(const std::string& what) {
  if (first_damage_.empty()) first_damage_ = what;
  out_ << "  DAMAGED " << what << "\n";
}

void Dumper::PrintRecord(Lsn lsn, uint8_t type, std::string_view payload) {
  if (lsn < options_.from || lsn > options_.to) return;
  out_ << "    " << lsn << " type=" << +type << " size=" << payload.size() << " crc=ok ";
  if (format_) {
    out_ << options_.format(lsn, type, payload) << "\n";
    return;
  }
  const std::string_view head = payload.substr(0, options_.hex_bytes);
  out_ << absl::BytesToHexString(absl::string_view(head.data(), head.size()))
       << (head.size() < payload.size() ? "..." : "") << "\n";
}

void Dumper::PrintBatch(const BatchRead& batch) {
  released_ = std::max(released_, batch.header.released);
  const Lsn first = batch.header.first_lsn;
  next_lsn_ = Lsn(first.value() + batch.header.records);
  if (!options_.records || first > options_.to || next_lsn_ <= options_.from) return;
  out_ << "  batch offset=" << uint64_t{batch.first} * kSectorBytes
       << " sectors=" << batch.sectors << " records=" << batch.header.records;
  if (!batch.header.released.is_none()) out_ << " released=" << batch.header.released;
  out_ << "\n";
  std::string_view body = batch.body;
  uint8_t type = 0;
  std::string_view payload;
  bool good = true;
  Lsn lsn = first;
  while (TakeRecord(&body, &type, &payload, &good)) {
    PrintRecord(lsn, type, payload);
    lsn = lsn.Next();
  }
}

absl::StatusOr<uint32_t> Dumper::PrintGap(SegmentReader* reader, const BatchRead& batch,
                                          const SegmentHeader* next) {
  const uint64_t offset = uint64_t{batch.first} * kSectorBytes;
  auto later = reader->FindLaterBatch(batch);
  if (!later.ok()) return later.status();
  if (batch.state == BatchState::kBad) {
    Damage(absl::StrCat("at offset ", uint64_t{batch.problem_sector} * kSectorBytes, ": ",
                        batch.problem, "; record ", next_lsn_.value(), " was due"));
  } else if (next != nullptr || *later != 0) {
    Damage(absl::StrCat("at offset ", offset, ": a flushed batch, from record ",
                        next_lsn_.value(), ", is not whole"));
  } else if (batch.state == BatchState::kTorn) {
    out_ << "  torn batch at offset=" << offset
         << ", never promised, truncated at next start\n";
  }
  return reader->FindBatchStart(batch.first + 1);
}

absl::Status Dumper::PrintSegment(SegmentReader* reader, const SegmentHeader* next) {
  const SegmentHeader& header = reader->header();
  out_ << reader->path() << " generation=" << header.generation
       << " bytes=" << uint64_t{header.sectors} * kSectorBytes
       << " first_lsn=" << header.base_lsn << " released=" << header.released << "\n";
  released_ = std::max(released_, header.released);
  if (!next_lsn_.is_none() && next_lsn_ != header.base_lsn) {
    Damage(absl::StrCat("records ", next_lsn_.value(), " to ",
                        header.base_lsn.Previous().value(), " are missing before this"));
  }
  next_lsn_ = header.base_lsn;
  uint32_t at = 1;
  while (next == nullptr || at < next->previous_end) {
    auto batch = reader->ReadBatch(at, next_lsn_);
    if (!batch.ok()) return batch.status();
    if (batch->state == BatchState::kWhole) {
      PrintBatch(*batch);
      at += batch->sectors;
      continue;
    }
    auto on = PrintGap(reader, *batch, next);
    if (!on.ok()) return on.status();
    if (*on == 0 || (next != nullptr && *on >= next->previous_end)) break;
    // After damage, the numbers continue with what the next good batch says.
    at = *on;
    auto sector = reader->Sector(at);
    if (!sector.ok()) return sector.status();
    next_lsn_ = DecodeBatchHeader(SectorData(*sector)).first_lsn;
  }
  out_ << "  end next_lsn=" << next_lsn_ << "\n";
  return absl::OkStatus();
}

absl::Status Dumper::PrintSegments(const Listing& listing) {
  std::vector<std::pair<uint32_t, absl::StatusOr<std::unique_ptr<SegmentReader>>>> all;
  for (const uint32_t generation : listing.segments) {
    all.emplace_back(generation, SegmentReader::Open(env_, SegmentPath(dir_, generation),
                                                     log_id_, generation));
  }
  Lsn first;
  for (size_t i = 0; i < all.size(); ++i) {
    auto& [generation, reader] = all[i];
    if (!reader.ok()) {
      out_ << SegmentPath(dir_, generation) << "\n";
      Damage(std::string(reader.status().message()));
      continue;
    }
    const bool gap = i > 0 && all[i - 1].first + 1 != generation;
    if (gap) {
      out_ << "(segments before number " << generation << " are missing)\n";
      next_lsn_ = Lsn();
    }
    if (gap || first.is_none()) first = (*reader)->header().base_lsn;
    const bool last = i + 1 == all.size();
    const SegmentHeader* next =
        last || !all[i + 1].second.ok() || all[i + 1].first != generation + 1
            ? nullptr
            : &(*all[i + 1].second)->header();
    if (absl::Status status = PrintSegment(reader->get(), next); !status.ok()) {
      return status;
    }
  }
  CheckStart(first);
  return absl::OkStatus();
}

void Dumper::CheckStart(Lsn first) {
  if (first_damage_.empty() && first > Lsn(1) && first > released_) {
    Damage(absl::StrCat("records from ", std::max<uint64_t>(released_.value(), 1), " to ",
                        first.Previous().value(), " are missing and were not released"));
  }
}

absl::Status Dumper::Run() {
  auto listing = ListLog(env_, dir_);
  if (!listing.ok()) return listing.status();
  if (!listing->identity) {
    return absl::FailedPreconditionError(dir_ + " is not a log: it has no IDENTITY");
  }
  auto identity = ReadIdentity(env_, dir_);
  if (!identity.ok()) return identity.status();
  log_id_ = identity->log_id;
  format_ = options_.format && identity->owner.starts_with(options_.format_owner);
  out_ << "log " << absl::StrCat(absl::Hex(log_id_, absl::kZeroPad16)) << " owner "
       << identity->owner << " format " << kFormatVersion << "\n"
       << listing->segments.size() << " segments, " << listing->spares.size()
       << " spare files\n";
  if (listing->segments.empty()) Damage("the log has lost its segments");
  if (absl::Status status = PrintSegments(*listing); !status.ok()) return status;
  if (first_damage_.empty()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(dir_, " is damaged: ", first_damage_));
}

}  // namespace

absl::Status Dump(FileEnv* env, const std::string& dir, const DumpOptions& options,
                  std::ostream& out) {
  return Dumper(env, dir, options, out).Run();
}

}  // namespace concordat::wal
