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
  Block& block = blocks_[KeyOf(gtid)];
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
  const uint8_t state = found->second.states[gtid.sequence % kBlockSize];
  if (state == 0) return std::nullopt;
  if (state == kCommittedState) return Ended{Outcome::kCommitted, AbortCause::kNone};
  return Ended{Outcome::kAborted, static_cast<AbortCause>(state - kAbortedStates)};
}

bool EndedOutcomes::ContainsCommitted(const BranchId& branch) const {
  const auto ended = Find(branch.gtid);
  if (!ended || ended->outcome != Outcome::kCommitted) return false;
  const Block& block = blocks_.find(KeyOf(branch.gtid))->second;
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
    size_ -= oldest->second.count;
    ReleaseOwners(oldest->second.sets);
    blocks_.erase(oldest);
  }
}

std::optional<Gtid> EndedOutcomes::WatermarkToKeep(size_t count) const {
  if (size_ <= count) return std::nullopt;
  size_t left = size_;
  Gtid watermark{group_, Term(), 0};
  for (const auto& [key, block] : blocks_) {
    if (left <= count) break;
    left -= block.count;
    watermark.term = key.first;
    watermark.sequence = key.second * kBlockSize + (kBlockSize - 1);
  }
  return watermark;
}

size_t EndedOutcomes::bytes() const {
  // Twice: in the list and in its index. Long names lie elsewhere.
  size_t bytes = 2 * owners_.capacity() * sizeof(OwnerUse);
  for (const auto& [key, block] : blocks_) {
    bytes += sizeof(key) + sizeof(block) + block.sets.capacity();
  }
  return bytes;
}

void EndedOutcomes::Encode(ByteWriter* out) const {
  out->Varint(owners_.size());
  for (const OwnerUse& use : owners_) {
    out->Bytes(use.owner.first);
    out->U64(use.owner.second.value());
  }
  out->Varint(blocks_.size());
  for (const auto& [key, block] : blocks_) {
    out->Varint(key.first.value());
    out->Varint(key.second);
    out->Bytes(std::string_view(reinterpret_cast<const char*>(block.states.data()),
                                block.states.size()));
    out->Bytes(block.sets);
  }
}

// A place without a name is free.
bool EndedOutcomes::DecodeOwners(ByteReader* in) {
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    std::string resource(in->Bytes());
    Owner owner(std::move(resource), Incarnation(in->U64()));
    if (owner.first.empty()) {
      free_owners_.push(i);
    } else if (!owner_index_.emplace(owner, i).second) {
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

bool EndedOutcomes::Decode(GroupId group, ByteReader* in) {
  group_ = group;
  if (!DecodeOwners(in)) return false;
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    const Term term(in->Varint());
    const uint64_t number = in->Varint();
    Block block;
    if (!DecodeBlock(in, &block)) return false;
    size_ += block.count;
    if (!blocks_.emplace(BlockKey{term, number}, std::move(block)).second) return false;
  }
  // A name that no branch uses is none that Encode writes.
  return in->ok() &&
         std::none_of(owners_.begin(), owners_.end(), [](const OwnerUse& use) {
           return use.owner.first.empty() != (use.branches == 0);
         });
}

}  // namespace concordat::txn
