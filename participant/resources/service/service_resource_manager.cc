#include "participant/resources/service/service_resource_manager.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/service/threaded_service.h"

namespace concordat::participant::service {
namespace {

const Clock* TheClock() {
  static const SystemClock clock;
  return &clock;
}

}  // namespace

ServiceResourceManager::ServiceResourceManager(std::string dir,
                                               std::unique_ptr<Service> service,
                                               ServiceOptions options, FileEnv* env)
    : ServiceResourceManager(
          std::move(dir),
          std::make_unique<ThreadedService>(std::move(service), options.threads), options,
          env) {}

ServiceResourceManager::ServiceResourceManager(std::string dir,
                                               std::unique_ptr<AsyncService> service,
                                               ServiceOptions options, FileEnv* env)
    : options_(std::move(options)),
      service_(std::move(service)),
      journal_(std::move(dir), env, options_.journal),
      branches_(&journal_, TheClock(), options_.branches) {}

ServiceResourceManager::~ServiceResourceManager() { Close(); }

// --- calls of the service ---

void ServiceResourceManager::With(absl::FunctionRef<void(Branches*)> call) {
  Work work;
  bool checkpoint = false;
  {
    MutexLock lock(&mutex_);
    ++running_;
    call(&branches_);
    work = branches_.TakeWork();
    if (journal_.is_open() && !checkpoint_due_ && journal_.checkpoint_due()) {
      checkpoint_due_ = checkpoint = true;
    }
  }
  if (checkpoint) tasks_.Post([this] { RunDueCheckpoint(); });
  for (auto& callback : work.callbacks) callback();
  for (ServiceCall& next : work.calls) Make(std::move(next));
  for (const Gtid& watermark : work.forget) Forget(watermark);
  for (const Work::Retry& retry : work.retries) {
    tasks_.PostAfter(retry.delay, [this, branch = retry.branch] {
      With([&](Branches* branches) { branches->OnRetry(branch); });
    });
  }
  MutexLock lock(&mutex_);
  if (--running_ == 0) idle_.NotifyAll();
}

void ServiceResourceManager::Make(ServiceCall call) {
  const Reservation& r = call.reservation;
  switch (call.kind) {
    case ServiceCall::Kind::kTry:
      return service_->Try(r, call.request, [this, r](TryResult result) {
        With([&](Branches* b) { b->OnTried(r, std::move(result)); });
      });
    case ServiceCall::Kind::kQuery:
      return service_->Query(call.request, [this, r](QueryResult result) {
        With([&](Branches* b) { b->OnQueried(r, std::move(result)); });
      });
    case ServiceCall::Kind::kConfirm:
    case ServiceCall::Kind::kCancel: {
      auto done = [this, r](absl::Status status) {
        With([&](Branches* b) { b->OnSettled(r, status); });
      };
      if (call.kind == ServiceCall::Kind::kConfirm) return service_->Confirm(r, done);
      return service_->Cancel(r, done);
    }
    case ServiceCall::Kind::kLookup:
      return service_->Lookup(r, [this, r](absl::StatusOr<State> state) {
        With([&](Branches* b) { b->OnLookedUp(r, state); });
      });
  }
}

// Only one watermark is passed on at a time. One that comes meanwhile is dropped, since a
// higher one follows.
void ServiceResourceManager::Forget(const Gtid& watermark) {
  {
    MutexLock lock(&mutex_);
    if (forgetting_) return;
    forgetting_ = true;
    ++running_;
  }
  service_->ForgetBelow(watermark, [this](absl::Status status) {
    if (!status.ok()) {
      LogEvent(Level::kWarning, "service could not forget").Field("error", status);
    }
    MutexLock lock(&mutex_);
    forgetting_ = false;
    if (--running_ == 0) idle_.NotifyAll();
  });
}

// --- recovery and checkpoints ---

void ServiceResourceManager::Recover(
    ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  CONCORDAT_CHECK(!started_) << "recovered twice";
  started_ = true;
  {
    MutexLock lock(&mutex_);
    ++running_;
  }
  tasks_.Start(1);
  tasks_.Post([this, cluster, done = std::move(done)]() mutable {
    Open(cluster, std::move(done));
    MutexLock lock(&mutex_);
    if (--running_ == 0) idle_.NotifyAll();
  });
}

void ServiceResourceManager::Open(ClusterId cluster,
                                  Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  absl::StatusOr<LogState> state = journal_.Open(cluster, [this](wal::Lsn lsn) {
    With([&](Branches* branches) { branches->OnDurable(lsn); });
  });
  if (!state.ok()) return done(state.status());
  LogEvent(Level::kInfo, "service's log open")
      .Field("dir", journal_.dir())
      .Field("open_branches", state->open.size())
      .Field("evidence", state->evidence.size());
  With([&](Branches* b) { b->Load(*std::move(state), std::move(done)); });
}

void ServiceResourceManager::SetGeneration(uint64_t generation,
                                           Callback<absl::Status> done) {
  tasks_.Post([this, generation, done = std::move(done)]() mutable {
    done(journal_.SetGeneration(generation));
  });
}

void ServiceResourceManager::RunDueCheckpoint() {
  const absl::Status status = Checkpoint();
  if (!status.ok()) {
    LogEvent(Level::kWarning, "checkpoint not made")
        .Field("dir", journal_.dir())
        .Field("error", status);
  }
  MutexLock lock(&mutex_);
  checkpoint_due_ = false;
}

absl::Status ServiceResourceManager::Checkpoint() {
  constexpr size_t kChunk = 4096;  // entries; branches wait while one chunk is encoded
  wal::Lsn start;
  uint64_t open_count = 0;
  std::string open;
  {
    MutexLock lock(&mutex_);
    start = journal_.BeginCheckpoint();
    open = branches_.EncodeAllOpen(&open_count);
  }
  ByteWriter evidence;
  uint64_t count = 0;
  BranchKey last;
  for (bool more = true; more;) {
    MutexLock lock(&mutex_);
    auto it = branches_.evidence().upper_bound(last);
    for (size_t i = 0; i < kChunk && it != branches_.evidence().end(); ++i, ++it) {
      EncodeEvidence(it->first, it->second, &evidence);
      last = it->first;
      ++count;
    }
    more = it != branches_.evidence().end();
  }
  return journal_.InstallCheckpoint(
      start, CheckpointBytes(start, open_count, open, count, evidence.str()));
}

void ServiceResourceManager::Close() {
  if (std::exchange(closed_, true)) return;
  {
    MutexLock lock(&mutex_);
    while (running_ > 0) idle_.Wait(&mutex_);  // for Open
  }
  if (journal_.is_open()) {
    With([](Branches* branches) { branches->BeginClose(); });
    journal_.Flush();
    MutexLock lock(&mutex_);
    while (!branches_.idle() || running_ > 0) idle_.Wait(&mutex_);
  }
  tasks_.Stop();
  journal_.Close();
  service_->Close();
}

// --- the functions of ResourceManager ---

absl::Status ServiceResourceManager::Start(const BranchId& branch,
                                           const StartOptions& options) {
  if (!options.isolation.empty()) {
    return absl::InvalidArgumentError("a service knows no isolation levels");
  }
  MutexLock lock(&mutex_);
  return branches_.Start(branch);
}

void ServiceResourceManager::Execute(const BranchId& branch,
                                     const wire::ExecuteRequest& request,
                                     Callback<wire::ExecuteReply> done) {
  const bool query = request.__isset.opaque && service_->IsQuery(request.opaque);
  With([&](Branches* b) { b->Execute(branch, request, query, std::move(done)); });
}

void ServiceResourceManager::Prepare(const BranchId& branch,
                                     Callback<PrepareResult> done) {
  With([&](Branches* b) { b->Prepare(branch, std::move(done)); });
}

void ServiceResourceManager::Commit(const BranchId& branch, Callback<FinishResult> done) {
  With([&](Branches* b) { b->Commit(branch, std::move(done)); });
}

void ServiceResourceManager::CommitOnePhase(const BranchId& branch,
                                            Callback<OnePhaseResult> done) {
  With([&](Branches* b) { b->CommitOnePhase(branch, std::move(done)); });
}

void ServiceResourceManager::Rollback(const BranchId& branch,
                                      Callback<FinishResult> done) {
  With([&](Branches* b) { b->Rollback(branch, std::move(done)); });
}

void ServiceResourceManager::BeginBatch() {
  if (journal_.is_open()) journal_.Hold();
}

void ServiceResourceManager::EndBatch() {
  if (journal_.is_open()) journal_.Flush();
}

void ServiceResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  Evidence evidence;
  {
    MutexLock lock(&mutex_);
    evidence = branches_.LookUp(branch);
  }
  done(evidence);
}

void ServiceResourceManager::ForgetBelow(const Gtid& watermark) {
  With([&](Branches* b) { b->ForgetBelow(watermark); });
}

ServiceStats ServiceResourceManager::stats() const {
  MutexLock lock(&mutex_);
  return branches_.Stats();
}

}  // namespace concordat::participant::service
