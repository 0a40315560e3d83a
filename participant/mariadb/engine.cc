#include "participant/mariadb/engine.h"

#include <chrono>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/mariadb/start_check.h"

namespace concordat::participant::mariadb {

namespace {

constexpr char kClosing[] = "the resource is being closed";
// What was asked before Close may take so long to end by itself.
constexpr int kCloseGraceMs = 1000;
constexpr int kClosePollMs = 2;

}  // namespace

Engine::Engine(std::string url, MariadbOptions options)
    : url_(std::move(url)), options_(std::move(options)) {}

Engine::~Engine() { Close(); }

// --- recovery ---

absl::Status Engine::CheckOptions() const {
  if (!IsValidResourceName(options_.resource)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", options_.resource, "\" is not a resource name; see MariadbOptions"));
  }
  if (options_.max_connections == 0 || options_.settle_connections == 0) {
    return absl::InvalidArgumentError(
        "max_connections and settle_connections are at "
        "least 1");
  }
  return IsolationSql(options_.default_isolation).status();
}

void Engine::Build(ClusterId cluster, const Address& address) {
  const Owner owner{cluster, options_.resource};
  ConnectionConfig config;
  config.address = address;
  config.locks = LocksOf(owner);
  *config.next_lock = SystemRandom64() % kSessionLocks;  // an old session may have one
  config.connect_timeout = options_.connect_timeout;
  config.lock_timeout = Duration::Seconds(1);  // rows of evidence, which nobody holds
  guard_ = std::make_unique<Guard>(thread_->loop(), config, owner, guard_id_, &counters_);

  config.guard_id = guard_id_;
  PoolOptions pool;
  pool.max_connections = options_.settle_connections;
  pool.wait = options_.settle_patience;
  pool.min_back_off = options_.min_back_off;
  pool.max_back_off = options_.max_back_off;
  pool.seed = SystemRandom64();
  settle_pool_ = std::make_unique<Pool>(thread_->loop(), config, pool, &counters_);

  config.autocommit = false;
  config.lock_timeout = options_.lock_wait;
  config.statement_timeout = options_.statement_time;
  pool.max_connections = options_.max_connections;
  pool.wait = options_.connection_wait;
  work_pool_ = std::make_unique<Pool>(thread_->loop(), config, pool, &counters_);

  settler_ =
      std::make_unique<Settler>(thread_->loop(), settle_pool_.get(), work_pool_.get(),
                                owner, options_.settle_patience, &counters_);
  work_pool_->OnStarved([this] { settler_->DetachOne(); });
  work_ = std::make_unique<BranchWork>(&options_, cluster, work_pool_.get(),
                                       settler_.get(), &branches_, &counters_);
}

void Engine::Recover(ClusterId cluster,
                     Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  CONCORDAT_CHECK(thread_ == nullptr) << "recovered twice";
  if (absl::Status s = CheckOptions(); !s.ok()) return done(std::move(s));
  absl::StatusOr<Address> address = ParseAddress(url_);
  if (!address.ok()) return done(address.status());
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return done(thread.status());
  thread_ = *std::move(thread);
  thread_->loop()->Post(
      [this, cluster, address = *std::move(address), done = std::move(done)]() mutable {
        Build(cluster, address);
        const auto tracked =
            std::make_shared<Callback<absl::StatusOr<std::vector<BranchId>>>>(
                Tracked(std::move(done)));
        guard_->Take(options_.start_patience,
                     [this, tracked](absl::Status s) { OnGuard(s, tracked); });
      });
}

void Engine::OnGuard(const absl::Status& status, const RecoverDone& done) {
  if (!status.ok()) return (*done)(status);
  guard_->connection()->Run(StartQuestions(), [this, done](BatchResult r) {
    const absl::Status status = CheckStart(r, options_);
    if (status.ok()) store_id_ = StoreId(r);
    OnChecked(status, done);
  });
}

void Engine::OnChecked(const absl::Status& status, const RecoverDone& done) {
  if (!status.ok()) return (*done)(status);
  settler_->ReadMark(
      [this, done](absl::StatusOr<uint64_t> mark) { OnMark(std::move(mark), done); });
}

void Engine::OnMark(absl::StatusOr<uint64_t> mark, const RecoverDone& done) {
  if (!mark.ok()) return (*done)(mark.status());
  first_mark_ = mark_ = *mark;
  settler_->Scan([this, done](absl::StatusOr<MariadbPreparedScan> scan) {
    if (!scan.ok()) return (*done)(scan.status());
    CountPrepared(*scan);
    for (const std::string& xid : scan->others) {
      LogEvent(Level::kInfo, "prepared branch of others is left alone").Field("xid", xid);
    }
    std::vector<BranchId> recovered;
    for (const FoundBranch& item : scan->ours) {
      settler_->AddPrepared(item.branch);
      recovered.push_back(item.branch);
    }
    scan_timer_ =
        thread_->loop()->RunEvery(options_.scan_interval, [this] { LookAround(); });
    open_.store(true, std::memory_order_release);
    (*done)(std::move(recovered));
  });
}

// One look at a time: what ends during it is remembered until it is over.
void Engine::LookAround() {
  if (std::exchange(looking_, true)) return;
  settler_->BeginLook();
  settler_->Scan(Tracked<absl::StatusOr<MariadbPreparedScan>>(
      [this](absl::StatusOr<MariadbPreparedScan> scan) {
        if (scan.ok()) {
          CountPrepared(*scan);
          ReportFound(std::move(scan->ours));
        }
        settler_->EndLook();
        looking_ = false;
      }));
}

// Strangers only. The list is as old as the question, so a branch of ours may be in it
// that has ended since. And when another process has taken the resource over, all of
// them are his.
void Engine::ReportFound(std::vector<FoundBranch> prepared) {
  if (found_ == nullptr || !guard_->held()) return;
  std::vector<FoundBranch> strangers;
  for (FoundBranch& item : prepared) {
    if (work_->Has(item.branch) || settler_->IsOrWasOurs(item.branch)) continue;
    settler_->AddPrepared(item.branch);
    LogEvent(Level::kWarning, "a prepared branch of an unknown life is taken over")
        .Field("branch", item.branch)
        .Field("prepared_for_ms", item.prepared_for.millis());
    strangers.push_back(std::move(item));
  }
  if (!strangers.empty()) found_(std::move(strangers));
}

void Engine::CountPrepared(const MariadbPreparedScan& scan) {
  prepared_here_.store(scan.ours.size(), std::memory_order_relaxed);
  const uint64_t before =
      prepared_by_others_.exchange(scan.others.size(), std::memory_order_relaxed);
  if (before == scan.others.size()) return;
  LogEvent(Level::kInfo, "prepared branches of others, left alone")
      .Field("count", scan.others.size());
}

// --- verbs ---

template <class T>
Callback<T> Engine::Tracked(Callback<T> done) {
  ++pending_;
  return [this, done = std::move(done)](T value) mutable {
    --pending_;
    done(std::move(value));
  };
}

template <class T, class Verb>
void Engine::Do(Callback<T> done, Verb verb) {
  thread_->loop()->Post([this, done = std::move(done), verb = std::move(verb)]() mutable {
    verb(Tracked(std::move(done)));
  });
}

absl::Status Engine::Start(const BranchId& branch, const StartOptions& options) {
  if (!open_.load(std::memory_order_acquire)) return absl::UnavailableError(kClosing);
  if (!guard_->held()) {
    return absl::UnavailableError(
        "the resource's lock in the database is lost: the server is not reached, or "
        "another process has taken the resource over");
  }
  absl::StatusOr<std::string> isolation = IsolationSql(
      options.isolation.empty() ? options_.default_isolation : options.isolation);
  if (!isolation.ok()) return isolation.status();
  if (branches_.fetch_add(1, std::memory_order_relaxed) >= options_.max_branches) {
    branches_.fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError("too many branches are open");
  }
  thread_->loop()->Post([this, branch, isolation = *std::move(isolation)]() mutable {
    work_->Start(branch, std::move(isolation));
  });
  return absl::OkStatus();
}

void Engine::Execute(const BranchId& branch, const wire::ExecuteRequest& request,
                     Callback<wire::ExecuteReply> done) {
  Do(std::move(done), [this, branch, &request](Callback<wire::ExecuteReply> tracked) {
    work_->Execute(branch, request, std::move(tracked));
  });
}

void Engine::Prepare(const BranchId& branch, Callback<PrepareResult> done) {
  Do(std::move(done), [this, branch](Callback<PrepareResult> tracked) {
    work_->Prepare(branch, std::move(tracked));
  });
}

void Engine::Commit(const BranchId& branch, Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    settler_->End(branch, /*commit=*/true, std::move(tracked));
  });
}

void Engine::CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) {
  Do(std::move(done), [this, branch](Callback<OnePhaseResult> tracked) {
    work_->CommitOnePhase(branch, std::move(tracked));
  });
}

void Engine::Rollback(const BranchId& branch, Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    work_->Rollback(branch, std::move(tracked));
  });
}

void Engine::LookUp(const BranchId& branch, Callback<Evidence> done) {
  Do(std::move(done), [this, branch](Callback<Evidence> tracked) {
    work_->LookUp(branch, std::move(tracked));
  });
}

void Engine::ForgetBelow(const Gtid& watermark) {
  thread_->loop()->Post([this, watermark] { settler_->ForgetBelow(watermark); });
}

void Engine::Scan(Callback<absl::StatusOr<MariadbPreparedScan>> done) {
  Do(std::move(done), [this](Callback<absl::StatusOr<MariadbPreparedScan>> tracked) {
    settler_->Scan(std::move(tracked));
  });
}

void Engine::SetMark(uint64_t mark, Callback<absl::Status> done) {
  Do(std::move(done), [this, mark](Callback<absl::Status> tracked) {
    settler_->SetMark(mark_, mark,
                      [this, mark, tracked = std::move(tracked)](absl::Status s) mutable {
                        if (s.ok()) mark_ = mark;
                        tracked(std::move(s));
                      });
  });
}

MariadbStats Engine::Stats() const {
  MariadbStats stats;
  stats.connects = counters_.connects.load(std::memory_order_relaxed);
  stats.statements = counters_.statements.load(std::memory_order_relaxed);
  stats.round_trips = counters_.round_trips.load(std::memory_order_relaxed);
  stats.lost_ends = counters_.lost_ends.load(std::memory_order_relaxed);
  stats.detached = counters_.detached.load(std::memory_order_relaxed);
  stats.prepared_here = prepared_here_.load(std::memory_order_relaxed);
  stats.prepared_by_others = prepared_by_others_.load(std::memory_order_relaxed);
  return stats;
}

// --- the end ---

void Engine::Close() {
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
    if (settler_ == nullptr) return;
    settler_->StopRetrying();
    work_->CloseAll();
    guard_->Close();
    settle_pool_->Close(kClosing);
    work_pool_->Close(kClosing);
  });
  // Each call has at most one more step to take.
  while (pending() > 0) nap();
  thread_->RunSync([this] {
    work_.reset();
    settler_.reset();
    settle_pool_.reset();
    work_pool_.reset();
    guard_.reset();
  });
  thread_.reset();
}

}  // namespace concordat::participant::mariadb
