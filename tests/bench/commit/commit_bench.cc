// The whole path: three concordatd and two concordat-rm as processes, a client that
// changes one row in each of two KV resources a transaction, everything flushed.
//
//   commit_bench [--seconds S] [--rounds N] [--dir D] [--bin FOLDER] [--kills N]
//
// Prints, with 256 and with 1 transaction in flight, in both modes: transactions a
// second, latencies, their ratio to the floor of this machine measured in the same run,
// and the processor time of each process. With --kills: how long a client waits for its
// first commit after the leader is killed with SIGKILL.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/bench/commit/cluster.h"
#include "tests/bench/commit/load.h"
#include "tests/support/processes.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/wire/conversion.h"

namespace concordat::bench {
using namespace concordat::testing;  // NOLINT
namespace {

struct Words {
  double seconds = 5;
  int rounds = 3;
  int kills = 0;
  std::string dir = "/var/tmp";
  std::string bin;
};

void RunRound(const Words& words, int round, Medians* medians) {
  Cluster cluster({words.bin, words.dir, {}});
  const Floor floor = MeasureFloor(cluster.dir(), 1);
  const double floor_us = 3 * floor.round_trip_us + 2 * floor.flush_us;
  std::printf(
      "round %d, floor: flush %.0f us, round trip %.0f us; client round trip + "
      "prepare round trip + participant flush + quorum write = %.0f us\n",
      round, floor.flush_us, floor.round_trip_us, floor_us);
  for (const Way mode : {Way::kDecided, Way::kParallel}) {
    for (const size_t in_flight : {size_t{256}, size_t{1}}) {
      const auto before = cluster.Cpu();
      const Figures figures =
          RunLoad(cluster.clients(), KvWork, in_flight, mode, words.seconds);
      const double commit = Percentile(figures.commit_us, 0.5);
      const double whole = Percentile(figures.whole_us, 0.5);
      std::printf(
          "  %-8s %3zu in flight: %7.0f transactions/s, commit p50 %6.0f us p99 "
          "%6.0f us, whole p50 %6.0f us, p50/floor %.2f (commit) %.2f (whole), "
          "aborted %llu, unknown %llu\n",
          Name(mode), in_flight, figures.rate, commit,
          Percentile(figures.commit_us, 0.99), whole, commit / floor_us, whole / floor_us,
          static_cast<unsigned long long>(figures.aborted),
          static_cast<unsigned long long>(figures.unknown));
      PrintCpu(before, cluster.Cpu(), figures.rate * (words.seconds + 0.5));
      std::fflush(stdout);
      const std::string key = absl::StrCat(Name(mode), "-", in_flight);
      medians->Add(key + "-rate", figures.rate);
      medians->Add(key + "-commit", commit / floor_us);
      medians->Add(key + "-whole", whole / floor_us);
    }
  }
}

// One client, one transaction after the other; the leader is killed in the middle.
// The gap is the longest time between two commits that it saw.
class KillRun {
 public:
  explicit KillRun(Cluster* cluster) : cluster_(cluster) {}

  double GapMs() {
    const int id = FindLeader();
    auto second = rpc::EventLoop::Create();
    Load clients(second->get(), cluster_->clients());
    (*second)->RunAfter(Duration::Millis(1500), [this, id] { cluster_->KillNode(id); });
    const Figures figures = clients.Run(1, Way::kDecided, 0, 4);
    cluster_->StartNode(id);
    return *std::max_element(figures.whole_us.begin(), figures.whole_us.end()) / 1000;
  }

 private:
  // Asks one node after the other until one of them knows.
  int FindLeader() {
    for (size_t i = 0; i < 1000; ++i) {
      auto loop = rpc::EventLoop::Create();
      CONCORDAT_CHECK(loop.ok());
      Load load(loop->get(), cluster_->clients());
      std::string leader;
      load.links()
          .Coordinator(cluster_->clients()[i % cluster_->clients().size()])
          ->hello(
              [&](const wire::HelloReply& reply) {
                leader = reply.leader;
                (*loop)->Stop();
              },
              MakeContext());
      (*loop)->Run();
      if (const int id = cluster_->NodeAt(leader); id > 0) return id;
      usleep(10'000);
    }
    CONCORDAT_CHECK(false) << "no leader";
    return 0;
  }

  Cluster* const cluster_;
};

void RunKills(const Words& words) {
  Cluster cluster({words.bin, words.dir, {}});
  std::vector<double> gaps;
  for (int i = 0; i < words.kills; ++i) {
    gaps.push_back(KillRun(&cluster).GapMs());
    std::printf("leader killed: the waiting client's commit took %.0f ms\n", gaps.back());
    std::fflush(stdout);
  }
  std::printf("median %.0f ms, longest %.0f ms (wanted 1,000)\n", Median(gaps),
              *std::max_element(gaps.begin(), gaps.end()));
}

int Main(int argc, char** argv) {
  Words words;
  words.bin = ProgramDir() + "/../../..";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--seconds") {
      words.seconds = std::atof(value.c_str());
    } else if (flag == "--rounds") {
      words.rounds = std::atoi(value.c_str());
    } else if (flag == "--kills") {
      words.kills = std::atoi(value.c_str());
    } else if (flag == "--dir") {
      words.dir = value;
    } else if (flag == "--bin") {
      words.bin = value;
    } else {
      std::fprintf(stderr,
                   "commit_bench [--seconds S] [--rounds N] [--kills N] [--dir D] "
                   "[--bin BUILD-FOLDER]\n");
      return 64;
    }
  }
  if (words.kills > 0) {
    RunKills(words);
    return 0;
  }
  Medians medians;
  for (int round = 1; round <= words.rounds; ++round) RunRound(words, round, &medians);
  std::printf("medians of %d rounds:\n", words.rounds);
  for (const char* mode : {"decided", "parallel"}) {
    const std::string name = mode;
    std::printf("  %-8s 256 in flight: %7.0f transactions/s (wanted 12,000)\n", mode,
                medians.Of(name + "-256-rate"));
    std::printf(
        "  %-8s   1 in flight: p50 / floor %.2f (commit), %.2f (whole "
        "transaction) (wanted 2.0)\n",
        mode, medians.Of(name + "-1-commit"), medians.Of(name + "-1-whole"));
  }
  return 0;
}

}  // namespace
}  // namespace concordat::bench

int main(int argc, char** argv) { return concordat::bench::Main(argc, argv); }
