// EndedOutcomes: the outcomes of transactions that every branch has acknowledged,
// packed, because millions are kept for clients that ask again.
//
// Gtids are nearly dense, so they lie in blocks of 256 sequence numbers of a term: a
// byte each for the outcome and its cause. A committed one also keeps its branch set
// (a late inquiry must be told COMMIT by a member and ROLLBACK by a stranger), as an
// index into a list of owners (resource and incarnation) and the branch's number: about
// six bytes a branch. Blocks go as a whole when the watermark passes, and owners with the
// last branch that names them. Snapshots share the blocks, so that one is taken in about
// a millisecond for a million outcomes.
#ifndef COORDINATOR_TXN_ENDED_OUTCOMES_H_
#define COORDINATOR_TXN_ENDED_OUTCOMES_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/copy_on_write.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"

namespace concordat::txn {

class EndedOutcomes {
 public:
  struct Ended {
    Outcome outcome = Outcome::kAborted;
    AbortCause cause = AbortCause::kNone;
  };

  // Must not be there yet (checked). The branches of an aborted one are not kept.
  void Add(const Gtid& gtid, Outcome outcome, AbortCause cause,
           const std::vector<BranchId>& branches);
  [[nodiscard]] std::optional<Ended> Find(const Gtid& gtid) const;
  // The branch was in the set of a committed transaction.
  [[nodiscard]] bool ContainsCommitted(const BranchId& branch) const;

  // Drops the blocks that end at or below the gtid.
  void DropThrough(const Gtid& watermark);

  [[nodiscard]] size_t size() const { return size_; }
  // A watermark that would leave at most about `count` outcomes (whole blocks); none
  // when there are no more than that.
  [[nodiscard]] std::optional<Gtid> WatermarkToKeep(size_t count) const;
  // Bytes held, without the containers' own overhead.
  [[nodiscard]] size_t bytes() const;

  // What is there now, to be encoded in portions on any thread.
  class Frozen;
  [[nodiscard]] Frozen Freeze();
  // One portion's owners or blocks, in the order in which Frozen gave them. False when
  // the bytes are no such thing. FinishDecoding after all of them.
  [[nodiscard]] bool DecodeOwners(ByteReader* in);
  [[nodiscard]] bool DecodeBlocks(GroupId group, ByteReader* in);
  [[nodiscard]] bool FinishDecoding() const;

 private:
  static constexpr uint64_t kBlockSize = 256;
  using BlockKey = std::pair<Term, uint64_t>;  // term and sequence / kBlockSize
  using Owner = std::pair<std::string, Incarnation>;

  struct Block {
    std::array<uint8_t, kBlockSize> states{};  // 0: nothing known
    uint32_t count = 0;
    // Slot, number of branches, then owner and number of each; in the order of Add.
    std::string sets;
  };
  struct OwnerUse {
    Owner owner;
    uint64_t branches = 0;  // that name it; 0: the place is free
  };

  static BlockKey KeyOf(const Gtid& gtid) {
    return {gtid.term, gtid.sequence / kBlockSize};
  }
  // The index of the owner, whose uses are one more now.
  uint64_t UseOwner(std::string_view resource, Incarnation incarnation);
  // One use less of each owner in the sets.
  void ReleaseOwners(std::string_view sets);
  bool DecodeBlock(ByteReader* in, Block* block);

  GroupId group_;
  uint64_t snapshots_ = 0;  // taken
  std::map<BlockKey, CopyOnWrite<Block>> blocks_;
  std::vector<OwnerUse> owners_;
  // The smallest first, so that all nodes use the same places.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> free_owners_;
  absl::flat_hash_map<Owner, uint64_t> owner_index_;
  size_t size_ = 0;
};

class EndedOutcomes::Frozen {
 public:
  // Add elements to `out` until it has about so many bytes. False when there are none.
  [[nodiscard]] bool EncodeOwners(size_t bytes, ByteWriter* out);
  [[nodiscard]] bool EncodeBlocks(size_t bytes, ByteWriter* out);

 private:
  friend class EndedOutcomes;
  struct SharedBlock {
    BlockKey key;
    std::shared_ptr<const Block> block;
  };
  std::vector<OwnerUse> owners_;
  std::vector<SharedBlock> blocks_;
  size_t next_owner_ = 0;
  size_t next_block_ = 0;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_ENDED_OUTCOMES_H_
