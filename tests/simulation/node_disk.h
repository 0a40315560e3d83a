// The disk of a simulated coordinator node, to which storage::RaftStore appends records,
// and which has the snapshots.
//
//   disk->Open(replay);              // when the process starts
//   store.Attach(disk.get());        // RaftStore appends
//   disk->BeginFlush(); ... disk->FinishFlush();   // the flush takes simulated time
//   disk->Crash(power);              // the process died; `power`: the machine too
//
// There are two kinds. RecordDisk keeps whole records and loses any number of the last
// ones that were not flushed; it is fast and used for most seeds. LogDisk is the real
// wal::Log on FaultEnv, with the real storage::SnapshotStore: single sectors are lost,
// and the log's own recovery truncates the torn tail.
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
  // Replays the records that survived.
  virtual void Open(const wal::ReadCallback& on_record) = 0;
  [[nodiscard]] virtual bool HasUnflushed() const = 0;
  // The records that have been appended will be durable at FinishFlush().
  virtual void BeginFlush() = 0;
  // Returns durable_lsn().
  virtual wal::Lsn FinishFlush() = 0;
  virtual void Crash(bool power) = 0;
  // Full: only records that finish work can be appended, none that begin any.
  void SetFull(bool full) { full_ = full; }
  bool HasSpace(wal::Reserve use) const final {
    return !full_ || use == wal::Reserve::kFinish;
  }
  // The disk of a stopped node loses durable entries from the end of its log: at most so
  // many, and only while each directly follows the record before it. Returns how many.
  virtual size_t LoseTail(size_t) { return 0; }
  [[nodiscard]] virtual bool CanLoseTail() const { return false; }

  // As group::SnapshotFiles and storage::SnapshotStore have them.
  virtual absl::Status SaveSnapshot(const raft::SnapshotMeta& meta,
                                    group::SnapshotSource* source) = 0;
  virtual void ReceiveSnapshot(const raft::SnapshotWrite& part) = 0;
  virtual void DropReceivedSnapshot() = 0;
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
