#include "participant/resources/kv/evidence_table.h"

namespace concordat::participant::kv {
namespace {

EvidenceTable::BucketId BucketOf(const Gtid& gtid) {
  return {gtid.group, gtid.term, gtid.sequence >> 10};
}

}  // namespace

void EvidenceTable::Add(const BranchKey& branch, Evidence evidence) {
  if (buckets_[BucketOf(branch.gtid)].insert_or_assign(branch, evidence).second) ++size_;
}

Evidence EvidenceTable::Find(const BranchKey& branch) const {
  const auto bucket = buckets_.find(BucketOf(branch.gtid));
  if (bucket == buckets_.end()) return Evidence::kNone;
  const auto it = bucket->second.find(branch);
  return it == bucket->second.end() ? Evidence::kNone : it->second;
}

void EvidenceTable::ForgetBelow(const Gtid& watermark) {
  const auto begin = buckets_.lower_bound({watermark.group, Term(), 0});
  const auto end = buckets_.lower_bound(BucketOf(watermark));
  for (auto it = begin; it != end;) {
    size_ -= it->second.size();
    it = buckets_.erase(it);
  }
}

}  // namespace concordat::participant::kv
