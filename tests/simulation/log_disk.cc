#include <optional>
#include <string>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/base/fault_env.h"
#include "coordinator/base/random.h"
#include "coordinator/group/snapshot_files.h"
#include "tests/simulation/node_disk.h"

namespace concordat::simulation {

namespace {

// Thrown out of wal/ when the power fails in the middle of a write: the process does
// nothing more.
struct PowerIsOff {};

[[noreturn]] void StopProcess(std::string_view) { throw PowerIsOff(); }

class LogDisk final : public NodeDisk {
 public:
  LogDisk(uint64_t seed, GroupId group, RarePaths* rare)
      : random_(seed), group_(group), rare_(rare), env_(seed) {}

  void Open(const wal::ReadCallback& on_record) override {
    wal::LogOptions options;
    options.dir = "/node/wal";
    options.owner = "raft";
    options.segment_bytes = 64 << 10;
    options.reserve_bytes = 64 << 10;
    auto log = wal::Log::Open(&env_, options, on_record);
    CONCORDAT_CHECK(log.ok()) << "the log does not open: " << log.status().message();
    log_ = *std::move(log);
    if (torn_ && log_->next_lsn() < appended_.Next()) {
      rare_->Add(Rare::kTornTailTruncated);
    }
    torn_ = false;
    appended_ = log_->next_lsn().Previous();
    snapshots_.emplace(&env_, "/node/snapshots");
    const absl::Status opened = snapshots_->Open(log_->log_id());
    CONCORDAT_CHECK(opened.ok()) << opened.message();
    files_.emplace(&*snapshots_, group_);
  }

  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                  wal::Reserve use) override {
    for (const wal::Record& record : records) {
      auto lsn = log_->Append(record.type, record.payload, use);
      if (!lsn.ok()) return lsn.status();
      appended_ = *lsn;
    }
    return appended_;
  }
  void ReleaseBefore(wal::Lsn lsn) override {
    const wal::Lsn before = log_->first_lsn();
    log_->ReleaseBefore(lsn);
    if (log_->first_lsn() > before) rare_->Add(Rare::kLogCompacted);
  }
  wal::Lsn durable_lsn() const override { return log_->durable_lsn(); }

  bool HasUnflushed() const override { return log_->durable_lsn() < appended_; }
  void BeginFlush() override {}
  wal::Lsn FinishFlush() override {
    log_->Sync();
    return log_->durable_lsn();
  }

  // Half of the crashes come in the middle of a flush.
  void Crash(bool power) override {
    if (HasUnflushed() && random_.Percent(50)) TearFlush();
    files_.reset();
    snapshots_.reset();
    log_.reset();
    using Unsynced = FaultEnv::Unsynced;
    env_.Crash(power ? Unsynced::kRandom : Unsynced::kKeepAll);
  }

  absl::Status SaveSnapshot(const raft::SnapshotMeta& meta,
                            group::SnapshotSource* source) override {
    return files_->Save(meta, source).status();
  }
  void ReceiveSnapshot(const raft::SnapshotWrite& part) override {
    files_->Receive(part);
  }
  void DropReceivedSnapshot() override { files_->DropReceived(); }
  absl::Status RestoreSnapshot(const raft::SnapshotMeta& meta,
                               group::SnapshotRestore* restore) override {
    return files_->Restore(meta, restore);
  }
  absl::StatusOr<raft::SnapshotMeta> LoadSnapshot(
      LogIndex index, storage::SnapshotStore::TakePart take) override {
    return snapshots_->Load(group_, index, take);
  }
  absl::StatusOr<storage::SnapshotStore::Chunk> ReadSnapshot(LogIndex index,
                                                             uint64_t offset,
                                                             size_t max_bytes) override {
    return snapshots_->Read(group_, index, offset, max_bytes);
  }
  void RemoveOlderSnapshots(LogIndex index, LogIndex keep) override {
    snapshots_->RemoveOlder(group_, index, keep);
  }

 private:
  void TearFlush() {
    env_.PowerOffAfter(random_.Below(3));
    const FatalIoHandler before = SetFatalIoHandlerForTest(StopProcess);
    try {
      log_->Sync();
    } catch (const PowerIsOff&) {
      torn_ = true;
    }
    SetFatalIoHandlerForTest(before);
  }

  Random random_;
  const GroupId group_;
  RarePaths* rare_;
  FaultEnv env_;
  std::unique_ptr<wal::Log> log_;
  std::optional<storage::SnapshotStore> snapshots_;
  std::optional<group::SnapshotFiles> files_;
  wal::Lsn appended_;
  bool torn_ = false;
};

}  // namespace

std::unique_ptr<NodeDisk> MakeLogDisk(uint64_t seed, GroupId group, RarePaths* rare) {
  return std::make_unique<LogDisk>(seed, group, rare);
}

}  // namespace concordat::simulation
