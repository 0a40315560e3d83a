#include "participant/resources/xa/evidence_log.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "coordinator/base/byte_codec.h"

namespace concordat::participant::xa {
namespace {

constexpr uint8_t kAlone = 1;
constexpr uint8_t kCommitted = 2;
constexpr uint8_t kUndone = 3;
constexpr uint64_t kSegmentBytes = 1 << 20;
constexpr uint64_t kReserveBytes = 1 << 20;

constexpr StoreFolderKind kFolder = {"concordat xa evidence, format 1",
                                     "the evidence of an XA resource",
                                     "; the resource manager's own data go elsewhere"};

}  // namespace

absl::Status EvidenceLog::Open(ClusterId cluster) {
  absl::StatusOr<StoreFolder> folder = StoreFolder::Claim(env_, dir_, kFolder, cluster);
  if (!folder.ok()) return folder.status();
  folder_ = *std::move(folder);
  wal::LogOptions options;
  options.dir = dir_ + "/wal";
  options.owner = "xa";
  options.log_id = folder_.log_id();
  options.segment_bytes = kSegmentBytes;
  options.reserve_bytes = kReserveBytes;
  struct Record {
    wal::Lsn lsn;
    uint8_t type;
    BranchId branch;
  };
  std::vector<Record> records;
  absl::Status replayed;
  const auto replay = [&](wal::Lsn lsn, uint8_t type, std::string_view payload) {
    ByteReader in(payload);
    const BranchId branch = DecodeBranchId(&in);
    if (!in.complete() || type < kAlone || type > kUndone) {
      replayed =
          absl::DataLossError(absl::StrCat(dir_, "/wal: record ", lsn.value(),
                                           " is none. Restore the folder from a copy"));
    }
    records.push_back({lsn, type, branch});
  };
  absl::StatusOr<std::unique_ptr<wal::Log>> log = wal::Log::Open(env_, options, replay);
  if (!log.ok()) return log.status();
  if (absl::Status s = folder_.KeepLog((*log)->log_id()); !s.ok()) return s;
  if (!replayed.ok()) return replayed;
  MutexLock lock(&mutex_);
  for (const Record& record : records) Apply(record.lsn, record.type, record.branch);
  log_ = *std::move(log);
  return absl::OkStatus();
}

uint64_t EvidenceLog::generation() {
  MutexLock lock(&generation_mutex_);
  return folder_.generation();
}

absl::Status EvidenceLog::SetGeneration(uint64_t generation) {
  MutexLock lock(&generation_mutex_);
  return generation <= folder_.generation() ? absl::OkStatus()
                                            : folder_.SetGeneration(generation);
}

void EvidenceLog::Close() {
  MutexLock lock(&mutex_);
  if (log_ != nullptr) log_->Sync();
  log_.reset();
  folder_.Release();
}

absl::Status EvidenceLog::CheckSpace() {
  MutexLock lock(&mutex_);
  if (log_ == nullptr) return absl::UnavailableError("the resource is not open");
  if (log_->spare_segments() >= log_->reserve_segments()) return absl::OkStatus();
  return log_->PrepareSpace();
}

void EvidenceLog::Apply(wal::Lsn lsn, uint8_t type, const BranchId& branch) {
  if (type == kUndone) {
    evidence_.erase(branch);
    return;
  }
  evidence_[branch] = type == kAlone ? Evidence::kCommittedAlone : Evidence::kCommitted;
  order_.emplace_back(lsn, branch);
}

absl::Status EvidenceLog::Write(uint8_t type, const BranchId& branch, bool durable) {
  ByteWriter payload;
  Encode(branch, &payload);
  MutexLock lock(&mutex_);
  if (log_ == nullptr) return absl::UnavailableError("the resource is not open");
  const absl::StatusOr<wal::Lsn> lsn =
      log_->Append(type, payload.str(), wal::Reserve::kFinish);
  if (!lsn.ok()) return lsn.status();
  Apply(*lsn, type, branch);
  if (!durable) return absl::OkStatus();
  log_->Sync();
  ++flushes_;
  return absl::OkStatus();
}

absl::Status EvidenceLog::WriteAlone(const BranchId& branch) {
  return Write(kAlone, branch, true);
}
absl::Status EvidenceLog::WriteUndone(const BranchId& branch) {
  return Write(kUndone, branch, true);
}
void EvidenceLog::NoteCommitted(const BranchId& branch) {
  // If there is no room, the next incarnation must do without this record.
  Write(kCommitted, branch, false).IgnoreError();
}

Evidence EvidenceLog::Find(const BranchId& branch) {
  MutexLock lock(&mutex_);
  const auto found = evidence_.find(branch);
  return found == evidence_.end() ? Evidence::kNone : found->second;
}

bool EvidenceLog::IsForgotten(const Gtid& gtid) const {
  const auto generation = watermarks_.find(gtid.group);
  return generation != watermarks_.end() && gtid < generation->second;
}

// Only from the front: a late record keeps those after it, and their segments.
void EvidenceLog::ForgetBelow(const Gtid& watermark) {
  MutexLock lock(&mutex_);
  Gtid& generation = watermarks_[watermark.group];
  if (watermark <= generation) return;
  generation = watermark;
  while (!order_.empty() && IsForgotten(order_.front().second.gtid)) {
    evidence_.erase(order_.front().second);
    order_.pop_front();
  }
  if (log_ == nullptr) return;
  const wal::Lsn first =
      order_.empty() ? log_->durable_lsn().Next() : order_.front().first;
  log_->ReleaseBefore(std::min(first, log_->durable_lsn().Next()));
}

uint64_t EvidenceLog::flush_count() {
  MutexLock lock(&mutex_);
  return flushes_;
}

}  // namespace concordat::participant::xa
