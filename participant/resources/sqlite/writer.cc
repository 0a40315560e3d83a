#include "participant/resources/sqlite/writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"

namespace concordat::participant::sqlite {

Writer::Writer(std::string path, const SqliteOptions& options)
    : path_(std::move(path)), options_(options) {}

Writer::~Writer() { Close(); }

void Writer::Open(ClusterId cluster,
                  Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  CONCORDAT_CHECK(!thread_.joinable()) << "Recover is called once";
  thread_ = std::thread(&Writer::Run, this, cluster, std::move(done));
}

bool Writer::Push(Job&& job) {
  if (!is_open()) return false;
  MutexLock lock(&mutex_);
  if (closing_) return false;
  queue_.push_back(std::move(job));
  jobs_wait_.store(true, std::memory_order_relaxed);
  if (sleeping_) changed_.NotifyOne();
  return true;
}

absl::Status Writer::Admit() {
  if (clock_.Now().micros() < full_until_micros_.load(std::memory_order_relaxed)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the disk of ", path_, " is full: no new branches now"));
  }
  if (branches_.count().fetch_add(1, std::memory_order_relaxed) >=
      options_.max_branches) {
    branches_.count().fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError(absl::StrCat(
        path_, " has ", options_.max_branches, " open branches: try again later"));
  }
  return absl::OkStatus();
}

void Writer::Close() {
  {
    MutexLock lock(&mutex_);
    closing_ = true;
    jobs_wait_.store(true, std::memory_order_relaxed);
    changed_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

absl::StatusOr<std::vector<BranchId>> Writer::OpenFile(ClusterId cluster) {
  if (path_.empty() || path_.front() == ':' || path_.rfind("file:", 0) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", path_, "\" is not the name of a file"));
  }
  absl::StatusOr<FileGuard> guard = FileGuard::Take(path_);
  if (!guard.ok()) return guard.status();
  guard_.emplace(*std::move(guard));
  absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path_, options_, cluster);
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  store_id_ = store_->id();
  first_generation_ = store_->generation();
  file_ = IdentityOf(path_);
  if (absl::Status s = catalog_.Load(store_->db()); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<Scratch>> scratch =
      Scratch::Open(path_, options_, &catalog_, [this] { return calls_->MustYield(); });
  if (!scratch.ok()) return scratch.status();
  scratch_ = *std::move(scratch);
  absl::StatusOr<std::unique_ptr<ReaderPool>> readers = ReaderPool::Open(path_, options_);
  if (!readers.ok()) return readers.status();
  readers_ = *std::move(readers);
  absl::StatusOr<std::vector<StoredBranch>> stored = store_->LoadBranches();
  if (!stored.ok()) return stored.status();
  const int64_t next_slot = stored->empty() ? 1 : stored->back().slot + 1;
  batch_ = std::make_unique<DurableBatch>(store_.get(), &catalog_, &branches_.locks(),
                                          next_slot);
  calls_ = std::make_unique<CallScheduler>(
      options_, &branches_, store_.get(), &catalog_, scratch_.get(), readers_.get(),
      [this] { return OthersWait(); },
      [this](const BranchId& id) {
        (void)Push({id, DropJob{}});
      });
  return Restore(*std::move(stored));
}

std::vector<BranchId> Writer::Restore(std::vector<StoredBranch> stored) {
  std::vector<BranchId> ids;
  for (StoredBranch& from : stored) {
    ids.push_back(from.id);
    Branch* branch = branches_.Add(from.id);
    branches_.count().fetch_add(1, std::memory_order_relaxed);
    branch->age = from.id.gtid;
    branch->state = BranchState::kPrepared;
    branch->slot = from.slot;
    branch->redo = std::move(from.redo);
    for (const LockWant& lock : from.locks) {
      branches_.locks().Grant(branch, lock.key, lock.mode);
    }
  }
  return ids;
}

void Writer::Run(ClusterId cluster,
                 Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  absl::StatusOr<std::vector<BranchId>> prepared = OpenFile(cluster);
  const bool opened = prepared.ok();
  open_.store(opened, std::memory_order_release);
  done(std::move(prepared));
  std::vector<Job> jobs;
  while (opened && TakeJobs(&jobs)) Round(&jobs);
  CloseAll();
}

bool Writer::TakeJobs(std::vector<Job>* jobs) {
  jobs->clear();
  MutexLock lock(&mutex_);
  const bool more = calls_->HasWork() || batch_->has_evidence_to_forget();
  const Timestamp deadline = calls_->NextDeadline();
  sleeping_ = true;
  while (queue_.empty() && !closing_ && !more && clock_.Now() < deadline) {
    if (deadline == Timestamp::Infinite()) {
      changed_.Wait(&mutex_);
    } else {
      changed_.WaitFor(&mutex_, deadline - clock_.Now());
    }
  }
  sleeping_ = false;
  jobs->swap(queue_);
  jobs_wait_.store(false, std::memory_order_relaxed);
  return !closing_ || !jobs->empty();
}

void Writer::Round(std::vector<Job>* jobs) {
  for (Job& job : *jobs) Accept(&job);
  calls_->RunPhase();
  WriteBatch();
  WriteGeneration();
  calls_->ExpireWaits();
  MaybeCheckpoint();
}

void Writer::CloseAll() {
  open_.store(false, std::memory_order_release);
  std::vector<Branch*> active;
  if (calls_ != nullptr) {
    branches_.ForEach([&active](Branch* branch) {
      if (branch->state != BranchState::kPrepared) active.push_back(branch);
    });
    for (Branch* branch : active) {
      calls_->Cancel(branch, wire::Code::BRANCH_GONE, "the resource is being closed");
      branches_.Remove(branch);
    }
  }
  readers_.reset();
  calls_.reset();
  batch_.reset();
  scratch_.reset();
  store_.reset();
  guard_.reset();
}

void Writer::Accept(Job* job) {
  std::visit([this, job](auto& work) { Accept(job->branch, &work); }, job->work);
}

void Writer::Accept(const BranchId& id, StartJob* job) {
  CONCORDAT_CHECK(branches_.Find(id) == nullptr) << "branch " << id << " started twice";
  Branch* branch = branches_.Add(id);
  branch->age = job->age;
  branch->serializable = job->serializable;
}

void Writer::Accept(const BranchId& id, ExecuteJob* job) {
  Branch* branch = branches_.Find(id);
  if (branch == nullptr) {
    job->done(MakeReply(wire::Code::BRANCH_GONE, "the branch is not here"));
  } else if (branch->state == BranchState::kWounded) {
    branches_.Remove(branch);
    job->done(
        MakeReply(wire::Code::CONFLICT,
                  "lost its locks to an older transaction; roll back and run again"));
  } else if (branch->state != BranchState::kActive || branch->request != nullptr) {
    job->done(MakeReply(wire::Code::INVALID, "the branch takes no more calls"));
  } else {
    calls_->Submit(branch, *job->request, std::move(job->done));
  }
}

void Writer::Accept(const BranchId& id, PrepareJob* job) {
  Branch* branch = branches_.Find(id);
  if (branch == nullptr) {
    job->done({Vote::kRefused, "the branch is not here"});
    return;
  }
  if (branch->state == BranchState::kPrepared) {
    job->done({Vote::kPrepared, ""});
  } else if (branch->state == BranchState::kWounded) {
    branches_.Remove(branch);
    job->done({Vote::kConflict, "lost its locks to an older transaction"});
  } else if (branch->state != BranchState::kActive || branch->request != nullptr) {
    job->done({Vote::kUnavailable, "another call of the branch is under way"});
  } else if (!branch->HasChanges()) {
    branches_.Remove(branch);
    job->done({Vote::kReadOnly, ""});
  } else {
    // No statement of the transaction runs any more, at any resource: others may change
    // now what was read.
    branches_.ReleaseReads(branch);
    branch->state = BranchState::kPreparing;
    DurableItem item(DurableVerb::kPrepare, branch);
    item.prepared = std::move(job->done);
    durable_.push_back(std::move(item));
  }
}

void Writer::Accept(const BranchId& id, CommitJob* job) {
  Branch* branch = branches_.Find(id);
  if (branch != nullptr && branch->state == BranchState::kPrepared) {
    branch->state = BranchState::kFinishing;
    DurableItem item(DurableVerb::kCommit, branch);
    item.finished = std::move(job->done);
    durable_.push_back(std::move(item));
    return;
  }
  if (branch != nullptr) {
    job->done({FinishState::kRetry, "the branch is not prepared"});
    return;
  }
  switch (store_->FindEvidence(id)) {
    case Evidence::kCommitted:
    case Evidence::kCommittedAlone:
      job->done({FinishState::kDone, "had been committed before"});
      return;
    case Evidence::kNone:
    case Evidence::kPrepared:
      LogEvent(Level::kError, "commit of a branch that left no trace")
          .Field("branch", id)
          .Field("resource", path_);
      job->done({FinishState::kHeuristicHazard,
                 "the branch is not here, and nothing says that it was committed"});
      return;
    case Evidence::kUnknown:
      job->done({FinishState::kRetry, "the evidence cannot be read now"});
  }
}

void Writer::Accept(const BranchId& id, RollbackJob* job) {
  Branch* branch = branches_.Find(id);
  if (branch == nullptr) {
    const Evidence evidence = store_->FindEvidence(id);
    if (evidence == Evidence::kUnknown) {
      job->done({FinishState::kRetry, "the evidence cannot be read now"});
    } else if (evidence == Evidence::kNone) {
      job->done({FinishState::kDone, ""});
    } else {
      job->done({FinishState::kHeuristicCommit, "the branch had been committed before"});
    }
    return;
  }
  if (branch->state == BranchState::kPrepared) {
    branch->state = BranchState::kFinishing;
    DurableItem item(DurableVerb::kRollBack, branch);
    item.finished = std::move(job->done);
    durable_.push_back(std::move(item));
  } else if (branch->state == BranchState::kPreparing) {
    CancelPrepare(branch);
    job->done({FinishState::kDone, ""});
  } else if (branch->state == BranchState::kFinishing) {
    job->done({FinishState::kRetry, "the branch is being finished"});
  } else {
    calls_->Cancel(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
    branches_.Remove(branch);
    job->done({FinishState::kDone, ""});
  }
}

// The prepare is in this round's batch, which has not been written.
void Writer::CancelPrepare(Branch* branch) {
  const auto item =
      std::find_if(durable_.begin(), durable_.end(),
                   [branch](const DurableItem& i) { return i.branch == branch; });
  CONCORDAT_CHECK(item != durable_.end()) << "no prepare of " << branch->id;
  Callback<PrepareResult> prepared = std::move(item->prepared);
  durable_.erase(item);
  branches_.Remove(branch);
  prepared({Vote::kRefused, "the branch was rolled back"});
}

void Writer::Accept(const BranchId& id, OnePhaseJob* job) {
  Branch* branch = branches_.Find(id);
  if (branch == nullptr) {
    job->done({OnePhase::kUnknown, "the branch is not here; the evidence tells"});
  } else if (branch->state == BranchState::kWounded) {
    branches_.Remove(branch);
    job->done({OnePhase::kConflict, "lost its locks to an older transaction"});
  } else if (branch->state != BranchState::kActive || branch->request != nullptr) {
    job->done({OnePhase::kUnknown, "the branch is prepared, or in the middle of a call"});
  } else {
    branch->state = BranchState::kFinishing;
    DurableItem item(DurableVerb::kCommitAlone, branch);
    item.one_phase = std::move(job->done);
    durable_.push_back(std::move(item));
  }
}

void Writer::Accept(const BranchId& id, LookUpJob* job) {
  const Branch* branch = branches_.Find(id);
  if (branch == nullptr) {
    job->done(store_->FindEvidence(id));
  } else {
    job->done(branch->state == BranchState::kPrepared ? Evidence::kPrepared
                                                      : Evidence::kUnknown);
  }
}

void Writer::Accept(const BranchId& /*id*/, GenerationJob* job) {
  CONCORDAT_CHECK(!generation_.has_value()) << "two generations at one time";
  generation_.emplace(std::move(*job));
}

void Writer::Accept(const BranchId& id, DropJob* /*job*/) {
  Branch* branch = branches_.Find(id);
  if (branch != nullptr && branch->state == BranchState::kActive)
    branches_.Remove(branch);
}

void Writer::Accept(const BranchId& id, ForgetJob* /*job*/) {
  batch_->ForgetBelow(id.gtid);
}

}  // namespace concordat::participant::sqlite
