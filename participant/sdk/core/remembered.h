// Branches that are over and left no evidence in the store, with the answer that a
// repeated request gets: READ_ONLY votes (protocol rule 8: repeated for as long as the
// process lives and the transaction may be asked about), one-phase commits that had
// written nothing, and heuristic ends.
//
// Bounded in two ways. By the watermark: no coordinator asks about older transactions.
// By number: when there are too many, the oldest goes, and MayHaveForgotten tells
// that "not remembered" proves nothing any more. A PREPARE is then answered REFUSED
// where it would have been READ_ONLY: that costs an abort, never a wrong outcome
// (a leader in mode parallel does not answer early on a READ_ONLY).
#ifndef PARTICIPANT_SDK_CORE_REMEMBERED_H_
#define PARTICIPANT_SDK_CORE_REMEMBERED_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant {

// A branch id within one resource: as a key it needs no name.
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
    kHeuristic,      // `finish` says which
  };
  struct Record {
    How how = How::kReadOnly;
    FinishState state = FinishState::kDone;
  };

  explicit RememberedBranches(size_t capacity) : capacity_(capacity) {}

  void Add(const BranchKey& key, Record record);
  [[nodiscard]] std::optional<Record> Find(const BranchKey& key) const;
  // Drops what is below the watermark, of the watermark's group, as far as it stands
  // at the old end: costs what it drops.
  void ForgetBelow(const Gtid& watermark);
  // A branch of this incarnation with this number, or a higher one, was dropped for
  // want of room.
  [[nodiscard]] bool MayHaveForgotten(const BranchKey& key) const;
  [[nodiscard]] size_t size() const { return records_.size(); }

 private:
  const size_t capacity_;
  absl::flat_hash_map<BranchKey, Record> records_;
  std::deque<BranchKey> order_;  // oldest first
  absl::flat_hash_map<Incarnation, uint64_t> highest_evicted_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_REMEMBERED_H_
