// A database's resource manager behind its interface: one loop thread, on which
// connections, branches at work (branch_work.h) and the settler live, and the verbs
// posted to it. What the databases have in common;
// participant/resources/postgresql/engine.h and participant/resources/mariadb/engine.h
// derive from it.
//
// Database is that of branch_work.h, and says besides:
//
//   using Guard = …;       // with Take, held, why_not_held, connection, Close
//   using BranchWork = …;  // derived from database::BranchWork<Database>
//   using Scan = …;        // with ours and others
//
// Thread-safe but for OnFound. A class that derives from it calls Close in its
// destructor.
#ifndef PARTICIPANT_RESOURCES_DATABASE_ENGINE_H_
#define PARTICIPANT_RESOURCES_DATABASE_ENGINE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/database/branch_work.h"
#include "participant/resources/database/pool.h"
#include "participant/sdk/resource_manager.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::participant::database {

inline constexpr char kClosing[] = "the resource is being closed";

template <class Database>
class Engine {
 public:
  using Options = typename Database::Options;
  using Connection = typename Database::Connection;
  using BatchResult = typename Database::BatchResult;
  using Statement = typename Database::Statement;
  using Settler = typename Database::Settler;
  using Counters = typename Database::Counters;
  using Guard = typename Database::Guard;
  using Work = typename Database::BranchWork;
  using PreparedScan = typename Database::Scan;
  using Pool = database::Pool<Connection>;

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Before Recover.
  void OnFound(FoundCallback found) { found_ = std::move(found); }
  void Recover(ClusterId cluster, Callback<absl::StatusOr<std::vector<BranchId>>> done);
  absl::Status Start(const BranchId& branch, const StartOptions& options);
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void Commit(const BranchId& branch, Callback<FinishResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  void ForgetBelow(const Gtid& watermark);
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  void SetGeneration(uint64_t generation, Callback<absl::Status> done);
  void Close();
  // Why no branch may be begun, or the server has not answered when it was last asked;
  // empty when all is well. Thread-safe, after Recover.
  [[nodiscard]] std::string WhyNotServed() const;
  // After Recover's callback.
  [[nodiscard]] uint64_t first_generation() const { return first_generation_; }

 protected:
  Engine(std::string url, Options options)
      : url_(std::move(url)), options_(std::move(options)) {}
  ~Engine() = default;

  // --- what each database does in its own way

  // Before anything is begun: INVALID_ARGUMENT for what is wrong in it.
  [[nodiscard]] virtual absl::Status CheckUrlAndIsolation() = 0;
  // Makes guard_, both pools and settler_. On the loop's thread.
  virtual void Build(ClusterId cluster) = 0;
  [[nodiscard]] virtual std::vector<Statement> QuestionsAtStart() const = 0;
  // Refuses a server that does not fit.
  [[nodiscard]] virtual absl::Status TakeAnswersAtStart(const BatchResult& answers) = 0;
  // What begins a branch; INVALID_ARGUMENT: the isolation is not known.
  [[nodiscard]] virtual absl::StatusOr<std::string> BeginSqlOf(
      const std::string& isolation) const = 0;
  // Recover has been called back.
  virtual void OnRecovered(PreparedScan /*scan*/) {}

  // --- what they share

  [[nodiscard]] PoolOptions SettlePoolOptions() const;
  [[nodiscard]] PoolOptions WorkPoolOptions() const;
  // The SQL that begins a branch; UNAVAILABLE when none may be begun.
  [[nodiscard]] absl::StatusOr<std::string> CheckStartOf(
      const StartOptions& options) const;
  // Fills what both databases count.
  template <class Stats>
  void FillStats(Stats* stats) const;

  const std::string url_;
  const Options options_;
  Counters counters_;
  std::unique_ptr<rpc::LoopThread> thread_;
  // The loop's.
  std::unique_ptr<Guard> guard_;
  std::unique_ptr<Pool> work_pool_;
  std::unique_ptr<Pool> settle_pool_;
  std::unique_ptr<Settler> settler_;
  FoundCallback found_;

 private:
  using RecoverDone = std::shared_ptr<Callback<absl::StatusOr<std::vector<BranchId>>>>;
  // What was asked before Close may take so long to end by itself.
  static constexpr int kCloseGraceMs = 1000;
  static constexpr int kClosePollMs = 2;

  [[nodiscard]] absl::Status CheckOptions();
  void OnGuard(const absl::Status& status, const RecoverDone& done);
  void OnGeneration(absl::StatusOr<uint64_t> generation, const RecoverDone& done);
  void OnFirstScan(absl::StatusOr<PreparedScan> scan, const RecoverDone& done);
  void LookAround();
  void NoteLook(const absl::Status& status);
  void CountPrepared(const PreparedScan& scan);
  void ReportFound(std::vector<FoundBranch> prepared);
  // Counts the call as pending until it is called back.
  template <class T>
  [[nodiscard]] Callback<T> Tracked(Callback<T> done);
  // Posts a verb.
  template <class T, class Verb>
  void Do(Callback<T> done, Verb verb);

  std::atomic<uint64_t> prepared_here_{0};
  std::atomic<uint64_t> prepared_by_others_{0};
  std::atomic<bool> open_{false};
  std::atomic<uint32_t> branches_{0};
  mutable Mutex mutex_;
  std::string look_failed_ ABSL_GUARDED_BY(mutex_);  // the last one, and why
  // The loop's.
  size_t pending_ = 0;
  std::unique_ptr<Work> work_;
  rpc::TimerId scan_timer_;
  bool looking_ = false;
  absl::flat_hash_set<std::string> others_;  // their names, at the last look
  uint64_t first_generation_ = 0;
  uint64_t generation_ = 0;  // that is certainly there
};

// --- recovery ---

template <class Database>
absl::Status Engine<Database>::CheckOptions() {
  if (!IsValidResourceName(options_.resource)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", options_.resource,
                     "\" is not a resource name; see the options of the resource"));
  }
  if (options_.max_connections == 0 || options_.settle_connections == 0) {
    return absl::InvalidArgumentError(
        "max_connections and settle_connections are at least 1");
  }
  return CheckUrlAndIsolation();
}

template <class Database>
PoolOptions Engine<Database>::SettlePoolOptions() const {
  PoolOptions pool;
  pool.max_connections = options_.settle_connections;
  pool.wait = options_.settle_patience;
  pool.min_back_off = options_.min_back_off;
  pool.max_back_off = options_.max_back_off;
  pool.seed = SystemRandom64();
  pool.resource = options_.resource;
  return pool;
}

template <class Database>
PoolOptions Engine<Database>::WorkPoolOptions() const {
  PoolOptions pool = SettlePoolOptions();
  pool.max_connections = options_.max_connections;
  pool.wait = options_.connection_wait;
  return pool;
}

template <class Database>
void Engine<Database>::Recover(ClusterId cluster,
                               Callback<absl::StatusOr<std::vector<BranchId>>> done) {
  CONCORDAT_CHECK(thread_ == nullptr) << "recovered twice";
  if (absl::Status s = CheckOptions(); !s.ok()) return done(std::move(s));
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return done(thread.status());
  thread_ = *std::move(thread);
  thread_->loop()->Post([this, cluster, done = std::move(done)]() mutable {
    Build(cluster);
    work_ = std::make_unique<Work>(&options_, cluster, work_pool_.get(), settler_.get(),
                                   &branches_, &counters_);
    const auto tracked =
        std::make_shared<Callback<absl::StatusOr<std::vector<BranchId>>>>(
            Tracked(std::move(done)));
    guard_->Take(options_.start_patience,
                 [this, tracked](absl::Status s) { OnGuard(s, tracked); });
  });
}

template <class Database>
void Engine<Database>::OnGuard(const absl::Status& status, const RecoverDone& done) {
  if (!status.ok()) return (*done)(status);
  guard_->connection()->Run(QuestionsAtStart(), [this, done](BatchResult r) {
    if (absl::Status s = TakeAnswersAtStart(r); !s.ok()) return (*done)(s);
    settler_->ReadGeneration([this, done](absl::StatusOr<uint64_t> generation) {
      OnGeneration(std::move(generation), done);
    });
  });
}

template <class Database>
void Engine<Database>::OnGeneration(absl::StatusOr<uint64_t> generation,
                                    const RecoverDone& done) {
  if (!generation.ok()) return (*done)(generation.status());
  first_generation_ = generation_ = *generation;
  settler_->Scan([this, done](absl::StatusOr<PreparedScan> scan) {
    OnFirstScan(std::move(scan), done);
  });
}

template <class Database>
void Engine<Database>::OnFirstScan(absl::StatusOr<PreparedScan> scan,
                                   const RecoverDone& done) {
  if (!scan.ok()) return (*done)(scan.status());
  CountPrepared(*scan);
  std::vector<BranchId> recovered;
  for (const FoundBranch& item : scan->ours) {
    settler_->AddPrepared(item.branch);
    recovered.push_back(item.branch);
  }
  scan_timer_ =
      thread_->loop()->RunEvery(options_.scan_interval, [this] { LookAround(); });
  open_.store(true, std::memory_order_release);
  (*done)(std::move(recovered));
  OnRecovered(*std::move(scan));
}

// One look at a time: what ends during it is remembered until it is over.
template <class Database>
void Engine<Database>::LookAround() {
  work_->ResolveForgotten();
  if (std::exchange(looking_, true)) return;
  settler_->BeginLook();
  settler_->Scan(
      Tracked<absl::StatusOr<PreparedScan>>([this](absl::StatusOr<PreparedScan> scan) {
        NoteLook(scan.status());
        if (scan.ok()) {
          CountPrepared(*scan);
          ReportFound(std::move(scan->ours));
        }
        settler_->EndLook();
        looking_ = false;
      }));
}

template <class Database>
void Engine<Database>::NoteLook(const absl::Status& status) {
  MutexLock lock(&mutex_);
  look_failed_ = status.ok() ? ""
                             : absl::StrCat("the database does not answer: ",
                                            std::string(status.message()));
}

// Strangers only. The list is as old as the question, so a branch of ours may be in it
// that has ended since. And when another process has taken the resource over, all of
// them are his.
template <class Database>
void Engine<Database>::ReportFound(std::vector<FoundBranch> prepared) {
  if (found_ == nullptr || !guard_->held()) return;
  std::vector<FoundBranch> strangers;
  for (FoundBranch& item : prepared) {
    if (work_->Has(item.branch) || settler_->IsOrWasOurs(item.branch)) continue;
    settler_->AddPrepared(item.branch);
    LogEvent(Level::kWarning, "a prepared branch of an unknown incarnation is taken over")
        .Field("branch", item.branch)
        .Field("prepared_for_ms", item.prepared_for.millis());
    strangers.push_back(std::move(item));
  }
  if (!strangers.empty()) found_(std::move(strangers));
}

template <class Database>
void Engine<Database>::CountPrepared(const PreparedScan& scan) {
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

template <class Database>
template <class T>
Callback<T> Engine<Database>::Tracked(Callback<T> done) {
  ++pending_;
  return [this, done = std::move(done)](T value) mutable {
    --pending_;
    done(std::move(value));
  };
}

template <class Database>
template <class T, class Verb>
void Engine<Database>::Do(Callback<T> done, Verb verb) {
  thread_->loop()->Post([this, done = std::move(done), verb = std::move(verb)]() mutable {
    verb(Tracked(std::move(done)));
  });
}

template <class Database>
absl::StatusOr<std::string> Engine<Database>::CheckStartOf(
    const StartOptions& options) const {
  if (!open_.load(std::memory_order_acquire)) return absl::UnavailableError(kClosing);
  if (!guard_->held()) return absl::UnavailableError(WhyNotServed());
  return BeginSqlOf(options.isolation.empty() ? options_.default_isolation
                                              : options.isolation);
}

template <class Database>
std::string Engine<Database>::WhyNotServed() const {
  if (!open_.load(std::memory_order_acquire)) return kClosing;
  if (!guard_->held()) return guard_->why_not_held();
  MutexLock lock(&mutex_);
  return look_failed_;
}

template <class Database>
absl::Status Engine<Database>::Start(const BranchId& branch,
                                     const StartOptions& options) {
  absl::StatusOr<std::string> begin = CheckStartOf(options);
  if (!begin.ok()) return begin.status();
  if (branches_.fetch_add(1, std::memory_order_relaxed) >= options_.max_branches) {
    branches_.fetch_sub(1, std::memory_order_relaxed);
    return absl::ResourceExhaustedError("too many branches are open");
  }
  thread_->loop()->Post([this, branch, begin = *std::move(begin)]() mutable {
    work_->Start(branch, std::move(begin));
  });
  return absl::OkStatus();
}

template <class Database>
void Engine<Database>::Execute(const BranchId& branch,
                               const wire::ExecuteRequest& request,
                               Callback<wire::ExecuteReply> done) {
  Do(std::move(done), [this, branch, &request](Callback<wire::ExecuteReply> tracked) {
    work_->Execute(branch, request, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::Prepare(const BranchId& branch, Callback<PrepareResult> done) {
  Do(std::move(done), [this, branch](Callback<PrepareResult> tracked) {
    work_->Prepare(branch, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::Commit(const BranchId& branch, Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    settler_->End(branch, /*commit=*/true, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::CommitOnePhase(const BranchId& branch,
                                      Callback<OnePhaseResult> done) {
  Do(std::move(done), [this, branch](Callback<OnePhaseResult> tracked) {
    work_->CommitOnePhase(branch, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::Rollback(const BranchId& branch, Callback<FinishResult> done) {
  Do(std::move(done), [this, branch](Callback<FinishResult> tracked) {
    work_->Rollback(branch, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::LookUp(const BranchId& branch, Callback<Evidence> done) {
  Do(std::move(done), [this, branch](Callback<Evidence> tracked) {
    work_->LookUp(branch, std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::ForgetBelow(const Gtid& watermark) {
  thread_->loop()->Post([this, watermark] { settler_->ForgetBelow(watermark); });
}

template <class Database>
void Engine<Database>::Scan(Callback<absl::StatusOr<PreparedScan>> done) {
  Do(std::move(done), [this](Callback<absl::StatusOr<PreparedScan>> tracked) {
    settler_->Scan(std::move(tracked));
  });
}

template <class Database>
void Engine<Database>::SetGeneration(uint64_t generation, Callback<absl::Status> done) {
  Do(std::move(done), [this, generation](Callback<absl::Status> tracked) {
    settler_->SetGeneration(
        generation_, generation,
        [this, generation, tracked = std::move(tracked)](absl::Status s) mutable {
          if (s.ok()) generation_ = generation;
          tracked(std::move(s));
        });
  });
}

template <class Database>
template <class Stats>
void Engine<Database>::FillStats(Stats* stats) const {
  stats->connects = counters_.connects.load(std::memory_order_relaxed);
  stats->statements = counters_.statements.load(std::memory_order_relaxed);
  stats->round_trips = counters_.round_trips.load(std::memory_order_relaxed);
  stats->lost_ends = counters_.lost_ends.load(std::memory_order_relaxed);
  stats->prepared_here = prepared_here_.load(std::memory_order_relaxed);
  stats->prepared_by_others = prepared_by_others_.load(std::memory_order_relaxed);
}

// --- the end ---

template <class Database>
void Engine<Database>::Close() {
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

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_ENGINE_H_
