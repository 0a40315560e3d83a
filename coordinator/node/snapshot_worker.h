// A thread that works on snapshots, so that the node's loop waits neither for the disk
// nor for a state to be encoded or decoded. It does what it is asked for in the order in
// which it was asked.
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
  // Callbacks, which are called on the worker's thread. `bytes` is the size of the state.
  using Saved = absl::AnyInvocable<void(const absl::StatusOr<uint64_t>& bytes)>;
  using Restored = absl::AnyInvocable<void(const absl::Status&,
                                           std::shared_ptr<group::SnapshotRestore>)>;

  explicit SnapshotWorker(group::SnapshotFiles files);
  // Finishes what is queued first.
  ~SnapshotWorker();
  SnapshotWorker(const SnapshotWorker&) = delete;
  SnapshotWorker& operator=(const SnapshotWorker&) = delete;

  // These may be called on any thread, and do what group::SnapshotFiles does.
  void Save(const raft::SnapshotMeta& meta, std::unique_ptr<group::SnapshotSource> source,
            Saved done);
  void Receive(raft::SnapshotWrite part);
  void DropReceived();
  void Restore(const raft::SnapshotMeta& meta,
               std::unique_ptr<group::SnapshotRestore> restore, Restored done);
  // Destroys a restore on the worker's thread, since that may take a while.
  void Drop(std::shared_ptr<group::SnapshotRestore> restore);

 private:
  using Job = absl::AnyInvocable<void()>;
  void Add(Job job);
  void Run();

  group::SnapshotFiles files_;  // used by thread_ only
  Mutex mutex_;
  ConditionVariable wake_;                        // a job was added, or stop_ is set
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);  // to be done, oldest first
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;     // set by the destructor
  std::thread thread_;                            // runs the jobs
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_SNAPSHOT_WORKER_H_
