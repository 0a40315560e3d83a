// Which branches were committed, and how, until no coordinator asks any more. In
// memory; made durable by the commit records of the log and by checkpoints.
//
// Kept in buckets of transactions that were begun together, so that forgetting what
// the watermark has passed drops whole buckets and looks at nothing else.
#ifndef PARTICIPANT_RESOURCES_KV_EVIDENCE_H_
#define PARTICIPANT_RESOURCES_KV_EVIDENCE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/remembered.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::kv {

class EvidenceTable {
 public:
  // kCommitted or kCommittedAlone.
  void Add(const BranchKey& branch, Evidence evidence);
  // kNone when there is none.
  [[nodiscard]] Evidence Find(const BranchKey& branch) const;
  // May keep some that are just below.
  void ForgetBelow(const Gtid& watermark);
  [[nodiscard]] size_t size() const { return size_; }

  // Group, term, sequence / 1024.
  using BucketId = std::tuple<GroupId, Term, uint64_t>;
  using Bucket = absl::flat_hash_map<BranchKey, Evidence>;
  // In order; a checkpoint walks over them.
  [[nodiscard]] const std::map<BucketId, Bucket>& buckets() const { return buckets_; }

 private:
  std::map<BucketId, Bucket> buckets_;
  size_t size_ = 0;
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_EVIDENCE_H_
