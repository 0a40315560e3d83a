// A thread that writes snapshots, so that the node's loop does not wait for the disk.
#ifndef COORDINATOR_NODE_SNAPSHOT_WORKER_H_
#define COORDINATOR_NODE_SNAPSHOT_WORKER_H_

#include <deque>
#include <string>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/mutex.h"
#include "coordinator/raft/types.h"
#include "coordinator/storage/snapshot_store.h"

namespace concordat::node {

class SnapshotWorker {
 public:
  using Done = absl::AnyInvocable<void(const absl::Status&)>;

  explicit SnapshotWorker(storage::SnapshotStore* store);
  // Finishes what is queued.
  ~SnapshotWorker();
  SnapshotWorker(const SnapshotWorker&) = delete;
  SnapshotWorker& operator=(const SnapshotWorker&) = delete;

  // Thread-safe. `done` is called on the worker's thread.
  void Save(GroupId group, raft::SnapshotMeta meta, std::string state, Done done);

 private:
  struct Job {
    GroupId group;
    raft::SnapshotMeta meta;
    std::string state;
    Done done;
  };
  void Run();
  [[nodiscard]] bool NextJob(Job* job);

  storage::SnapshotStore* const store_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<Job> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace concordat::node

#endif  // COORDINATOR_NODE_SNAPSHOT_WORKER_H_
