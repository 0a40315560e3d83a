// The table's snapshot. Bytes: version (1), group, last applied index, running hash
// (8), watermark, then live transactions, ended outcomes and heuristics,
// each as a count and its elements in order.
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

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

void PutHeuristics(const std::map<BranchId, HeuristicEntry>& heuristics,
                   ByteWriter* out) {
  out->Varint(heuristics.size());
  for (const auto& [branch, entry] : heuristics) {
    out->Bytes(EncodeRecord(HeuristicRecord{branch, entry.what, entry.detail}));
  }
}

bool ReadHeuristics(ByteReader* in, std::map<BranchId, HeuristicEntry>* heuristics) {
  const uint64_t count = in->Varint();
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    auto record = DecodeRecord(in->Bytes());
    if (!record.ok() || !std::holds_alternative<HeuristicRecord>(*record)) return false;
    auto& found = std::get<HeuristicRecord>(*record);
    heuristics->emplace(std::move(found.branch),
                        HeuristicEntry{found.what, std::move(found.detail)});
  }
  return in->ok();
}

}  // namespace

std::string TransactionTable::EncodeSnapshot() const {
  ByteWriter out;
  out.U8(kSnapshotVersion);
  out.Varint(group_.value());
  out.Varint(last_applied_.value());
  out.U64(hash_.value());
  Encode(watermark_, &out);
  out.Varint(live_.size());
  for (const auto& [gtid, entry] : live_) {
    Encode(gtid, &out);
    PutEntry(entry, &out);
  }
  ended_.Encode(&out);
  PutHeuristics(heuristics_, &out);
  return out.Take();
}

absl::StatusOr<TransactionTable> TransactionTable::DecodeSnapshot(
    std::string_view bytes) {
  ByteReader in(bytes);
  const uint8_t version = in.U8();
  if (in.ok() && version != kSnapshotVersion) {
    return absl::UnimplementedError(
        absl::StrCat("transaction snapshot of version ", version, ": upgrade this node"));
  }
  TransactionTable table{GroupId(static_cast<uint32_t>(in.Varint()))};
  table.last_applied_ = LogIndex(in.Varint());
  table.hash_ = RunningHash(in.U64());
  table.watermark_ = DecodeGtid(&in);
  bool ok = table.watermark_.group == table.group_;
  const uint64_t live = in.Varint();
  for (uint64_t i = 0; i < live && in.ok() && ok; ++i) {
    const Gtid gtid = DecodeGtid(&in);
    ok = gtid.group == table.group_ && ReadEntry(gtid, &in, &table.live_[gtid]);
  }
  ok = ok && table.ended_.Decode(table.group_, &in) &&
       ReadHeuristics(&in, &table.heuristics_);
  // A transaction is under way or over, never both.
  for (const auto& [gtid, entry] : table.live_) {
    ok = ok && !table.ended_.Find(gtid) && gtid > table.watermark_;
  }
  if (!ok || !in.complete()) {
    return absl::DataLossError(
        absl::StrCat("transaction snapshot of ", bytes.size(), " bytes is malformed"));
  }
  return table;
}

}  // namespace concordat::txn
