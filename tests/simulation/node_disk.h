// The disk of a simulated coordinator node: where storage::RaftStore appends records,
// and where snapshots lie.
//
//   disk->Open(replay);              // after the start of the process
//   store.Attach(disk.get());        // RaftStore appends
//   disk->BeginFlush(); ... disk->FinishFlush();   // the flush takes simulated time
//   disk->Crash(power);              // the process died, with or without the machine
//
// Two kinds. RecordDisk keeps whole records and loses any number of the last ones that
// were not flushed: fast, used for most seeds. LogDisk is the real wal::Log on
// FaultEnv with the real storage::SnapshotStore: sectors are lost one by one and
// the log's own recovery truncates the torn tail.
#ifndef TESTS_SIMULATION_NODE_DISK_H_
#define TESTS_SIMULATION_NODE_DISK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/ids.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/raft/output.h"
#include "coordinator/storage/raft_store.h"
#include "coordinator/storage/snapshot_store.h"
#include "tests/simulation/rare_paths.h"
#include "wal/log.h"

namespace concordat::simulation {

class NodeDisk : public storage::LogSink {
 public:
  // Replays what survived.
  virtual void Open(const wal::ReadCallback& on_record) = 0;
  [[nodiscard]] virtual bool HasUnflushed() const = 0;
  // What has been appended by now will be durable at FinishFlush.
  virtual void BeginFlush() = 0;
  // Returns durable_lsn().
  virtual wal::Lsn FinishFlush() = 0;
  virtual void Crash(bool power) = 0;
  // From now on there is room for what finishes work, and for nothing new; or there is
  // room again.
  void SetFull(bool full) { full_ = full; }
  bool HasSpace(wal::Reserve use) const final {
    return !full_ || use == wal::Reserve::kFinish;
  }
  // The disk, while nobody uses it, loses entries from the end of the log that it had
  // said were durable: so many at most, as far as each is the one behind the record
  // before it. How many it were.
  virtual size_t LoseTail(size_t) { return 0; }
  [[nodiscard]] virtual bool CanLoseTail() const { return false; }

  // As group::SnapshotFiles and storage::SnapshotStore have them.
  virtual absl::Status SaveSnapshot(const raft::SnapshotMeta& meta,
                                    group::SnapshotSource* source) = 0;
  virtual void ReceiveSnapshot(const raft::SnapshotWrite& part) = 0;
  virtual absl::Status RestoreSnapshot(const raft::SnapshotMeta& meta,
                                       group::SnapshotRestore* restore) = 0;
  [[nodiscard]] virtual absl::StatusOr<raft::SnapshotMeta> LoadSnapshot(
      LogIndex index, storage::SnapshotStore::TakePart take) = 0;
  [[nodiscard]] virtual absl::StatusOr<storage::SnapshotStore::Chunk> ReadSnapshot(
      LogIndex index, uint64_t offset, size_t max_bytes) = 0;
  virtual void RemoveOlderSnapshots(LogIndex index, LogIndex keep) = 0;

 private:
  bool full_ = false;
};

[[nodiscard]] std::unique_ptr<NodeDisk> MakeRecordDisk(uint64_t seed, RarePaths* rare);
[[nodiscard]] std::unique_ptr<NodeDisk> MakeLogDisk(uint64_t seed, GroupId group,
                                                    RarePaths* rare);

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_NODE_DISK_H_
