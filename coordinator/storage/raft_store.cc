#include "coordinator/storage/raft_store.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/storage/raft_records.h"

namespace concordat::storage {

namespace {

wal::Record MakeRecord(RecordType type, std::string payload) {
  return wal::Record{static_cast<uint8_t>(type), std::move(payload)};
}

}  // namespace

void RaftStore::Replay(wal::Lsn lsn, uint8_t type, std::string_view payload) {
  last_lsn_ = lsn;
  if (!replay_status_.ok()) return;
  replay_status_ = ReplayOne(lsn, type, payload);
}

absl::Status RaftStore::ReplayOne(wal::Lsn lsn, uint8_t type, std::string_view payload) {
  auto record = DecodeRaftRecord(type, payload);
  if (!record.ok()) {
    return absl::DataLossError(absl::StrCat("log record ", lsn.value(), ": ",
                                            std::string(record.status().message())));
  }
  if (auto* hard_state = std::get_if<HardStateRecord>(&*record)) {
    Apply(&groups_[hard_state->group], lsn, hard_state->state);
    return absl::OkStatus();
  }
  if (auto* snapshot = std::get_if<SnapshotRecord>(&*record)) {
    ApplySnapshot(&groups_[snapshot->group], lsn, snapshot->meta, snapshot->discard_log);
    return absl::OkStatus();
  }
  auto& entry = std::get<EntryRecord>(*record);
  Group* group = &groups_[entry.group];
  // Whole segments are released, so the log may begin after some of the entries. Then a
  // later snapshot stands for the missing ones, or TakeRecovered reports a gap.
  if (group->entry_lsns.empty() && entry.entry.index > group->first_index) {
    group->first_index = entry.entry.index;
  }
  absl::Status status = ApplyEntry(group, lsn, entry.entry.index);
  if (status.ok()) group->entries.push_back(std::move(entry.entry));
  return status;
}

void RaftStore::Apply(Group* group, wal::Lsn lsn, const raft::HardState& state) {
  group->hard_state = state;
  group->hard_state_lsn = lsn;
}

// An entry voids the stored entries at its index and later (Figure 2, AppendEntries,
// receiver's rule 3). The first entry of a log whose beginning was released may have any
// index.
absl::Status RaftStore::ApplyEntry(Group* group, wal::Lsn lsn, LogIndex index) {
  if (group->entry_lsns.empty() && !group->has_snapshot) group->first_index = index;
  const uint64_t first = group->first_index.value();
  if (index.value() > first + group->entry_lsns.size()) {
    return absl::DataLossError(absl::StrCat("log record ", lsn.value(), ": entry ",
                                            index.value(), " after entry ",
                                            first + group->entry_lsns.size() - 1));
  }
  if (index.value() < first) {  // the whole log was overwritten
    group->first_index = index;
    group->entry_lsns.clear();
    group->entries.clear();
  } else {
    const size_t keep = index.value() - first;
    group->entry_lsns.resize(keep);
    if (group->entries.size() > keep) group->entries.resize(keep);
  }
  group->entry_lsns.push_back(lsn);
  return absl::OkStatus();
}

void RaftStore::ApplySnapshot(Group* group, wal::Lsn lsn, const raft::SnapshotMeta& meta,
                              bool discard_log) {
  group->snapshot = meta;
  group->has_snapshot = true;
  group->snapshot_lsn = lsn;
  if (discard_log) {
    group->entry_lsns.clear();
    group->entries.clear();
  }
  while (!group->entry_lsns.empty() && group->first_index <= meta.index) {
    group->entry_lsns.pop_front();
    group->first_index = group->first_index.Next();
  }
  if (group->entry_lsns.empty()) group->first_index = meta.index.Next();
  // While the log is replayed, the same entries are dropped from `entries`.
  const size_t gone = group->entries.size() > group->entry_lsns.size()
                          ? group->entries.size() - group->entry_lsns.size()
                          : 0;
  group->entries.erase(group->entries.begin(),
                       group->entries.begin() + static_cast<ptrdiff_t>(gone));
}

raft::RecoveredState RaftStore::TakeRecovered(GroupId id) {
  Group& group = groups_[id];
  raft::RecoveredState state;
  state.hard_state = group.hard_state;
  state.snapshot = group.snapshot;
  state.entries = std::exchange(group.entries, {});
  const LogIndex reach = group.snapshot.index.Next();
  if (!state.entries.empty() && group.first_index > reach && replay_status_.ok()) {
    replay_status_ = absl::DataLossError(absl::StrCat(
        "group ", id.value(), ": the log begins at entry ", group.first_index.value(),
        ", the snapshot in force ends at ", group.snapshot.index.value()));
  }
  return state;
}

absl::StatusOr<wal::Lsn> RaftStore::Append(const std::vector<wal::Record>& records) {
  auto lsn = sink_->Append(records, wal::Reserve::kFinish);
  const bool later =
      absl::IsUnavailable(lsn.status()) || absl::IsResourceExhausted(lsn.status());
  if (!lsn.ok() && !later) {
    FatalIoError(absl::StrCat("Raft log: ", std::string(lsn.status().message())));
  }
  return lsn;
}

absl::StatusOr<wal::Lsn> RaftStore::Persist(GroupId id, const raft::Persist& persist) {
  std::vector<wal::Record> records;
  records.reserve(persist.entries.size() + 2);
  if (persist.snapshot) {
    records.push_back(
        MakeRecord(RecordType::kSnapshot,
                   EncodeSnapshot(id, persist.discard_log, *persist.snapshot)));
  }
  if (persist.hard_state) {
    records.push_back(
        MakeRecord(RecordType::kHardState, EncodeHardState(id, *persist.hard_state)));
  }
  for (const raft::Entry& entry : persist.entries) {
    records.push_back(MakeRecord(RecordType::kEntry, EncodeEntry(id, entry)));
  }
  if (records.empty()) return last_lsn_;
  const auto last = Append(records);
  if (!last.ok()) return last.status();
  // The records of one append have consecutive numbers.
  wal::Lsn lsn(last->value() - records.size() + 1);
  Group* group = &groups_[id];
  if (persist.snapshot) {
    ApplySnapshot(group, lsn, *persist.snapshot, persist.discard_log);
    lsn = lsn.Next();
  }
  if (persist.hard_state) {
    Apply(group, lsn, *persist.hard_state);
    lsn = lsn.Next();
  }
  for (const raft::Entry& entry : persist.entries) {
    const absl::Status status = ApplyEntry(group, lsn, entry.index);
    CONCORDAT_CHECK(status.ok()) << status.message();
    lsn = lsn.Next();
  }
  last_lsn_ = *last;
  return *last;
}

wal::Lsn RaftStore::OldestNeeded(const Group& group) const {
  wal::Lsn oldest = last_lsn_.Next();
  if (!group.entry_lsns.empty()) oldest = std::min(oldest, group.entry_lsns.front());
  return oldest;
}

bool RaftStore::RewriteOldState(wal::Lsn below) {
  for (auto& [id, group] : groups_) {
    std::vector<wal::Record> records;
    const bool old_snapshot = group.has_snapshot && group.snapshot_lsn < below;
    const bool old_hard_state =
        !group.hard_state_lsn.is_none() && group.hard_state_lsn < below;
    if (old_snapshot) {
      records.push_back(
          MakeRecord(RecordType::kSnapshot, EncodeSnapshot(id, false, group.snapshot)));
    }
    if (old_hard_state) {
      records.push_back(
          MakeRecord(RecordType::kHardState, EncodeHardState(id, group.hard_state)));
    }
    if (records.empty()) continue;
    const auto last = Append(records);
    if (!last.ok()) return false;
    if (old_hard_state) group.hard_state_lsn = *last;
    if (old_snapshot) group.snapshot_lsn = wal::Lsn(last->value() - records.size() + 1);
    last_lsn_ = *last;
  }
  return true;
}

LogIndex RaftStore::DurableSnapshot(GroupId id) const {
  const auto group = groups_.find(id);
  if (group == groups_.end() || group->second.snapshot_lsn > sink_->durable_lsn()) {
    return LogIndex();
  }
  return group->second.snapshot.index;
}

void RaftStore::Compact() {
  wal::Lsn floor = last_lsn_.Next();
  for (const auto& [id, group] : groups_) floor = std::min(floor, OldestNeeded(group));
  // A record that replaces an older one must be durable before the older one is released.
  wal::Lsn oldest = floor;
  wal::Lsn newest;
  for (const auto& [id, group] : groups_) {
    for (const wal::Lsn lsn : {group.hard_state_lsn, group.snapshot_lsn}) {
      if (lsn.is_none()) continue;
      oldest = std::min(oldest, lsn);
      newest = std::max(newest, lsn);
    }
  }
  const wal::Lsn durable = sink_->durable_lsn();
  if (newest <= durable && oldest <= durable.Next() && oldest > released_) {
    released_ = oldest;
    sink_->ReleaseBefore(oldest);
  }
  if (floor > rewritten_ && floor > oldest && RewriteOldState(floor)) rewritten_ = floor;
}

}  // namespace concordat::storage
