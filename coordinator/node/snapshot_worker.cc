#include "coordinator/node/snapshot_worker.h"

#include <utility>

namespace concordat::node {

SnapshotWorker::SnapshotWorker(storage::SnapshotStore* store)
    : store_(store), thread_([this] { Run(); }) {}

SnapshotWorker::~SnapshotWorker() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void SnapshotWorker::Save(GroupId group, raft::SnapshotMeta meta, std::string state,
                          Done done) {
  {
    MutexLock lock(&mutex_);
    jobs_.push_back(Job{group, std::move(meta), std::move(state), std::move(done)});
  }
  wake_.NotifyOne();
}

bool SnapshotWorker::NextJob(Job* job) {
  MutexLock lock(&mutex_);
  while (jobs_.empty() && !stop_) wake_.Wait(&mutex_);
  if (jobs_.empty()) return false;
  *job = std::move(jobs_.front());
  jobs_.pop_front();
  return true;
}

void SnapshotWorker::Run() {
  Job job;
  while (NextJob(&job)) {
    job.done(store_->Save(job.group, job.meta, job.state));
    job = Job();
  }
}

}  // namespace concordat::node
