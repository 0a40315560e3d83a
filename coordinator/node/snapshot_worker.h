// A thread that works on snapshots, so that the node's loop waits neither for the disk
// nor for a state to be encoded or decoded. What it is asked for is done in order.
#ifndef COORDINATOR_NODE_SNAPSHOT_WORKER_H_
#define COORDINATOR_NODE_SNAPSHOT_WORKER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/mutex.h"
#include "coordinator/group/snapshot_files.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/raft/output.h"

namespace concordat::node {

class SnapshotWorker {
 public:
  // Called on the worker's thread.
  using Saved = absl::AnyInvocable<void(const absl::StatusOr<uint64_t>& bytes)>;
  using Restored = absl::AnyInvocable<void(const absl::Status&,
                                           std::shared_ptr<group::SnapshotRestore>)>;

  explicit SnapshotWorker(group::SnapshotFiles files);
  // Finishes what is queued.
  ~SnapshotWorker();
  SnapshotWorker(const SnapshotWorker&) = delete;
  SnapshotWorker& operator=(const SnapshotWorker&) = delete;

  // Thread-safe. As in group::SnapshotFiles.
  void Save(const raft::SnapshotMeta& meta, std::unique_ptr<group::SnapshotSource> source,
            Saved done);
  void Receive(raft::SnapshotWrite part);
  void Restore(const raft::SnapshotMeta& meta,
               std::unique_ptr<group::SnapshotRestore> restore, Restored done);
  // Lets go of what may take a while to destroy.
  void Drop(std::shared_ptr<group::SnapshotRestore> restore);

 private:
  using Job = absl::AnyInvocable<void()>;
  void Add(Job job);
  void Run();

  group::SnapshotFiles files_;  // the thread's
  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_SNAPSHOT_WORKER_H_
