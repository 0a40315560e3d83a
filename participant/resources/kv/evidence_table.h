// Records which branches were committed, and how, until no coordinator can ask any more.
// The table is in memory; the commit records of the log and checkpoints make it durable.
//
// It is kept in buckets of transactions that began together. To forget what is below the
// watermark, whole buckets are dropped and nothing else is looked at.
#ifndef PARTICIPANT_RESOURCES_KV_EVIDENCE_TABLE_H_
#define PARTICIPANT_RESOURCES_KV_EVIDENCE_TABLE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/remembered_branches.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::kv {

class EvidenceTable {
 public:
  // `evidence` is kCommitted or kCommittedAlone.
  void Add(const BranchKey& branch, Evidence evidence);
  // kNone: there is no evidence.
  [[nodiscard]] Evidence Find(const BranchKey& branch) const;
  // May keep some evidence that is just below the watermark.
  void ForgetBelow(const Gtid& watermark);
  [[nodiscard]] size_t size() const { return size_; }

  // Group, term, and sequence / 1024.
  using BucketId = std::tuple<GroupId, Term, uint64_t>;
  using Bucket = absl::flat_hash_map<BranchKey, Evidence>;
  // Ordered, because a checkpoint iterates over them in portions.
  [[nodiscard]] const std::map<BucketId, Bucket>& buckets() const { return buckets_; }

 private:
  std::map<BucketId, Bucket> buckets_;
  size_t size_ = 0;  // branches in all buckets
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_EVIDENCE_TABLE_H_
