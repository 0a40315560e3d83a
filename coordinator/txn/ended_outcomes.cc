#include "coordinator/txn/ended_outcomes.h"

#include <algorithm>
#include <string_view>

#include "coordinator/base/check.h"

namespace concordat::txn {

namespace {

// A state byte: 0 nothing, 1 committed, 2 + cause aborted.
constexpr uint8_t kCommittedState = 1;
constexpr uint8_t kAbortedStates = 2;
constexpr uint8_t kLastState = kAbortedStates + static_cast<uint8_t>(kLastAbortCause);

}  // namespace

void EndedOutcomes::Add(const Gtid& gtid, Outcome outcome, AbortCause cause,
                        const std::vector<BranchId>& branches) {
  group_ = gtid.group;
  Block& block = blocks_.try_emplace(KeyOf(gtid), Block{}, snapshots_)
                     .first->second.Write(snapshots_);
  const auto slot = static_cast<uint8_t>(gtid.sequence % kBlockSize);
  CONCORDAT_CHECK(block.states[slot] == 0) << gtid << " ended twice";
  ++block.count;
  ++size_;
  if (outcome == Outcome::kAborted) {
    block.states[slot] =
        static_cast<uint8_t>(kAbortedStates + static_cast<uint8_t>(cause));
    return;
  }
  block.states[slot] = kCommittedState;
  ByteWriter set;
  set.U8(slot);
  set.Varint(branches.size());
  for (const BranchId& branch : branches) {
    set.Varint(UseOwner(branch.resource, branch.incarnation));
    set.Varint(branch.number);
  }
  block.sets += set.str();
}

uint64_t EndedOutcomes::UseOwner(std::string_view resource, Incarnation incarnation) {
  Owner owner(std::string(resource), incarnation);
  const auto known = owner_index_.find(owner);
  if (known != owner_index_.end()) {
    ++owners_[known->second].branches;
    return known->second;
  }
  uint64_t index = owners_.size();
  if (free_owners_.empty()) {
    owners_.emplace_back();
  } else {
    index = free_owners_.top();
    free_owners_.pop();
  }
  owners_[index] = {owner, 1};
  owner_index_.emplace(std::move(owner), index);
  return index;
}

void EndedOutcomes::ReleaseOwners(std::string_view sets) {
  ByteReader in(sets);
  while (!in.at_end()) {
    (void)in.U8();
    for (uint64_t count = in.Varint(); count > 0; --count) {
      const uint64_t index = in.Varint();
      (void)in.Varint();
      OwnerUse& use = owners_[index];
      if (--use.branches > 0) continue;
      owner_index_.erase(use.owner);
      use.owner = {};
      free_owners_.push(index);
    }
  }
}

std::optional<EndedOutcomes::Ended> EndedOutcomes::Find(const Gtid& gtid) const {
  const auto found = blocks_.find(KeyOf(gtid));
  if (found == blocks_.end() || gtid.group != group_) return std::nullopt;
  const uint8_t state = found->second->states[gtid.sequence % kBlockSize];
  if (state == 0) return std::nullopt;
  if (state == kCommittedState) return Ended{Outcome::kCommitted, AbortCause::kNone};
  return Ended{Outcome::kAborted, static_cast<AbortCause>(state - kAbortedStates)};
}

bool EndedOutcomes::ContainsCommitted(const BranchId& branch) const {
  const auto ended = Find(branch.gtid);
  if (!ended || ended->outcome != Outcome::kCommitted) return false;
  const Block& block = *blocks_.find(KeyOf(branch.gtid))->second;
  const uint64_t slot = branch.gtid.sequence % kBlockSize;
  ByteReader in(block.sets);
  while (!in.at_end() && in.ok()) {
    const bool wanted = in.U8() == slot;
    const uint64_t count = in.Varint();
    for (uint64_t i = 0; i < count && in.ok(); ++i) {
      const Owner& owner = owners_[in.Varint()].owner;
      const uint64_t number = in.Varint();
      if (wanted && number == branch.number && owner.second == branch.incarnation &&
          owner.first == branch.resource) {
        return true;
      }
    }
    if (wanted) return false;
  }
  return false;
}

void EndedOutcomes::DropThrough(const Gtid& watermark) {
  while (!blocks_.empty()) {
    const auto oldest = blocks_.begin();
    const auto& [term, number] = oldest->first;
    const uint64_t last = number * kBlockSize + (kBlockSize - 1);
    const bool below =
        term < watermark.term || (term == watermark.term && last <= watermark.sequence);
    if (!below) return;
    size_ -= oldest->second->count;
    ReleaseOwners(oldest->second->sets);
    blocks_.erase(oldest);
  }
}

std::optional<Gtid> EndedOutcomes::WatermarkToKeep(size_t count) const {
  if (size_ <= count) return std::nullopt;
  size_t left = size_;
  Gtid watermark{group_, Term(), 0};
  for (const auto& [key, block] : blocks_) {
    if (left <= count) break;
    left -= block->count;
    watermark.term = key.first;
    watermark.sequence = key.second * kBlockSize + (kBlockSize - 1);
  }
  return watermark;
}

size_t EndedOutcomes::bytes() const {
  // Twice: in the list and in its index. Long names lie elsewhere.
  size_t bytes = 2 * owners_.capacity() * sizeof(OwnerUse);
  for (const auto& [key, block] : blocks_) {
    bytes += sizeof(key) + sizeof(block) + sizeof(Block) + block->sets.capacity();
  }
  return bytes;
}

EndedOutcomes::Frozen EndedOutcomes::Freeze() {
  ++snapshots_;
  Frozen frozen;
  frozen.owners_ = owners_;
  frozen.blocks_.reserve(blocks_.size());
  for (const auto& [key, block] : blocks_) {
    frozen.blocks_.push_back({key, block.Share()});
  }
  return frozen;
}

bool EndedOutcomes::Frozen::EncodeOwners(size_t bytes, ByteWriter* out) {
  if (next_owner_ == owners_.size()) return false;
  for (; next_owner_ < owners_.size() && out->str().size() < bytes; ++next_owner_) {
    const Owner& owner = owners_[next_owner_].owner;
    out->Bytes(owner.first);
    out->U64(owner.second.value());
  }
  return true;
}

bool EndedOutcomes::Frozen::EncodeBlocks(size_t bytes, ByteWriter* out) {
  if (next_block_ == blocks_.size()) return false;
  for (; next_block_ < blocks_.size() && out->str().size() < bytes; ++next_block_) {
    const auto& [key, block] = blocks_[next_block_];
    out->Varint(key.first.value());
    out->Varint(key.second);
    out->Bytes(std::string_view(reinterpret_cast<const char*>(block->states.data()),
                                block->states.size()));
    out->Bytes(block->sets);
    blocks_[next_block_].block.reset();
  }
  return true;
}

// A place without a name is free.
bool EndedOutcomes::DecodeOwners(ByteReader* in) {
  while (!in->at_end() && in->ok()) {
    std::string resource(in->Bytes());
    Owner owner(std::move(resource), Incarnation(in->U64()));
    const uint64_t index = owners_.size();
    if (owner.first.empty()) {
      free_owners_.push(index);
    } else if (!owner_index_.emplace(owner, index).second) {
      return false;
    }
    owners_.push_back({std::move(owner), 0});
  }
  return in->ok();
}

// The sets are walked once here, so that later walks need not doubt them.
bool EndedOutcomes::DecodeBlock(ByteReader* in, Block* block) {
  const std::string_view states = in->Bytes();
  if (states.size() != kBlockSize) return false;
  uint32_t committed = 0;
  for (size_t i = 0; i < kBlockSize; ++i) {
    block->states[i] = static_cast<uint8_t>(states[i]);
    if (block->states[i] > kLastState) return false;
    if (block->states[i] != 0) ++block->count;
    if (block->states[i] == kCommittedState) ++committed;
  }
  block->sets = std::string(in->Bytes());
  ByteReader sets(block->sets);
  for (; !sets.at_end() && sets.ok(); --committed) {
    if (block->states[sets.U8()] != kCommittedState) return false;
    const uint64_t count = sets.Varint();
    for (uint64_t i = 0; i < count && sets.ok(); ++i) {
      const uint64_t owner = sets.Varint();
      if (owner >= owners_.size()) return false;
      ++owners_[owner].branches;
      (void)sets.Varint();
    }
  }
  return in->ok() && sets.ok() && committed == 0;
}

bool EndedOutcomes::DecodeBlocks(GroupId group, ByteReader* in) {
  group_ = group;
  while (!in->at_end() && in->ok()) {
    const Term term(in->Varint());
    const uint64_t number = in->Varint();
    Block block;
    if (!DecodeBlock(in, &block)) return false;
    size_ += block.count;
    const BlockKey key{term, number};
    if (!blocks_.empty() && key <= blocks_.rbegin()->first) return false;
    blocks_.try_emplace(blocks_.end(), key, std::move(block), snapshots_);
  }
  return in->ok();
}

// A name that no branch uses is none that Freeze gave.
bool EndedOutcomes::FinishDecoding() const {
  return std::none_of(owners_.begin(), owners_.end(), [](const OwnerUse& use) {
    return use.owner.first.empty() != (use.branches == 0);
  });
}

}  // namespace concordat::txn
