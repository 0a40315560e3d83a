#include "coordinator/node/snapshot_worker.h"

#include <utility>

namespace concordat::node {

SnapshotWorker::SnapshotWorker(group::SnapshotFiles files)
    : files_(std::move(files)), thread_([this] { Run(); }) {}

SnapshotWorker::~SnapshotWorker() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
  }
  wake_.NotifyAll();
  thread_.join();
}

void SnapshotWorker::Save(const raft::SnapshotMeta& meta,
                          std::unique_ptr<group::SnapshotSource> source, Saved done) {
  Add([this, meta, source = std::move(source), done = std::move(done)]() mutable {
    done(files_.Save(meta, source.get()));
  });
}

void SnapshotWorker::Receive(raft::SnapshotWrite part) {
  Add([this, part = std::move(part)] { files_.Receive(part); });
}

void SnapshotWorker::DropReceived() {
  Add([this] { files_.DropReceived(); });
}

void SnapshotWorker::Restore(const raft::SnapshotMeta& meta,
                             std::unique_ptr<group::SnapshotRestore> restore,
                             Restored done) {
  Add([this, meta, restore = std::shared_ptr(std::move(restore)),
       done = std::move(done)]() mutable {
    const absl::Status restored = files_.Restore(meta, restore.get());
    done(restored, std::move(restore));
  });
}

void SnapshotWorker::Drop(std::shared_ptr<group::SnapshotRestore> restore) {
  Add([restore = std::move(restore)]() mutable { restore.reset(); });
}

void SnapshotWorker::Add(Job job) {
  {
    MutexLock lock(&mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.NotifyOne();
}

void SnapshotWorker::Run() {
  for (;;) {
    Job job;
    {
      MutexLock lock(&mutex_);
      while (jobs_.empty() && !stop_) wake_.Wait(&mutex_);
      if (jobs_.empty()) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace concordat::node
