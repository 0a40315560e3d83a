#include "examples/transfer/run_transfers.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/system_clock.h"
#include "examples/processes/loop_call.h"
#include "examples/transfer/clients.h"

namespace concordat::transfer {

namespace {

constexpr auto kTick = std::chrono::milliseconds(2);

class Run {
 public:
  Run(Job* job, Deployment* deployment, Statistics* statistics, example::Console* console)
      : job_(*job),
        deployment_(deployment),
        statistics_(statistics),
        console_(console),
        clients_(MakeSurroundings(), job->clients, std::move(job->source)),
        nemesis_(MakePlan(), deployment->victims(), statistics, job->seed,
                 [console](const std::string& line) { console->Say(line); }),
        leaders_at_start_(deployment->leaders_seen()),
        start_(clock_.Now()),
        last_live_(start_) {}

  absl::Status Drive() {
    while (!clients_.drained() || !nemesis_.done()) {
      const Timestamp now = clock_.Now();
      if (absl::Status s = deployment_->Check(); !s.ok()) return s;
      if (absl::Status s = nemesis_.Tick(now, Progress(now), clients_.in_flight());
          !s.ok()) {
        return s;
      }
      LetWork(now);
      if (console_->LiveIsDue()) ShowLive(now);
      std::this_thread::sleep_for(kTick);
    }
    elapsed_ = clock_.Now() - start_;
    // The last transfer's callback may still be on the loop.
    example::CallOnLoop(deployment_->client()->async()->loop(), [] {});
    return absl::OkStatus();
  }

  RunResult Take() { return {clients_.TakeLedger(), nemesis_.faults(), elapsed_}; }

 private:
  Surroundings MakeSurroundings() const {
    Surroundings surroundings;
    surroundings.client = deployment_->client()->async();
    surroundings.book = job_.book;
    for (const auto& access : *job_.accesses) {
      surroundings.access.push_back(access.get());
    }
    surroundings.mode = job_.mode;
    surroundings.statistics = statistics_;
    return surroundings;
  }

  example::Nemesis::Plan MakePlan() const {
    example::Nemesis::Plan plan;
    plan.leader_kills = deployment_->victims() == nullptr ? 0 : job_.leader_kills;
    plan.resources = job_.book->resources();
    plan.databases = job_.databases;
    return plan;
  }

  [[nodiscard]] bool endless() const { return job_.total == 0; }

  [[nodiscard]] double Progress(Timestamp now) const {
    const double done = endless() ? static_cast<double>((now - start_).micros()) /
                                        static_cast<double>(job_.time.micros())
                                  : static_cast<double>(clients_.finished()) /
                                        static_cast<double>(job_.total);
    return std::min(done, 1.0);
  }

  void LetWork(Timestamp now) {
    if (!endless() && nemesis_.allowed() < 1) {
      const double allowed = static_cast<double>(job_.total) * nemesis_.allowed();
      return clients_.Allow(static_cast<uint64_t>(std::ceil(allowed)));
    }
    // The source ends the run, or the time.
    clients_.Allow(std::numeric_limits<uint64_t>::max());
    if (endless() && nemesis_.done() && now - start_ >= job_.time) clients_.Stop();
  }

  void ShowLive(Timestamp now) {
    const uint64_t finished = clients_.finished();
    const auto span =
        static_cast<double>(std::max<int64_t>((now - last_live_).micros(), 1));
    const double rate = static_cast<double>(finished - last_finished_) * 1e6 / span;
    const example::Percentiles recent = statistics_->Recent();
    console_->Live(absl::StrCat(
        example::Grouped(finished),
        endless() ? "" : absl::StrCat(" of ", example::Grouped(job_.total)),
        " transfers  ", absl::StrFormat("%.0f", rate), "/s  p50 ",
        example::ForPeople(recent.p50), "  p99 ", example::ForPeople(recent.p99),
        "  elections survived ", deployment_->leaders_seen() - leaders_at_start_));
    last_finished_ = finished;
    last_live_ = now;
  }

  const SystemClock clock_;
  const Job& job_;
  Deployment* const deployment_;
  Statistics* const statistics_;
  example::Console* const console_;
  Clients clients_;
  example::Nemesis nemesis_;
  const size_t leaders_at_start_;
  const Timestamp start_;
  Timestamp last_live_;
  uint64_t last_finished_ = 0;
  Duration elapsed_;
};

}  // namespace

absl::StatusOr<RunResult> RunTransfers(Job* job, Deployment* deployment,
                                       Statistics* statistics,
                                       example::Console* console) {
  auto run = std::make_unique<Run>(job, deployment, statistics, console);
  if (absl::Status s = run->Drive(); !s.ok()) {
    (void)run.release();  // transfers under way use it until the process ends
    return s;
  }
  return run->Take();
}

}  // namespace concordat::transfer
