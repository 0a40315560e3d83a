#include "wal/recovery.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "wal/segment_reader.h"

namespace concordat::wal {
namespace {

class Recovery {
 public:
  Recovery(FileEnv* env, std::string dir, uint64_t log_id, const ReadCallback& on_record)
      : env_(env), dir_(std::move(dir)), log_id_(log_id), on_record_(on_record) {}

  absl::StatusOr<Recovered> Run(const Listing& listing);

 private:
  absl::Status OpenSegments(const Listing& listing);
  absl::Status ReplaySealed(SegmentReader* reader, const SegmentHeader& next);
  absl::Status ReplayLast(SegmentReader* reader);
  absl::Status TruncateTail(SegmentReader* reader, const BatchRead& batch);
  void Replay(const BatchRead& batch);

  FileEnv* const env_;
  const std::string dir_;
  const uint64_t log_id_;
  const ReadCallback& on_record_;
  std::vector<std::unique_ptr<SegmentReader>> readers_;
  Recovered result_;
};

// Segments are numbered without a gap and are removed only from the front. So the
// segments below a gap were released, and their removal did not reach the disk.
size_t FirstWithoutGap(const std::vector<uint32_t>& segments) {
  size_t first = segments.size() - 1;
  while (first > 0 && segments[first - 1] + 1 == segments[first]) --first;
  return first;
}

absl::Status Recovery::OpenSegments(const Listing& listing) {
  const size_t first = FirstWithoutGap(listing.segments);
  for (size_t i = 0; i < listing.segments.size(); ++i) {
    const uint32_t generation = listing.segments[i];
    if (i < first) {
      result_.remnants.push_back(generation);
      continue;
    }
    auto reader =
        SegmentReader::Open(env_, SegmentPath(dir_, generation), log_id_, generation);
    if (!reader.ok()) return reader.status();
    const SegmentHeader& header = (*reader)->header();
    result_.segments.push_back(
        {generation, header.base_lsn, uint64_t{header.sectors} * kSectorBytes});
    result_.released = std::max(result_.released, header.released);
    readers_.push_back(*std::move(reader));
  }
  return absl::OkStatus();
}

void Recovery::Replay(const BatchRead& batch) {
  std::string_view body = batch.body;
  uint8_t type = 0;
  std::string_view payload;
  bool good = true;
  while (TakeRecord(&body, &type, &payload, &good)) {
    if (on_record_) on_record_(result_.next_lsn, type, payload);
    result_.next_lsn = result_.next_lsn.Next();
  }
  result_.released = std::max(result_.released, batch.header.released);
}

// Replays a segment that has a successor. The successor's header, which was flushed
// before its file got its name, says where this segment ends. Everything up to there
// was flushed.
absl::Status Recovery::ReplaySealed(SegmentReader* reader, const SegmentHeader& next) {
  uint32_t at = 1;
  while (at < next.previous_end) {
    auto batch = reader->ReadBatch(at, result_.next_lsn);
    if (!batch.ok()) return batch.status();
    if (batch->state == BatchState::kBad) {
      return DamageAt(reader->path(), batch->problem_sector, batch->problem);
    }
    if (batch->state != BatchState::kWhole) {
      return DamageAt(reader->path(), at,
                      absl::StrCat("a flushed batch, from record ",
                                   result_.next_lsn.value(), ", is not whole"));
    }
    Replay(*batch);
    at += batch->sectors;
  }
  if (at != next.previous_end || next.base_lsn != result_.next_lsn) {
    return DamageAt(reader->path(), at,
                    "the segment's end does not fit the next one's header");
  }
  return absl::OkStatus();
}

absl::Status Recovery::ReplayLast(SegmentReader* reader) {
  uint32_t at = 1;
  for (;;) {
    auto batch = reader->ReadBatch(at, result_.next_lsn);
    if (!batch.ok()) return batch.status();
    if (batch->state == BatchState::kBad) {
      return DamageAt(reader->path(), batch->problem_sector, batch->problem);
    }
    if (batch->state != BatchState::kWhole) {
      result_.tail = at;
      return TruncateTail(reader, *batch);
    }
    Replay(*batch);
    result_.last_batch = at;
    at += batch->sectors;
  }
}

// A batch is written only after the batch before it was flushed. So if there is anything
// of a later batch, the batch at the tail was flushed and may have been promised.
absl::Status Recovery::TruncateTail(SegmentReader* reader, const BatchRead& batch) {
  auto later = reader->FindLaterBatch(batch);
  if (!later.ok()) return later.status();
  if (*later != 0) {
    return DamageAt(
        reader->path(), batch.first,
        absl::StrCat("a batch, from record ", result_.next_lsn.value(),
                     ", is not whole, yet a later one at offset ",
                     uint64_t{*later} * kSectorBytes, " proves that it was flushed"));
  }
  auto end = reader->EndOfLeftovers(batch.first);
  if (!end.ok()) return end.status();
  result_.leftovers_end = *end;
  return absl::OkStatus();
}

absl::StatusOr<Recovered> Recovery::Run(const Listing& listing) {
  if (listing.segments.empty()) {
    return absl::DataLossError(dir_ + " has lost its segments");
  }
  if (absl::Status status = OpenSegments(listing); !status.ok()) return status;
  result_.next_lsn = result_.segments.front().base_lsn;
  for (size_t i = 0; i + 1 < readers_.size(); ++i) {
    absl::Status status = ReplaySealed(readers_[i].get(), readers_[i + 1]->header());
    if (!status.ok()) return status;
    readers_[i].reset();
  }
  if (absl::Status status = ReplayLast(readers_.back().get()); !status.ok()) {
    return status;
  }
  result_.last = readers_.back()->header();
  const Lsn first = result_.segments.front().base_lsn;
  if (first > Lsn(1) && first > result_.released) {
    return absl::DataLossError(
        absl::StrCat(dir_, " begins with record ", first.value(), ", but those from ",
                     std::max<uint64_t>(result_.released.value(), 1),
                     " on were not released: a segment before number ",
                     result_.segments.front().generation, " is missing"));
  }
  return std::move(result_);
}

}  // namespace

absl::StatusOr<Recovered> Recover(FileEnv* env, const std::string& dir,
                                  const Listing& listing, uint64_t log_id,
                                  const ReadCallback& on_record) {
  return Recovery(env, dir, log_id, on_record).Run(listing);
}

}  // namespace concordat::wal
