#include "coordinator/txn/table.h"

#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat::txn {

namespace {

// Sorted and without repetitions, so that equal sets are equal bytes everywhere.
void MergeInto(std::vector<BranchId>* set, const std::vector<BranchId>& more) {
  set->insert(set->end(), more.begin(), more.end());
  std::sort(set->begin(), set->end());
  set->erase(std::unique(set->begin(), set->end()), set->end());
}

}  // namespace

std::string_view ToString(TxnState state) {
  switch (state) {
    case TxnState::kUnknown:
      return "unknown";
    case TxnState::kEnlisted:
      return "enlisted";
    case TxnState::kStaged:
      return "staged";
    case TxnState::kDecided:
      return "decided";
    case TxnState::kEnded:
      return "ended";
    case TxnState::kForgotten:
      return "forgotten";
  }
  return "?";
}

std::string_view ToString(Ignored ignored) {
  switch (ignored) {
    case Ignored::kNo:
      return "applied";
    case Ignored::kBelowWatermark:
      return "below the watermark";
    case Ignored::kAlreadyStaged:
      return "already staged";
    case Ignored::kAlreadyDecided:
      return "already decided";
    case Ignored::kAlreadyEnlisted:
      return "already enlisted";
    case Ignored::kNotStaged:
      return "not staged";
    case Ignored::kNotDecided:
      return "not decided";
    case Ignored::kForeignGroup:
      return "another group's";
    case Ignored::kUnchanged:
      return "unchanged";
  }
  return "?";
}

bool TransactionTable::Entry::Contains(const BranchId& branch) const {
  return std::binary_search(branches.begin(), branches.end(), branch);
}

TransactionTable::TransactionTable(GroupId group)
    : group_(group), watermark_{group, Term(), 0} {}

Effect TransactionTable::Apply(LogIndex index, const Record& record) {
  CONCORDAT_CHECK(index > last_applied_) << index << " after " << last_applied_;
  last_applied_ = index;
  Mix(index.value());
  Mix(record.index());
  return std::visit([this](const auto& r) { return Put(r); }, record);
}

Ignored TransactionTable::Closed(const Gtid& gtid) const {
  if (gtid.group != group_ || gtid.is_none()) return Ignored::kForeignGroup;
  if (IsForgotten(gtid)) return Ignored::kBelowWatermark;
  const auto entry = live_.find(gtid);
  if (entry == live_.end()) {
    return ended_.Find(gtid) ? Ignored::kAlreadyDecided : Ignored::kNo;
  }
  if (entry->second->decided) return Ignored::kAlreadyDecided;
  return entry->second->staged ? Ignored::kAlreadyStaged : Ignored::kNo;
}

Effect TransactionTable::Put(const StagedRecord& record) {
  const Ignored closed = Closed(record.gtid);
  Mix(static_cast<uint64_t>(closed));
  if (closed != Ignored::kNo) return StagedEffect{record.gtid, closed};
  Entry& entry = Write(record.gtid);
  entry.staged = true;
  entry.mode = record.mode;
  entry.timeout_ms = record.timeout_ms;
  MergeInto(&entry.branches, record.branches);
  Mix(record.gtid.sequence);
  Mix(static_cast<uint64_t>(record.mode));
  for (const BranchId& branch : entry.branches) Mix(branch);
  if (!record.all_prepared) return StagedEffect{record.gtid, Ignored::kNo};
  // Enlisted ones beside those that have voted are asked first.
  std::vector<BranchId> voted;
  MergeInto(&voted, record.branches);
  if (entry.branches != voted) return StagedEffect{record.gtid, Ignored::kNo};
  entry.decided = true;
  entry.outcome = Outcome::kCommitted;
  Mix(static_cast<uint64_t>(Outcome::kCommitted));
  return StagedEffect{record.gtid, Ignored::kNo, /*committed=*/true};
}

Effect TransactionTable::Put(const DecidedRecord& record) {
  Ignored closed = Closed(record.gtid);
  if (closed == Ignored::kAlreadyStaged) {
    closed = Ignored::kNo;  // staged and undecided: just what a decision needs
  } else if (closed == Ignored::kNo && record.outcome == Outcome::kCommitted) {
    // Never written by a right leader. Without a branch set it cannot be carried out.
    closed = Ignored::kNotStaged;
  }
  Mix(static_cast<uint64_t>(closed));
  if (closed != Ignored::kNo) return DecidedEffect{record.gtid, closed};
  const auto position = live_.try_emplace(record.gtid, Entry(), snapshots_).first;
  Entry& entry = position->second.Write(snapshots_);
  entry.decided = true;
  entry.outcome = record.outcome;
  entry.cause = record.cause;
  entry.detail = record.detail;
  entry.by = record.by;
  MergeInto(&entry.read_only, record.read_only);
  Mix(record.gtid.sequence);
  Mix(static_cast<uint64_t>(record.outcome));
  for (const BranchId& branch : entry.read_only) Mix(branch);
  if (entry.branches.empty()) End(position);  // nobody has to acknowledge
  return DecidedEffect{record.gtid, Ignored::kNo};
}

void TransactionTable::End(Live::iterator entry) {
  const Entry& over = *entry->second;
  ended_.Add(entry->first, over.outcome, over.cause, over.branches);
  live_.erase(entry);
}

Effect TransactionTable::Put(const EndedRecord& record) {
  EndedEffect effect;
  for (const Gtid& gtid : record.gtids) {
    const auto entry = live_.find(gtid);
    if (entry == live_.end() || !entry->second->decided) continue;
    End(entry);
    Mix(gtid.sequence);
    effect.gtids.push_back(gtid);
  }
  return effect;
}

Effect TransactionTable::Put(const EnlistedRecord& record) {
  Ignored closed = Closed(record.branch.gtid);
  if (closed == Ignored::kNo || closed == Ignored::kAlreadyStaged) {
    const auto entry = live_.find(record.branch.gtid);
    if (entry != live_.end() && entry->second->Contains(record.branch)) {
      closed = Ignored::kAlreadyEnlisted;
    }
  }
  Mix(static_cast<uint64_t>(closed));
  if (closed != Ignored::kNo) return EnlistedEffect{record.branch, closed};
  std::vector<BranchId>& set = Write(record.branch.gtid).branches;
  set.insert(std::lower_bound(set.begin(), set.end(), record.branch), record.branch);
  Mix(record.branch);
  return EnlistedEffect{record.branch, Ignored::kNo};
}

Gtid TransactionTable::CapWatermark(const Gtid& wanted) const {
  Gtid capped = wanted;
  capped.group = group_;
  for (const auto& [gtid, entry] : live_) {
    if (gtid > capped) break;
    const bool undecided = entry->staged && !entry->decided;
    const bool unacknowledged = entry->decided && entry->outcome == Outcome::kCommitted;
    if (undecided || unacknowledged) {
      capped = gtid;
      --capped.sequence;  // sequences begin at 1
      break;
    }
  }
  return std::max(capped, watermark_);
}

Effect TransactionTable::Put(const WatermarkRecord& record) {
  const bool foreign = record.gtid.group != group_;
  const Gtid watermark = foreign ? watermark_ : CapWatermark(record.gtid);
  const bool advanced = watermark > watermark_;
  watermark_ = watermark;
  // What is left below is enlisted without a commit request, or aborted.
  live_.erase(live_.begin(), live_.upper_bound(watermark_));
  ended_.DropThrough(watermark_);
  Mix(watermark_.term.value());
  Mix(watermark_.sequence);
  return WatermarkEffect{watermark_, advanced};
}

Effect TransactionTable::Put(const HeuristicRecord& record) {
  Mix(record.branch);
  Mix(static_cast<uint64_t>(record.what));
  if (record.what == Heuristic::kForgotten) {
    const bool known = heuristics_.erase(record.branch) > 0;
    return HeuristicEffect{known ? Ignored::kNo : Ignored::kUnchanged};
  }
  HeuristicEntry& entry = heuristics_[record.branch];
  entry.what = record.what;
  entry.detail = record.detail;
  return HeuristicEffect{};
}

std::optional<Gtid> TransactionTable::UserOf(std::string_view resource) const {
  for (const auto& [gtid, entry] : live_) {
    if (entry->decided && entry->outcome == Outcome::kAborted) continue;
    for (const BranchId& branch : entry->branches) {
      if (branch.resource == resource) return gtid;
    }
  }
  return std::nullopt;
}

TxnState TransactionTable::StateOf(const Gtid& gtid) const {
  if (gtid.group != group_) return TxnState::kUnknown;
  if (IsForgotten(gtid)) return TxnState::kForgotten;
  if (const Entry* entry = FindLive(gtid)) {
    if (entry->decided) return TxnState::kDecided;
    return entry->staged ? TxnState::kStaged : TxnState::kEnlisted;
  }
  return ended_.Find(gtid) ? TxnState::kEnded : TxnState::kUnknown;
}

const TransactionTable::Entry* TransactionTable::FindLive(const Gtid& gtid) const {
  const auto entry = live_.find(gtid);
  return entry == live_.end() ? nullptr : &*entry->second;
}

std::optional<TransactionTable::Settled> TransactionTable::FindSettled(
    const Gtid& gtid) const {
  if (IsForgotten(gtid)) return std::nullopt;
  if (const Entry* entry = FindLive(gtid)) {
    if (!entry->decided) return std::nullopt;
    return Settled{entry->outcome, entry->cause, entry->detail};
  }
  const auto ended = ended_.Find(gtid);
  if (!ended) return std::nullopt;
  return Settled{ended->outcome, ended->cause, std::string()};
}

bool TransactionTable::InCommittedSet(const BranchId& branch) const {
  if (IsForgotten(branch.gtid)) return false;
  if (const Entry* entry = FindLive(branch.gtid)) {
    return entry->decided && entry->outcome == Outcome::kCommitted &&
           entry->Contains(branch);
  }
  return ended_.ContainsCommitted(branch);
}

void TransactionTable::Mix(const BranchId& branch) {
  Mix(branch.gtid.term.value());
  Mix(branch.gtid.sequence);
  hash_.Mix(branch.resource);
  Mix(branch.incarnation.value());
  Mix(branch.number);
}

}  // namespace concordat::txn
