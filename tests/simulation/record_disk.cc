#include <algorithm>
#include <deque>
#include <map>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/base/random.h"
#include "coordinator/group/snapshot_stream.h"
#include "coordinator/storage/raft_records.h"
#include "tests/simulation/node_disk.h"

namespace concordat::simulation {

namespace {

// The index of an entry; 0 for another record.
LogIndex EntryIndex(const wal::Record& record) {
  const auto decoded = storage::DecodeRaftRecord(record.type, record.payload);
  CONCORDAT_CHECK(decoded.ok()) << decoded.status().message();
  const auto* entry = std::get_if<storage::EntryRecord>(&*decoded);
  return entry == nullptr ? LogIndex() : entry->entry.index;
}

struct Snapshot {
  raft::SnapshotMeta meta;
  std::string state;
};

class RecordDisk final : public NodeDisk {
 public:
  RecordDisk(uint64_t seed, RarePaths* rare) : random_(seed), rare_(rare) {}

  void Open(const wal::ReadCallback& on_record) override {
    wal::Lsn lsn = first_;
    for (const wal::Record& record : records_) {
      on_record(lsn, record.type, record.payload);
      lsn = lsn.Next();
    }
    durable_ = flushing_ = Last();
  }

  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                  wal::Reserve) override {
    records_.insert(records_.end(), records.begin(), records.end());
    return Last();
  }
  void ReleaseBefore(wal::Lsn lsn) override {
    CONCORDAT_CHECK(lsn <= durable_.Next());
    // As with segments, some of the released records stay for a while.
    if (lsn.value() < first_.value() + 32) return;
    rare_->Add(Rare::kLogCompacted);
    while (first_ < lsn) {
      records_.pop_front();
      first_ = first_.Next();
    }
  }
  wal::Lsn durable_lsn() const override { return durable_; }

  bool HasUnflushed() const override { return durable_ < Last(); }
  void BeginFlush() override { flushing_ = Last(); }
  wal::Lsn FinishFlush() override {
    durable_ = std::max(durable_, flushing_);
    return durable_;
  }

  // At a power cut any first part of the unflushed records may have reached the disk.
  // When only the process dies, what it had written stays; it writes when it flushes.
  void Crash(bool power) override {
    received_ = {};
    const uint64_t written =
        power ? flushing_.value() : std::max(flushing_.value(), durable_.value());
    uint64_t keep = durable_.value();
    if (written > keep) {
      keep += random_.Below(written - keep + 1);
      if (!power) keep = written;
    }
    if (keep > durable_.value() && keep < Last().value()) {
      rare_->Add(Rare::kPersistLostInPart);
    }
    while (Last().value() > keep) records_.pop_back();
    durable_ = flushing_ = Last();
  }

  bool CanLoseTail() const override { return true; }
  size_t LoseTail(size_t most) override {
    size_t lost = 0;
    while (lost < most && records_.size() > 1) {
      const LogIndex last = EntryIndex(records_.back());
      if (last.is_none() || EntryIndex(records_[records_.size() - 2]).Next() != last)
        break;
      records_.pop_back();
      ++lost;
    }
    durable_ = flushing_ = Last();
    return lost;
  }

  absl::Status SaveSnapshot(const raft::SnapshotMeta& meta,
                            group::SnapshotSource* source) override {
    Snapshot snapshot{meta, {}};
    absl::Status status = group::WriteSnapshot(source, [&](std::string_view bytes) {
      snapshot.state.append(bytes);
      return absl::OkStatus();
    });
    if (status.ok()) snapshots_[meta.index] = std::move(snapshot);
    return status;
  }
  void ReceiveSnapshot(const raft::SnapshotWrite& part) override {
    if (part.offset == 0) received_ = Snapshot{part.meta, {}};
    CONCORDAT_CHECK(received_.state.size() == part.offset)
        << "snapshot part at " << part.offset << " does not follow the last one";
    received_.state.append(part.data.view());
  }
  void DropReceivedSnapshot() override { received_ = {}; }
  absl::Status RestoreSnapshot(const raft::SnapshotMeta& meta,
                               group::SnapshotRestore* restore) override {
    CONCORDAT_CHECK(received_.meta == meta) << "not the snapshot that was received";
    snapshots_[meta.index] = std::exchange(received_, {});
    group::SnapshotParser parser(restore);
    absl::Status status = parser.Append(snapshots_[meta.index].state);
    return status.ok() ? parser.Finish() : status;
  }
  absl::StatusOr<raft::SnapshotMeta> LoadSnapshot(
      LogIndex index, storage::SnapshotStore::TakePart take) override {
    const auto it = snapshots_.find(index);
    if (it == snapshots_.end()) return absl::NotFoundError("no such snapshot");
    if (absl::Status s = take(it->second.state); !s.ok()) return s;
    return it->second.meta;
  }
  absl::StatusOr<storage::SnapshotStore::Chunk> ReadSnapshot(LogIndex index,
                                                             uint64_t offset,
                                                             size_t max_bytes) override {
    const auto it = snapshots_.find(index);
    if (it == snapshots_.end()) return absl::NotFoundError("no such snapshot");
    const std::string& state = it->second.state;
    if (offset > state.size()) return absl::OutOfRangeError("behind the end");
    storage::SnapshotStore::Chunk chunk;
    chunk.data = state.substr(offset, max_bytes);
    chunk.last = offset + chunk.data.size() == state.size();
    return chunk;
  }
  void RemoveOlderSnapshots(LogIndex index, LogIndex keep) override {
    std::erase_if(snapshots_, [&](const auto& snapshot) {
      return snapshot.first < index && snapshot.first != keep;
    });
  }

 private:
  [[nodiscard]] wal::Lsn Last() const {
    return wal::Lsn(first_.value() + records_.size() - 1);
  }

  Random random_;
  RarePaths* rare_;
  std::deque<wal::Record> records_;
  wal::Lsn first_{1};
  wal::Lsn durable_;
  wal::Lsn flushing_;
  std::map<LogIndex, Snapshot> snapshots_;
  Snapshot received_;
};

}  // namespace

std::unique_ptr<NodeDisk> MakeRecordDisk(uint64_t seed, RarePaths* rare) {
  return std::make_unique<RecordDisk>(seed, rare);
}

}  // namespace concordat::simulation
