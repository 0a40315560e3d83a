#include "wal/log.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "wal/directory.h"
#include "wal/recovery.h"
#include "wal/segment.h"
#include "wal/spare_pool.h"

namespace concordat::wal {
namespace {

constexpr uint64_t kMaxSegmentBytes = 1ull << 30;
constexpr uint64_t kZeroAheadBytes = 256u << 10;

class SegmentedLog final : public Log {
 public:
  SegmentedLog(FileEnv* env, LogOptions options, std::unique_ptr<FileLock> lock)
      : env_(env),
        options_(std::move(options)),
        lock_(std::move(lock)),
        spares_(env, options_.dir, options_.segment_bytes) {
    const uint64_t capacity = SegmentCapacity(options_.segment_bytes);
    reserve_segments_ =
        std::max<uint64_t>(1, (options_.reserve_bytes + capacity - 1) / capacity);
  }

  // A new log begins with Create, an existing one with Recover. One of them is called
  // once.
  absl::Status Create();
  absl::Status Recover(const Listing& listing, const ReadCallback& on_record);

  absl::StatusOr<Lsn> Append(uint8_t type, std::string_view payload,
                             Reserve use) override;
  void Sync() override;
  uint64_t log_id() const override { return log_id_; }
  Lsn next_lsn() const override { return next_lsn_; }
  Lsn durable_lsn() const override { return durable_lsn_; }
  Lsn first_lsn() const override { return segments_.front().base_lsn; }
  void ReleaseBefore(Lsn lsn) override;
  absl::Status PrepareSpace() override { return spares_.Fill(reserve_segments_ + 1); }
  size_t spare_segments() const override { return spares_.size(); }
  size_t reserve_segments() const override { return reserve_segments_; }
  size_t max_payload() const override { return MaxPayload(options_.segment_bytes); }

 private:
  [[nodiscard]] bool Fits(size_t payload_bytes) const;
  [[nodiscard]] absl::Status CheckSpace(bool fits, Reserve use);
  void FillReserve();
  void StartSegment();
  void WriteBatch();
  void PadWithZeros(uint64_t start, std::string* bytes) const;
  void CleanTail(const Recovered& recovered);
  // How many segments can be reused once the release is on disk.
  [[nodiscard]] size_t Releasable() const;
  void WriteRelease();
  void Recycle();

  FileEnv* const env_;
  const LogOptions options_;
  const std::unique_ptr<FileLock> lock_;
  uint64_t log_id_ = 0;
  uint64_t reserve_segments_ = 1;
  SparePool spares_;

  std::deque<RecoveredSegment> segments_;  // oldest first; the last one is written
  SegmentHeader segment_;                  // header of the last segment
  std::unique_ptr<File> file_;             // the last segment
  uint32_t tail_ = 1;                      // sector where the next batch goes
  bool fresh_ = false;         // blocks after zeroed_until_ were never written
  uint64_t zeroed_until_ = 0;  // bytes from the file's beginning whose pages were written
  BatchBuilder batch_;         // appended, not yet written
  Lsn next_lsn_ = Lsn(1);      // after the records of batch_
  Lsn durable_lsn_;
  Lsn released_;          // the highest argument of ReleaseBefore
  Lsn released_durable_;  // the highest `released` that is on disk
};

absl::Status SegmentedLog::Create() {
  log_id_ = std::max<uint64_t>(1, env_->NewId());  // 0 means none
  if (absl::Status status = spares_.Fill(1); !status.ok()) return status;
  StartSegment();
  // The identity is written last: when it exists, a segment must exist too.
  absl::Status status = WriteIdentity(env_, options_.dir, {options_.owner, log_id_});
  if (absl::IsResourceExhausted(status)) return status;
  DieUnlessOk(status);
  FillReserve();
  return absl::OkStatus();
}

// Without space for the reserve the log still opens, and refuses normal records.
void SegmentedLog::FillReserve() {
  const absl::Status status = PrepareSpace();
  CONCORDAT_CHECK(status.ok() || absl::IsResourceExhausted(status)) << status.message();
}

absl::Status SegmentedLog::Recover(const Listing& listing,
                                   const ReadCallback& on_record) {
  auto identity = ReadIdentity(env_, options_.dir);
  if (!identity.ok()) return identity.status();
  log_id_ = identity->log_id;
  auto recovered = wal::Recover(env_, options_.dir, listing, log_id_, on_record);
  if (!recovered.ok()) return recovered.status();
  auto file = env_->Open(SegmentPath(options_.dir, recovered->last.generation));
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  segments_.assign(recovered->segments.begin(), recovered->segments.end());
  segment_ = recovered->last;
  tail_ = recovered->tail;
  zeroed_until_ = uint64_t{tail_} * kSectorBytes;
  next_lsn_ = recovered->next_lsn;
  durable_lsn_ = next_lsn_.Previous();
  released_ = released_durable_ = recovered->released;
  CleanTail(*recovered);
  if (absl::Status status = spares_.Adopt(listing.spares); !status.ok()) return status;
  for (const uint32_t generation : recovered->remnants) {
    DieUnlessOk(env_->Remove(SegmentPath(options_.dir, generation)));
  }
  Recycle();
  DieUnlessOk(env_->SyncDir(options_.dir));
  FillReserve();
  return absl::OkStatus();
}

// Makes durable what was replayed. The last batch is written again, byte for byte:
// after a failed flush in an earlier process, the cache may hold what the disk does
// not, and a flush alone would return OK (Rebello et al., "Can Applications Recover
// from fsync Failures?", USENIX ATC 2020). What was truncated is overwritten with
// zeros, so that it can never be taken for a part of later batches.
void SegmentedLog::CleanTail(const Recovered& recovered) {
  if (recovered.leftovers_end > tail_) {
    const std::string zeros(size_t{recovered.leftovers_end - tail_} * kSectorBytes, '\0');
    DieUnlessOk(file_->WriteAt(uint64_t{tail_} * kSectorBytes, zeros));
  }
  if (recovered.last_batch != 0) {
    const uint64_t offset = uint64_t{recovered.last_batch} * kSectorBytes;
    std::string bytes(size_t{tail_ - recovered.last_batch} * kSectorBytes, '\0');
    auto read = file_->ReadAt(offset, bytes.size(), bytes.data());
    DieUnlessOk(read.status());
    CONCORDAT_CHECK(*read == bytes.size()) << "the last batch has shrunk";
    DieUnlessOk(file_->WriteAt(offset, bytes));
  }
  DieUnlessOk(file_->Sync());
}

// The file gets its header, which is flushed, before it gets its name: so the header of
// a file with a segment's name is right, or the file is damaged. The directory is
// flushed before any batch is written.
void SegmentedLog::StartSegment() {
  const Spare spare = spares_.Take();
  const std::string from = SparePath(options_.dir, spare.number);
  const uint32_t previous_end = segments_.empty() ? 0 : tail_;
  CONCORDAT_CHECK(segment_.generation != UINT32_MAX) << "out of segment numbers";
  segment_.generation += 1;
  segment_.sectors = static_cast<uint32_t>(options_.segment_bytes / kSectorBytes);
  segment_.log_id = log_id_;
  segment_.base_lsn = next_lsn_;
  segment_.released = released_;
  segment_.previous_end = previous_end;

  auto file = env_->Open(from);
  DieUnlessOk(file.status());
  file_ = *std::move(file);
  std::string page = EncodeSegmentHeader(segment_);
  tail_ = 1;
  fresh_ = spare.fresh;
  zeroed_until_ = 0;
  PadWithZeros(0, &page);
  zeroed_until_ = page.size();
  DieUnlessOk(file_->WriteAt(0, page));
  DieUnlessOk(file_->Sync());
  DieUnlessOk(env_->Rename(from, SegmentPath(options_.dir, segment_.generation)));
  DieUnlessOk(env_->SyncDir(options_.dir));
  segments_.push_back({segment_.generation, segment_.base_lsn, options_.segment_bytes});
  released_durable_ = released_;
}

bool SegmentedLog::Fits(size_t payload_bytes) const {
  const uint64_t body = batch_.body_bytes() + kRecordOverhead + payload_bytes;
  // The last sector is kept free: see WriteRelease.
  return tail_ + BatchSectors(body) < segment_.sectors;
}

absl::Status SegmentedLog::CheckSpace(bool fits, Reserve use) {
  const size_t need =
      (use == Reserve::kNormal ? reserve_segments_ : 0) + (fits ? 0u : 1u);
  if (spares_.size() >= need) return absl::OkStatus();
  const absl::Status status = PrepareSpace();
  if (spares_.size() >= need) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("no space for new records in the log: ", status.message()));
}

absl::StatusOr<Lsn> SegmentedLog::Append(uint8_t type, std::string_view payload,
                                         Reserve use) {
  if (payload.size() > max_payload()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a record of ", payload.size(), " bytes, at most ", max_payload(), " fit"));
  }
  const bool fits = Fits(payload.size());
  if (absl::Status status = CheckSpace(fits, use); !status.ok()) return status;
  if (!fits) {
    if (!batch_.empty()) WriteBatch();
    StartSegment();
    Recycle();
  }
  batch_.Add(type, payload);
  const Lsn lsn = next_lsn_;
  next_lsn_ = lsn.Next();
  return lsn;
}

// Adds zeros after a batch. They reach to the end of the page, so that the system need
// not read the page to write a part of it. In a file that was never written before they
// reach much further, so that the file system updates its metadata once for many batches.
void SegmentedLog::PadWithZeros(uint64_t start, std::string* bytes) const {
  const uint64_t end = start + bytes->size();
  if (end <= zeroed_until_) return;
  uint64_t until = (end + kPageBytes - 1) / kPageBytes * kPageBytes;
  const uint64_t file_bytes = uint64_t{segment_.sectors} * kSectorBytes;
  if (fresh_) {
    until += std::min(kZeroAheadBytes, file_bytes / 16 / kPageBytes * kPageBytes);
  }
  bytes->resize(std::min(until, file_bytes) - start, '\0');
}

void SegmentedLog::WriteBatch() {
  const Lsn first = Lsn(next_lsn_.value() - batch_.records());
  const uint64_t offset = uint64_t{tail_} * kSectorBytes;
  std::string* bytes = batch_.Seal(segment_, tail_, first, released_);
  const auto sectors = static_cast<uint32_t>(bytes->size() / kSectorBytes);
  PadWithZeros(offset, bytes);
  DieUnlessOk(file_->WriteAt(offset, *bytes));
  DieUnlessOk(file_->Sync());
  zeroed_until_ = std::max(zeroed_until_, offset + bytes->size());
  tail_ += sectors;
  durable_lsn_ = next_lsn_.Previous();
  released_durable_ = released_;
  batch_.Clear();
}

void SegmentedLog::Sync() {
  if (!batch_.empty()) {
    WriteBatch();
  } else if (Releasable() > 0) {
    WriteRelease();
  }
  Recycle();
}

void SegmentedLog::ReleaseBefore(Lsn lsn) {
  CONCORDAT_CHECK(lsn <= durable_lsn_.Next()) << "releasing records not yet durable";
  released_ = std::max(released_, lsn);
}

size_t SegmentedLog::Releasable() const {
  size_t count = 0;
  while (count + 1 < segments_.size() && segments_[count + 1].base_lsn <= released_) {
    ++count;
  }
  return count;
}

// Writes a batch without records, to bring `released` to the disk. Each segment keeps
// one sector free for it, so that segments can be released when there is no space left.
// The release then yields a spare.
void SegmentedLog::WriteRelease() {
  if (released_durable_ >= released_) return;
  if (tail_ >= segment_.sectors) {
    if (spares_.size() == 0) return;
    StartSegment();
    return;
  }
  WriteBatch();
}

// Segments are reused only after the release is on disk, so that a missing segment is
// known to have been released. The directory is flushed before any file is written
// under its new name.
void SegmentedLog::Recycle() {
  if (released_durable_ < released_) return;
  const size_t count = Releasable();
  if (count == 0) return;
  const size_t keep = reserve_segments_ + 1 + options_.recycle_segments;
  for (size_t i = 0; i < count; ++i) {
    const RecoveredSegment& segment = segments_.front();
    const std::string path = SegmentPath(options_.dir, segment.generation);
    if (segment.bytes == options_.segment_bytes && spares_.size() < keep) {
      spares_.Recycle(path);
    } else {
      DieUnlessOk(env_->Remove(path));
    }
    segments_.pop_front();
  }
  DieUnlessOk(env_->SyncDir(options_.dir));
}

absl::Status CheckOptions(const LogOptions& options) {
  if (options.segment_bytes < 2 * kPageBytes || options.segment_bytes % kPageBytes != 0 ||
      options.segment_bytes > kMaxSegmentBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "segment_bytes is ", options.segment_bytes,
        ", and must be a multiple of 4096 between 8192 and ", kMaxSegmentBytes));
  }
  if (options.dir.empty()) return absl::InvalidArgumentError("the log has no directory");
  if (!IsValidOwner(options.owner)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options.owner, "' is not a valid owner of a log"));
  }
  return absl::OkStatus();
}

// This is checked before the directory is made: where a mount is missing, the directory
// does not exist either.
absl::Status CheckExpected(FileEnv* env, const LogOptions& options) {
  if (options.log_id == 0) return absl::OkStatus();
  const std::string wanted = LogIdText(options.log_id);
  const auto identity = ReadIdentity(env, options.dir);
  if (absl::IsNotFound(identity.status())) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.dir, " does not hold log ", wanted,
                     ", which was there before: it holds no log at all. Mount what "
                     "belongs there, or put the folder back. Nothing was changed"));
  }
  if (!identity.ok()) return identity.status();
  if (identity->log_id == options.log_id) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(options.dir, " does not hold log ", wanted,
                   ", which was there before, but log ", LogIdText(identity->log_id),
                   ". Mount what belongs there, or put the right folder back. Nothing "
                   "was changed"));
}

// Lists the directory. It must be new or hold this owner's log.
absl::StatusOr<Listing> ListOurs(FileEnv* env, const LogOptions& options) {
  const std::string& dir = options.dir;
  auto listing = ListLog(env, dir);
  if (!listing.ok()) return listing.status();
  if (!listing->identity) {
    if (listing->foreign.empty()) return listing;
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is not a log's directory: it holds ", listing->foreign[0]));
  }
  auto identity = ReadIdentity(env, dir);
  if (!identity.ok()) return identity.status();
  if (identity->owner == options.owner) return listing;
  return absl::FailedPreconditionError(absl::StrCat(
      dir, " holds the log of '", identity->owner, "', not of '", options.owner, "'"));
}

// Without an identity the directory is new, or its making was interrupted before any
// record could be written.
absl::Status ClearUnfinished(FileEnv* env, const std::string& dir,
                             const Listing& listing) {
  const absl::Status lost =
      absl::DataLossError(dir + " has segments with records, but IDENTITY is missing");
  if (listing.segments.size() > 1) return lost;
  for (const uint32_t generation : listing.segments) {
    auto file = env->OpenReadOnly(SegmentPath(dir, generation));
    if (!file.ok()) return file.status();
    char sector[kSectorBytes] = {};
    auto read = (*file)->ReadAt(kSectorBytes, kSectorBytes, sector);
    if (!read.ok()) return read.status();
    if (generation != 1 || SectorGeneration(sector) != 0) return lost;
  }
  std::vector<std::string> paths;
  if (listing.identity_new) paths.push_back(NewIdentityPath(dir));
  for (const uint32_t n : listing.segments) paths.push_back(SegmentPath(dir, n));
  for (const uint32_t n : listing.spares) paths.push_back(SparePath(dir, n));
  for (const std::string& path : paths) {
    if (absl::Status status = env->Remove(path); !status.ok()) return status;
  }
  return env->SyncDir(dir);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> Log::Open(FileEnv* env, LogOptions options,
                                               const ReadCallback& on_record) {
  if (absl::Status status = CheckOptions(options); !status.ok()) return status;
  if (absl::Status status = CheckExpected(env, options); !status.ok()) return status;
  if (absl::Status status = env->CreateDir(options.dir); !status.ok()) return status;
  const std::string dir = options.dir;
  // Checked before anything is made in the directory, even the lock's file; and checked
  // again under the lock, since another process may have made a log there in between.
  if (absl::Status s = ListOurs(env, options).status(); !s.ok()) return s;
  auto lock = env->Lock(LockPath(dir));
  if (!lock.ok()) return lock.status();
  auto listing = ListOurs(env, options);
  if (!listing.ok()) return listing.status();
  if (absl::Status s = CheckExpected(env, options); !s.ok()) return s;
  auto log = std::make_unique<SegmentedLog>(env, std::move(options), *std::move(lock));
  absl::Status status;
  if (listing->identity) {
    status = log->Recover(*listing, on_record);
  } else {
    status = ClearUnfinished(env, dir, *listing);
    if (status.ok()) status = log->Create();
  }
  if (!status.ok()) return status;
  return log;
}

}  // namespace concordat::wal
