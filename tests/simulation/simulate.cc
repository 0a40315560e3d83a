// simulate: runs seeds.
//
//   simulate --seeds 2000 [--first N] [--jobs J]   a campaign; fails when a run fails,
//                                                  or a rare path was never reached
//   simulate --seed N [--trace]                    repeats one run, with its history
//
// Each job is a separate process, so that a failed CHECK in the code under test ends only
// that process, and the seed is reported.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iomanip>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/rare_paths.h"
#include "tests/simulation/simulation.h"

namespace concordat::simulation {
namespace {

constexpr size_t kMaxJobs = 64;
// A campaign of fewer seeds need not reach every rare path.
constexpr uint64_t kCampaign = 1000;
constexpr size_t kHistoryShown = 60;
constexpr size_t kFailureLength = 600;

struct Options {
  uint64_t first = 1;
  uint64_t seeds = 1;
  size_t jobs = 1;
  bool one = false;
  bool trace = false;
  bool fingerprint = false;
  bool quiet = false;
};

struct Totals {
  uint64_t runs = 0;
  uint64_t events = 0;
  uint64_t commits = 0;
  uint64_t aborts = 0;
  uint64_t fingerprint = 0;
  int64_t simulated_micros = 0;
  int64_t longest_settling_micros = 0;
  RarePaths rare;

  void Merge(const Totals& other) {
    runs += other.runs;
    events += other.events;
    commits += other.commits;
    aborts += other.aborts;
    fingerprint += other.fingerprint;
    simulated_micros += other.simulated_micros;
    longest_settling_micros =
        std::max(longest_settling_micros, other.longest_settling_micros);
    rare.Merge(other.rare);
  }
};

// Memory that the jobs share: one page, in which each job writes only its own entry.
struct Shared {
  struct Job {
    std::atomic<uint64_t> seed{0};
    std::atomic<bool> failed{false};
    char failure[kFailureLength] = {};
    Totals totals;
  };
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  Job jobs[kMaxJobs];
};

void RunSeed(uint64_t seed, Shared::Job* job) {
  Simulation simulation(Settings::FromSeed(seed));
  simulation.Run();
  World& world = simulation.world();
  Totals one;
  one.runs = 1;
  one.events = world.queue().executed();
  one.commits = simulation.judge().commits();
  one.aborts = simulation.judge().aborts();
  one.fingerprint = world.fingerprint() * (2 * seed + 1);
  one.simulated_micros = world.now().micros();
  one.longest_settling_micros = simulation.settled_in().micros();
  one.rare = world.rare();
  job->totals.Merge(one);
  if (world.failed()) {
    std::strncpy(job->failure, world.failure().c_str(), kFailureLength - 1);
    job->failed = true;
  }
}

void Work(const Options& options, Shared* shared, Shared::Job* job) {
  while (!shared->stop) {
    const uint64_t number = shared->next.fetch_add(1);
    if (number >= options.seeds) return;
    job->seed = options.first + number;
    RunSeed(job->seed, job);
    if (job->failed) {
      shared->stop = true;
      return;
    }
  }
}

void PrintFailure(const char* program, uint64_t seed, std::string_view what) {
  std::cout << "\nFAILED  seed " << seed << ": " << what << "\nrepeat with:  " << program
            << " --seed " << seed << " --trace\n";
}

int RunOne(const Options& options, const char* program) {
  Simulation simulation(Settings::FromSeed(options.first));
  World& world = simulation.world();
  if (options.trace) {
    world.PrintHistory(&std::cout);
  } else {
    world.KeepHistory(kHistoryShown);
  }
  simulation.Run();
  for (const std::string& line : world.history()) {
    if (world.failed()) std::cout << line << '\n';
  }
  std::cout << "seed " << options.first << ": " << simulation.judge().commits()
            << " commits, " << simulation.judge().aborts() << " aborts, "
            << world.queue().executed() << " events in "
            << static_cast<double>(world.now().micros()) / 1e6
            << " simulated seconds, fingerprint " << std::hex << world.fingerprint()
            << std::dec << '\n';
  if (world.failed()) {
    PrintFailure(program, options.first, world.failure());
    return 1;
  }
  return 0;
}

// Repeats a failed run for its last events.
bool Report(const Options& options, const Shared& shared, const char* program,
            const std::vector<int>& statuses) {
  bool failed = false;
  for (size_t i = 0; i < options.jobs; ++i) {
    const Shared::Job& job = shared.jobs[i];
    if (job.failed) {
      failed = true;
      PrintFailure(program, job.seed, job.failure);
      std::cout << "its last events:" << std::endl;
      Options again = options;
      again.first = job.seed;
      if (RunOne(again, program) == 0) {
        std::cout << "and it does not fail again: something is not decided by the seed\n";
      }
    } else if (statuses[i] != 0) {
      failed = true;
      PrintFailure(program, job.seed, "the process ended, see above");
    }
  }
  return failed;
}

int RunMany(const Options& options, const char* program) {
  void* memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::cerr << "no shared memory: " << std::strerror(errno) << '\n';
    return 2;
  }
  auto* shared = new (memory) Shared;
  const auto start = std::chrono::steady_clock::now();
  std::vector<pid_t> children;
  std::cout << std::flush;
  for (size_t i = 0; i < options.jobs; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      Work(options, shared, &shared->jobs[i]);
      _exit(0);
    }
    children.push_back(child);
  }
  std::vector<int> statuses(options.jobs, 0);
  for (size_t i = 0; i < children.size(); ++i) {
    for (;;) {
      int status = 0;
      const pid_t ended = waitpid(-1, &status, 0);
      if (ended < 0) break;
      for (size_t j = 0; j < children.size(); ++j) {
        if (children[j] == ended) statuses[j] = status;
      }
      if (status != 0) shared->stop = true;
    }
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Totals totals;
  for (size_t i = 0; i < options.jobs; ++i) totals.Merge(shared->jobs[i].totals);
  if (!options.quiet) {
    std::cout << "rare paths, how often each was reached:\n";
    totals.rare.Print(std::cout);
  }
  std::cout << totals.runs << " seeds from " << options.first << ": " << totals.commits
            << " commits, " << totals.aborts << " aborts, " << totals.events
            << " events, " << totals.simulated_micros / 1'000'000
            << " simulated seconds in " << std::fixed << std::setprecision(1) << seconds
            << " s with " << options.jobs << " jobs; longest to settle: "
            << static_cast<double>(totals.longest_settling_micros) / 1e6 << " s\n";
  if (options.fingerprint) {
    std::cout << "fingerprint " << std::hex << totals.fingerprint << std::dec << '\n';
  }
  if (Report(options, *shared, program, statuses)) return 1;
  const std::vector<Rare> missing = totals.rare.NeverReached();
  if (options.seeds >= kCampaign && !missing.empty()) {
    std::cout << "FAILED  never reached:\n";
    for (const Rare path : missing) std::cout << "  " << Describe(path) << '\n';
    return 1;
  }
  return 0;
}

int Usage(const char* program) {
  std::cerr << "usage: " << program
            << " --seeds N [--first N] [--jobs J] [--fingerprint] [--quiet]\n       "
            << program << " --seed N [--trace]\n";
  return 2;
}

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view flag = argv[i];
    if (flag == "--trace") {
      options.trace = true;
    } else if (flag == "--fingerprint") {
      options.fingerprint = true;
    } else if (flag == "--quiet") {
      options.quiet = true;
    } else if (i + 1 < argc) {
      const uint64_t value = std::strtoull(argv[++i], nullptr, 10);
      if (flag == "--seeds") {
        options.seeds = value;
      } else if (flag == "--first") {
        options.first = value;
      } else if (flag == "--jobs") {
        options.jobs = value;
      } else if (flag == "--seed") {
        options.first = value;
        options.one = true;
      } else {
        return Usage(argv[0]);
      }
    } else {
      return Usage(argv[0]);
    }
  }
  if (options.jobs < 1 || options.jobs > kMaxJobs || argc == 1) return Usage(argv[0]);
  return options.one ? RunOne(options, argv[0]) : RunMany(options, argv[0]);
}

}  // namespace
}  // namespace concordat::simulation

int main(int argc, char** argv) { return concordat::simulation::Main(argc, argv); }
