// Branches that have ended and left no evidence in the store, with the answer that a
// repeated request gets: READ_ONLY votes (protocol rule 8: repeated for as long as the
// process lives and the transaction may be asked about), one-phase commits that had
// written nothing, and heuristic ends.
//
// It is bounded in two ways. By the watermark: no coordinator asks about older
// transactions. By number: when there are too many branches, the oldest are dropped, and
// MayHaveForgotten says that "not remembered" proves nothing any more. A PREPARE is then
// answered LOST where it would have been READ_ONLY: this costs an abort, but never gives
// a wrong outcome (a leader in mode parallel does not answer early on a READ_ONLY).
#ifndef PARTICIPANT_SDK_CORE_REMEMBERED_BRANCHES_H_
#define PARTICIPANT_SDK_CORE_REMEMBERED_BRANCHES_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant {

// The id of a branch within one resource: it needs no resource name.
struct BranchKey {
  Gtid gtid;
  Incarnation incarnation;
  uint64_t number = 0;

  BranchKey() = default;
  explicit BranchKey(const BranchId& id)
      : gtid(id.gtid), incarnation(id.incarnation), number(id.number) {}
  friend auto operator<=>(const BranchKey&, const BranchKey&) = default;
  template <class H>
  friend H AbslHashValue(H h, const BranchKey& k) {
    return H::combine(std::move(h), k.gtid, k.incarnation, k.number);
  }
};

class RememberedBranches {
 public:
  enum class How : uint8_t {
    kReadOnly,       // voted READ_ONLY
    kReadOnlyAlone,  // committed in one phase, nothing written
    kHeuristic,      // `state` says which
  };
  struct Record {
    How how = How::kReadOnly;
    FinishState state = FinishState::kDone;  // of kHeuristic
  };

  explicit RememberedBranches(size_t capacity) : capacity_(capacity) {}

  void Add(const BranchKey& key, Record record);
  [[nodiscard]] std::optional<Record> Find(const BranchKey& key) const;
  // Drops the branches of the watermark's group that are below it, as far as they are at
  // the old end. The cost is that of the dropped branches.
  void ForgetBelow(const Gtid& watermark);
  // True: a branch of this incarnation with this number, or a higher one, was dropped
  // because there were too many.
  [[nodiscard]] bool MayHaveForgotten(const BranchKey& key) const;
  [[nodiscard]] size_t size() const { return records_.size(); }

 private:
  const size_t capacity_;
  absl::flat_hash_map<BranchKey, Record> records_;  // by branch, at most capacity_
  std::deque<BranchKey> order_;                     // oldest first
  // The highest number dropped because there were too many.
  absl::flat_hash_map<Incarnation, uint64_t> highest_evicted_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_REMEMBERED_BRANCHES_H_
