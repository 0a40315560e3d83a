// The table's snapshot. Each portion's bytes: version (1), section (1), and then
//
//   1 head        group, last applied index, running hash (8), watermark, and how many
//                 there are of: live transactions, ended outcomes, heuristics
//   2 live        transactions: gtid, and what is known
//   3 owners      of ended branches (ended_outcomes.h)
//   4 ended       blocks of outcomes
//   5 heuristics  each as the length and the bytes of a HEURISTIC record
//
// in this order, each section in as many portions as it takes, and in none when it is
// empty.
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

enum class TableSection : uint8_t {
  kHead = 1,
  kLive = 2,
  kOwners = 3,
  kEnded = 4,
  kHeuristics = 5,
};

namespace {

constexpr uint8_t kSnapshotVersion = 3;
constexpr uint8_t kStagedFlag = 1;
constexpr uint8_t kDecidedFlag = 2;

void PutBranches(const std::vector<BranchId>& branches, ByteWriter* out) {
  out->Varint(branches.size());
  for (const BranchId& branch : branches) {
    out->Bytes(branch.resource);
    out->U64(branch.incarnation.value());
    out->Varint(branch.number);
  }
}

void ReadBranches(const Gtid& gtid, ByteReader* in, std::vector<BranchId>* branches) {
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    BranchId branch;
    branch.gtid = gtid;
    branch.resource = std::string(in->Bytes());
    branch.incarnation = Incarnation(in->U64());
    branch.number = in->Varint();
    branches->push_back(std::move(branch));
  }
}

void PutEntry(const TransactionTable::Entry& entry, ByteWriter* out) {
  out->U8(static_cast<uint8_t>((entry.staged ? kStagedFlag : 0) |
                               (entry.decided ? kDecidedFlag : 0)));
  out->U8(static_cast<uint8_t>(entry.mode));
  out->Varint(entry.timeout_ms);
  PutBranches(entry.branches, out);
  out->U8(static_cast<uint8_t>(entry.outcome));
  out->U8(static_cast<uint8_t>(entry.cause));
  out->Bytes(entry.detail);
  out->Bytes(entry.by);
  PutBranches(entry.read_only, out);
}

template <class E>
bool ReadEnum(ByteReader* in, E first, E last, E* value) {
  const uint8_t byte = in->U8();
  *value = static_cast<E>(byte);
  return byte >= static_cast<uint8_t>(first) && byte <= static_cast<uint8_t>(last);
}

bool ReadEntry(const Gtid& gtid, ByteReader* in, TransactionTable::Entry* entry) {
  const uint8_t flags = in->U8();
  entry->staged = (flags & kStagedFlag) != 0;
  entry->decided = (flags & kDecidedFlag) != 0;
  bool ok = ReadEnum(in, CommitMode::kDecided, CommitMode::kParallel, &entry->mode);
  entry->timeout_ms = in->Varint();
  ReadBranches(gtid, in, &entry->branches);
  ok = ReadEnum(in, Outcome::kCommitted, Outcome::kAborted, &entry->outcome) && ok;
  ok = ReadEnum(in, AbortCause::kNone, kLastAbortCause, &entry->cause) && ok;
  entry->detail = std::string(in->Bytes());
  entry->by = std::string(in->Bytes());
  ReadBranches(gtid, in, &entry->read_only);
  return ok && in->ok();
}

}  // namespace

// --- Out -----------------------------------------------------------------------------

class TransactionTable::Source final : public group::SnapshotSource {
 public:
  explicit Source(TransactionTable* table)
      : group_(table->group_),
        last_applied_(table->last_applied_),
        hash_(table->Hash()),
        watermark_(table->watermark_),
        ended_count_(table->ended_.size()),
        ended_(table->ended_.Freeze()),
        heuristics_(table->heuristics_) {
    live_.reserve(table->live_.size());
    for (const auto& [gtid, entry] : table->live_) {
      live_.emplace_back(gtid, entry.Share());
    }
  }

  std::optional<std::string> Next() override {
    for (; section_ <= TableSection::kHeuristics;
         section_ = static_cast<TableSection>(static_cast<uint8_t>(section_) + 1)) {
      ByteWriter out;
      out.U8(kSnapshotVersion);
      out.U8(static_cast<uint8_t>(section_));
      if (EncodeSome(&out)) return out.Take();
    }
    return std::nullopt;
  }

 private:
  // Of the present section; false when it has no more.
  bool EncodeSome(ByteWriter* out) {
    switch (section_) {
      case TableSection::kHead:
        return EncodeHead(out);
      case TableSection::kLive:
        return EncodeLive(out);
      case TableSection::kOwners:
        return ended_.EncodeOwners(group::kPortionBytes, out);
      case TableSection::kEnded:
        return ended_.EncodeBlocks(group::kPortionBytes, out);
      case TableSection::kHeuristics:
        return EncodeHeuristics(out);
    }
    return false;
  }
  bool EncodeHead(ByteWriter* out) {
    if (std::exchange(head_done_, true)) return false;
    out->Varint(group_.value());
    out->Varint(last_applied_.value());
    out->U64(hash_);
    Encode(watermark_, out);
    out->Varint(live_.size());
    out->Varint(ended_count_);
    out->Varint(heuristics_.size());
    return true;
  }
  bool EncodeLive(ByteWriter* out) {
    if (next_live_ == live_.size()) return false;
    while (next_live_ < live_.size() && out->str().size() < group::kPortionBytes) {
      const auto& [gtid, entry] = live_[next_live_++];
      Encode(gtid, out);
      PutEntry(*entry, out);
    }
    return true;
  }
  bool EncodeHeuristics(ByteWriter* out) {
    if (heuristics_.empty()) return false;
    while (!heuristics_.empty() && out->str().size() < group::kPortionBytes) {
      const auto& [branch, entry] = *heuristics_.begin();
      out->Bytes(EncodeRecord(HeuristicRecord{branch, entry.what, entry.detail}));
      heuristics_.erase(heuristics_.begin());
    }
    return true;
  }

  const GroupId group_;
  const LogIndex last_applied_;
  const uint64_t hash_;
  const Gtid watermark_;
  const size_t ended_count_;
  EndedOutcomes::Frozen ended_;
  std::map<BranchId, HeuristicEntry> heuristics_;  // what is left of them
  std::vector<std::pair<Gtid, std::shared_ptr<const Entry>>> live_;
  TableSection section_ = TableSection::kHead;
  bool head_done_ = false;
  size_t next_live_ = 0;
};

std::unique_ptr<group::SnapshotSource> TransactionTable::TakeSnapshot() {
  ++snapshots_;
  return std::make_unique<Source>(this);
}

// --- In ------------------------------------------------------------------------------

absl::Status TableRestore::Append(std::string_view portion) {
  ByteReader in(portion);
  const uint8_t version = in.U8();
  if (in.ok() && version != kSnapshotVersion) {
    return absl::UnimplementedError(
        absl::StrCat("transaction snapshot of version ", version, ": upgrade this node"));
  }
  const uint8_t section = in.U8();
  const bool in_order = section_ == 0
                            ? section == static_cast<uint8_t>(TableSection::kHead)
                            : section >= section_;
  if (in_order && section_ == 0) {
    const GroupId group = table_.group();
    const GroupId found(static_cast<uint32_t>(in.Varint()));
    if (in.ok() && found != group) {
      return absl::InvalidArgumentError(
          absl::StrCat("snapshot of group ", found.value(), ", this is ", group.value()));
    }
  }
  section_ = section;
  if (!in_order || !Decode(&in) || !in.complete()) {
    return absl::DataLossError(absl::StrCat("portion of a transaction snapshot, of ",
                                            portion.size(), " bytes, is malformed"));
  }
  return absl::OkStatus();
}

bool TableRestore::Decode(ByteReader* in) {
  switch (static_cast<TableSection>(section_)) {
    case TableSection::kHead:
      return DecodeHead(in);
    case TableSection::kLive:
      return DecodeLive(in);
    case TableSection::kOwners:
      return table_.ended_.DecodeOwners(in);
    case TableSection::kEnded:
      return table_.ended_.DecodeBlocks(table_.group_, in);
    case TableSection::kHeuristics:
      return DecodeHeuristics(in);
  }
  return false;
}

bool TableRestore::DecodeHead(ByteReader* in) {
  if (std::exchange(has_head_, true)) return false;
  table_.last_applied_ = LogIndex(in->Varint());
  table_.hash_ = RunningHash(in->U64());
  table_.watermark_ = DecodeGtid(in);
  live_count_ = in->Varint();
  ended_count_ = in->Varint();
  heuristics_count_ = in->Varint();
  return table_.watermark_.group == table_.group_;
}

bool TableRestore::DecodeLive(ByteReader* in) {
  auto& live = table_.live_;
  while (!in->at_end() && in->ok()) {
    const Gtid gtid = DecodeGtid(in);
    const bool ascends = live.empty() || gtid > live.rbegin()->first;
    TransactionTable::Entry entry;
    if (gtid.group != table_.group_ || !ascends || !ReadEntry(gtid, in, &entry)) {
      return false;
    }
    live.try_emplace(live.end(), gtid, std::move(entry), table_.snapshots_);
  }
  return in->ok();
}

bool TableRestore::DecodeHeuristics(ByteReader* in) {
  while (!in->at_end() && in->ok()) {
    auto record = DecodeRecord(in->Bytes());
    if (!record.ok() || !std::holds_alternative<HeuristicRecord>(*record)) return false;
    auto& found = std::get<HeuristicRecord>(*record);
    table_.heuristics_.emplace(std::move(found.branch),
                               HeuristicEntry{found.what, std::move(found.detail)});
  }
  return in->ok();
}

absl::Status TableRestore::Finish() {
  bool ok = has_head_ && table_.live_.size() == live_count_ &&
            table_.ended_.size() == ended_count_ &&
            table_.heuristics_.size() == heuristics_count_ &&
            table_.ended_.FinishDecoding();
  // A transaction is under way or over, never both.
  for (const auto& [gtid, entry] : table_.live_) {
    ok = ok && !table_.ended_.Find(gtid) && gtid > table_.watermark_;
  }
  if (!ok) return absl::DataLossError("a transaction snapshot is not complete");
  if (table_.last_applied() > at_) {
    return absl::DataLossError(absl::StrCat("the snapshot at entry ", at_.value(),
                                            " holds the state after entry ",
                                            table_.last_applied().value()));
  }
  return absl::OkStatus();
}

}  // namespace concordat::txn
