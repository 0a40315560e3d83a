// What was committed through XA. It is kept in a log because a switch cannot tell: a
// branch that a resource manager does not know may have been committed, or may never have
// existed.
//
//   alone      decided in one phase; on disk before the resource manager is told COMMIT
//   committed  committed in two phases; written lazily, for callers that ask again before
//              the next restart. After a restart XA's own rule is enough: a branch that
//              was prepared and is not there has been committed (the resource manager
//              keeps branches that it ends by itself until xa_forget)
//   undone     decided in one phase, but the resource manager rolled it back
#ifndef PARTICIPANT_RESOURCES_XA_EVIDENCE_LOG_H_
#define PARTICIPANT_RESOURCES_XA_EVIDENCE_LOG_H_

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"
#include "participant/store/store_folder.h"
#include "wal/log.h"

namespace concordat::participant::xa {

// Thread-safe. A failed write or flush ends the process (FatalIoError).
class EvidenceLog {
 public:
  EvidenceLog(std::string dir, FileEnv* env) : dir_(std::move(dir)), env_(env) {}

  // Opens the folder, or makes it. Returns the errors of StoreFolder::Claim and
  // wal::Log::Open.
  [[nodiscard]] absl::Status Open(ClusterId cluster);
  [[nodiscard]] const std::string& store_id() const { return folder_.id(); }
  // See StoreFolder. A call that was given up may run late: a larger generation is kept.
  [[nodiscard]] uint64_t generation();
  [[nodiscard]] absl::Status SetGeneration(uint64_t generation);
  void Close();

  // RESOURCE_EXHAUSTED: there is no room to commit a branch that begins now.
  [[nodiscard]] absl::Status CheckSpace();

  // Durable when they return OK. RESOURCE_EXHAUSTED: the disk is full; nothing was
  // written.
  [[nodiscard]] absl::Status WriteAlone(const BranchId& branch);
  [[nodiscard]] absl::Status WriteUndone(const BranchId& branch);
  void NoteCommitted(const BranchId& branch);

  // Returns kNone, kCommitted or kCommittedAlone.
  [[nodiscard]] Evidence Find(const BranchId& branch);
  void ForgetBelow(const Gtid& watermark);
  [[nodiscard]] uint64_t flush_count();

 private:
  absl::Status Write(uint8_t type, const BranchId& branch, bool durable);
  void Apply(wal::Lsn lsn, uint8_t type, const BranchId& branch)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool IsForgotten(const Gtid& gtid) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string dir_;
  FileEnv* const env_;
  StoreFolder folder_;      // locked from Open to Close
  Mutex generation_mutex_;  // besides Open
  Mutex mutex_;
  std::unique_ptr<wal::Log> log_ ABSL_GUARDED_BY(mutex_);  // null unless open
  // By branch, above the watermark.
  absl::flat_hash_map<BranchId, Evidence> evidence_ ABSL_GUARDED_BY(mutex_);
  // Records that are still needed, by LSN.
  std::deque<std::pair<wal::Lsn, BranchId>> order_ ABSL_GUARDED_BY(mutex_);
  // See ForgetBelow.
  absl::flat_hash_map<GroupId, Gtid> watermarks_ ABSL_GUARDED_BY(mutex_);
  uint64_t flushes_ ABSL_GUARDED_BY(mutex_) = 0;  // see flush_count
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_EVIDENCE_LOG_H_
