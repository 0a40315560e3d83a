#include "participant/resources/database/database_resource_manager.h"

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/sdk/core/branch_number.h"

namespace concordat::participant {

namespace {

// How long Close waits for calls that are under way.
constexpr int kCloseGraceMs = 1000;
constexpr int kClosePollMs = 2;

database::PoolOptions PoolOptionsOf(const DatabaseOptions& options, uint32_t connections,
                                    Duration wait) {
  database::PoolOptions pool;
  pool.max_connections = connections;
  pool.wait = wait;
  pool.min_back_off = options.min_back_off;
  pool.max_back_off = options.max_back_off;
  pool.seed = SystemRandom64();
  pool.resource = options.resource;
  return pool;
}

}  // namespace

template <class T>
Callback<T> DatabaseResourceManager::Tracked(Callback<T> done) {
  ++pending_;
  return [this, done = std::move(done)](T value) mutable {
    --pending_;
    done(std::move(value));
  };
}

template <class T, class Verb>
void DatabaseResourceManager::Do(Callback<T> done, Verb verb) {
  thread_->loop()->Post([this, done = std::move(done), verb = std::move(verb)]() mutable {
    verb(Tracked(std::move(done)));
  });
}

DatabaseResourceManager::DatabaseResourceManager(
    std::unique_ptr<database::Dialect> dialect, DatabaseOptions options)
    : dialect_(std::move(dialect)), options_(std::move(options)) {}

DatabaseResourceManager::~DatabaseResourceManager() { Close(); }

// --- recovery ---

absl::Status DatabaseResourceManager::CheckOptions() const {
  if (!IsValidResourceName(options_.resource)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", options_.resource,
                     "\" is not a resource name; see the options of the resource"));
  }
  if (options_.max_connections == 0 || options_.settle_connections == 0) {
    return absl::InvalidArgumentError(
        "max_connections and settle_connections are at least 1");
  }
  const absl::Status isolation = dialect_->BeginSql(options_.default_isolation).status();
  return isolation.ok() ? dialect_->CheckUrl() : isolation;
}

void DatabaseResourceManager::Recover(ClusterId cluster, Callback<Recovered> done) {
  CONCORDAT_CHECK(thread_ == nullptr) << "recovered twice";
  if (absl::Status s = CheckOptions(); !s.ok()) return done(std::move(s));
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return done(thread.status());
  thread_ = *std::move(thread);
  thread_->loop()->Post([this, cluster, done = std::move(done)]() mutable {
    Build(cluster);
    const auto tracked =
        std::make_shared<Callback<Recovered>>(Tracked<Recovered>(std::move(done)));
    serving_lock_->Take(options_.start_patience,
                        [this, tracked](absl::Status s) { OnLocked(s, tracked); });
  });
}

void DatabaseResourceManager::Build(ClusterId cluster) {
  using database::SessionUse;
  rpc::EventLoop* const loop = thread_->loop();
  const auto holder = std::make_shared<std::string>();
  dialect_->Open(loop, {cluster, options_.resource}, holder, &counters_);
  serving_lock_ = std::make_unique<database::ServingLock>(loop, dialect_.get(),
                                                          options_.resource, holder);
  settle_pool_ = std::make_unique<database::Pool>(
      loop, [this] { return dialect_->NewSession(SessionUse::kSettle); },
      PoolOptionsOf(options_, options_.settle_connections, options_.settle_patience));
  work_pool_ = std::make_unique<database::Pool>(
      loop, [this] { return dialect_->NewSession(SessionUse::kWork); },
      PoolOptionsOf(options_, options_.max_connections, options_.connection_wait));
  resolver_ = std::make_unique<database::InDoubtResolver>(
      loop, dialect_.get(), settle_pool_.get(), work_pool_.get(),
      options_.settle_patience, &counters_);
  work_pool_->OnStarved([this] { resolver_->DetachOne(); });
  executor_ = std::make_unique<database::BranchExecutor>(
      &options_, dialect_.get(), work_pool_.get(), resolver_.get(), &branches_,
      &counters_);
}

void DatabaseResourceManager::OnLocked(const absl::Status& status,
                                       const RecoverDone& done) {
  if (!status.ok()) return (*done)(status);
  serving_lock_->session()->Run(
      dialect_->StartChecks(), [this, done](const database::BatchResult& r) {
        absl::StatusOr<std::string> store = dialect_->TakeStartChecks(r);
        if (!store.ok()) return (*done)(store.status());
        store_id_ = *std::move(store);
        resolver_->ReadGeneration([this, done](absl::StatusOr<uint64_t> generation) {
          OnGeneration(generation, done);
        });
      });
}

void DatabaseResourceManager::OnGeneration(absl::StatusOr<uint64_t> generation,
                                           const RecoverDone& done) {
  if (!generation.ok()) return (*done)(generation.status());
  first_generation_ = generation_ = *generation;
  resolver_->Scan([this, done](absl::StatusOr<PreparedScan> scan) {
    OnFirstScan(std::move(scan), done);
  });
}

void DatabaseResourceManager::OnFirstScan(absl::StatusOr<PreparedScan> scan,
                                          const RecoverDone& done) {
  if (!scan.ok()) return (*done)(scan.status());
  CountPrepared(*scan);
  std::vector<BranchId> recovered;
  for (const FoundBranch& item : scan->ours) {
    resolver_->AddPrepared(item.branch);
    recovered.push_back(item.branch);
  }
  scan_timer_ =
      thread_->loop()->RunEvery(options_.scan_interval, [this] { ScanPrepared(); });
  open_.store(true, std::memory_order_release);
  (*done)(std::move(recovered));
  // This tells the ages of branches that applications have prepared, which are left alone
  // for a time.
  std::erase_if(scan->ours, [](const FoundBranch& f) {
    return !IsApplicationManaged(f.branch.number);
  });
  if (found_ != nullptr && !scan->ours.empty()) found_(std::move(scan->ours));
}

// --- what turns up later ---

// There is one scan at a time, and the branches that end during it are remembered until
// it is over.
void DatabaseResourceManager::ScanPrepared() {
  executor_->ResolveForgotten();
  if (std::exchange(scanning_, true)) return;
  resolver_->BeginScan();
  resolver_->Scan(
      Tracked<absl::StatusOr<PreparedScan>>([this](absl::StatusOr<PreparedScan> scan) {
        NoteScan(scan.status());
        if (scan.ok()) {
          CountPrepared(*scan);
          ReportOrphans(std::move(scan->ours));
        }
        resolver_->EndScan();
        scanning_ = false;
      }));
}

void DatabaseResourceManager::NoteScan(const absl::Status& status) {
  MutexLock lock(&mutex_);
  scan_failed_ = status.ok() ? ""
                             : absl::StrCat("the database does not answer: ",
                                            std::string(status.message()));
}

// The list is as old as the question, so it may contain a branch of this process that has
// ended since. And if another process has taken the resource over, the branches in it are
// that process's.
void DatabaseResourceManager::ReportOrphans(std::vector<FoundBranch> prepared) {
  if (found_ == nullptr || !serving_lock_->held()) return;
  std::vector<FoundBranch> orphans;
  for (FoundBranch& item : prepared) {
    if (executor_->Has(item.branch) || resolver_->IsOrWasOurs(item.branch)) continue;
    resolver_->AddPrepared(item.branch);
    LogEvent(Level::kWarning, "an orphan prepared branch is taken over")
        .Field("branch", item.branch)
        .Field("prepared_for_ms", item.prepared_for.millis());
    orphans.push_back(std::move(item));
  }
  if (!orphans.empty()) found_(std::move(orphans));
}

void DatabaseResourceManager::CountPrepared(const PreparedScan& scan) {
  prepared_here_.store(scan.ours.size(), std::memory_order_relaxed);
  prepared_by_others_.store(scan.others.size(), std::memory_order_relaxed);
  for (const std::string& name : scan.others) {
    if (others_.contains(name)) continue;
    LogEvent(Level::kInfo, "prepared transaction of others is left alone")
        .Field("name", name)
        .Field("others", scan.others.size());
  }
  others_ = {scan.others.begin(), scan.others.end()};
}

// --- verbs ---

absl::StatusOr<std::string> DatabaseResourceManager::CheckStart(
    const StartOptions& options) const {
  if (!open_.load(std::memory_order_acquire))
    return absl::UnavailableError(database::kClosing);
  if (!serving_lock_->held()) return absl::UnavailableError(unavailable());
  return dialect_->BeginSql(options.isolation.empty() ? options_.default_isolation
                                                      : options.isolation);
}

std::string DatabaseResourceManager::unavailable() const {
  if (!open_.load(std::memory_order_acquire)) return database::kClosing;
  if (!serving_lock_->held()) return serving_lock_->why_not_held();
  MutexLock lock(&mutex_);
  return scan_failed_;
}

absl::Status DatabaseResourceManager::Start(const BranchId& branch,
                                            const StartOptions& options) {
  absl::StatusOr<std::string> begin = CheckStart(options);
  if (!begin.ok()) return begin.status();
  if (branches_.fetch_add(1, std::memory_order_relaxed) >= options_.max_branches) {
    branches_.fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError("too many branches are open");
  }
  thread_->loop()->Post([this, branch, begin = *std::move(begin)]() mutable {
    executor_->Start(branch, std::move(begin));
  });
  return absl::OkStatus();
}

absl::StatusOr<wire::ApplicationManagedBranch>
DatabaseResourceManager::StartApplicationManaged(const BranchId& branch,
                                                 const StartOptions& options) {
  absl::StatusOr<std::string> begin = CheckStart(options);
  if (!begin.ok()) return begin.status();
  return dialect_->ApplicationManagedBranch(branch, *begin);
}

void DatabaseResourceManager::Execute(const BranchId& branch,
                                      const wire::ExecuteRequest& request,
                                      Callback<wire::ExecuteReply> done) {
  Do(std::move(done), [this, branch, &request](Callback<wire::ExecuteReply> tracked) {
    executor_->Execute(branch, request, std::move(tracked));
  });
}

void DatabaseResourceManager::Prepare(const BranchId& branch,
                                      Callback<PrepareResult> done) {
  Do(std::move(done), [this, branch](Callback<PrepareResult> tracked) {
    executor_->Prepare(branch, std::move(tracked));
  });
}

void DatabaseResourceManager::Commit(const BranchId& branch,
                                     Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    resolver_->End(branch, /*commit=*/true, std::move(tracked));
  });
}

void DatabaseResourceManager::CommitOnePhase(const BranchId& branch,
                                             Callback<OnePhaseResult> done) {
  Do(std::move(done), [this, branch](Callback<OnePhaseResult> tracked) {
    executor_->CommitOnePhase(branch, std::move(tracked));
  });
}

void DatabaseResourceManager::Rollback(const BranchId& branch,
                                       Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    executor_->Rollback(branch, std::move(tracked));
  });
}

void DatabaseResourceManager::LookUp(const BranchId& branch, Callback<Evidence> done) {
  Do(std::move(done), [this, branch](Callback<Evidence> tracked) {
    executor_->LookUp(branch, std::move(tracked));
  });
}

void DatabaseResourceManager::ForgetBelow(const Gtid& watermark) {
  thread_->loop()->Post([this, watermark] { resolver_->ForgetBelow(watermark); });
}

void DatabaseResourceManager::Scan(Callback<absl::StatusOr<PreparedScan>> done) {
  Do(std::move(done), [this](Callback<absl::StatusOr<PreparedScan>> tracked) {
    resolver_->Scan(std::move(tracked));
  });
}

void DatabaseResourceManager::SetGeneration(uint64_t generation,
                                            Callback<absl::Status> done) {
  Do(std::move(done), [this, generation](Callback<absl::Status> tracked) {
    resolver_->SetGeneration(
        generation_, generation,
        [this, generation, tracked = std::move(tracked)](absl::Status s) mutable {
          if (s.ok()) generation_ = generation;
          tracked(std::move(s));
        });
  });
}

DatabaseStats DatabaseResourceManager::Stats() const {
  const auto value = [](const std::atomic<uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  DatabaseStats stats;
  stats.connects = value(counters_.connects);
  stats.statements = value(counters_.statements);
  stats.round_trips = value(counters_.round_trips);
  stats.lost_ends = value(counters_.lost_ends);
  stats.prepared_here = value(prepared_here_);
  stats.prepared_by_others = value(prepared_by_others_);
  stats.left_undone = value(counters_.left_undone);
  stats.detached = value(counters_.detached);
  stats.resets = value(counters_.resets);
  return stats;
}

// --- the end ---

void DatabaseResourceManager::Close() {
  if (thread_ == nullptr) return;
  open_.store(false, std::memory_order_release);
  const auto pending = [this] {
    size_t count = 0;
    thread_->RunSync([&] { count = pending_; });
    return count;
  };
  const auto nap = [] {
    std::this_thread::sleep_for(std::chrono::milliseconds(kClosePollMs));
  };
  for (int ms = 0; ms < kCloseGraceMs && pending() > 0; ms += kClosePollMs) nap();
  thread_->RunSync([this] {
    thread_->loop()->Cancel(scan_timer_);
    if (resolver_ == nullptr) return;
    resolver_->StopRetrying();
    executor_->CloseAll();
    serving_lock_->Close();
    settle_pool_->Close(database::kClosing);
    work_pool_->Close(database::kClosing);
  });
  // Each call has at most one more step before it.
  while (pending() > 0) nap();
  thread_->RunSync([this] {
    executor_.reset();
    resolver_.reset();
    settle_pool_.reset();
    work_pool_.reset();
    serving_lock_.reset();
    dialect_->Close();
  });
  thread_.reset();
}

}  // namespace concordat::participant
