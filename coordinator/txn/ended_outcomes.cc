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
    const auto owner = std::find_if(
        block.owners.begin(), block.owners.end(), [&branch](const Owner& known) {
          return known.second == branch.incarnation && known.first == branch.resource;
        });
    set.Varint(static_cast<uint64_t>(owner - block.owners.begin()));
    if (owner == block.owners.end()) {
      block.owners.emplace_back(branch.resource, branch.incarnation);
    }
    set.Varint(branch.number);
  }
  block.sets += set.str();
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
      const Owner& owner = block.owners[in.Varint()];
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
  size_t bytes = 0;
  for (const auto& [key, block] : blocks_) {
    bytes += sizeof(key) + sizeof(block) + block.sets.capacity() +
             block.owners.capacity() * sizeof(Owner);
  }
  return bytes;
}

void EndedOutcomes::Encode(ByteWriter* out) const {
  out->Varint(blocks_.size());
  for (const auto& [key, block] : blocks_) {
    out->Varint(key.first.value());
    out->Varint(key.second);
    out->Bytes(std::string_view(reinterpret_cast<const char*>(block.states.data()),
                                block.states.size()));
    out->Varint(block.owners.size());
    for (const Owner& owner : block.owners) {
      out->Bytes(owner.first);
      out->U64(owner.second.value());
    }
    out->Bytes(block.sets);
  }
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
  const uint64_t owners = in->Varint();
  for (uint64_t i = 0; i < owners && in->ok(); ++i) {
    std::string resource(in->Bytes());
    block->owners.emplace_back(std::move(resource), Incarnation(in->U64()));
  }
  block->sets = std::string(in->Bytes());
  ByteReader sets(block->sets);
  for (; !sets.at_end() && sets.ok(); --committed) {
    if (block->states[sets.U8()] != kCommittedState) return false;
    const uint64_t count = sets.Varint();
    for (uint64_t i = 0; i < count && sets.ok(); ++i) {
      if (sets.Varint() >= block->owners.size()) return false;
      (void)sets.Varint();
    }
  }
  return in->ok() && sets.ok() && committed == 0;
}

bool EndedOutcomes::Decode(GroupId group, ByteReader* in) {
  group_ = group;
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    const Term term(in->Varint());
    const uint64_t number = in->Varint();
    Block block;
    if (!DecodeBlock(in, &block)) return false;
    size_ += block.count;
    if (!blocks_.emplace(BlockKey{term, number}, std::move(block)).second) return false;
  }
  return in->ok();
}

}  // namespace concordat::txn
