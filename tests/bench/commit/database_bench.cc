// Against a program that does two-phase commit by hand (by_hand.h): two database servers,
// each with every flush made, one row changed in each a transaction. In every round its
// way and ours (load.h) alternate, with 32 clients and with one.
//
//   database_bench [--database postgresql|mariadb|mariadb-binlog] [--seconds S]
//                  [--rounds N] [--dir D] [--bin FOLDER]
//
// Prints transactions a second, latencies, their ratio and the processor time of each
// process, the servers' included.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/bench/commit/by_hand.h"
#include "tests/bench/commit/cluster.h"
#include "tests/bench/commit/load.h"
#include "tests/bench/commit/servers.h"

namespace concordat::bench {
namespace {

using testing::Percentile;

constexpr Way kWays[] = {Way::kDecided, Way::kParallel, Way::kAtCommit};

struct Words {
  std::string database = "postgresql";
  double seconds = 5;
  int rounds = 5;
  std::string dir = "/var/tmp";
  std::string bin;
};

void Print(const char* way, const Figures& figures, const CpuSeconds& before,
           const CpuSeconds& after, double seconds) {
  std::printf(
      "  %-9s %7.0f transactions/s, p50 %6.0f us p99 %6.0f us, aborted %llu, "
      "unknown %llu\n",
      way, figures.rate, Percentile(figures.whole_us, 0.5),
      Percentile(figures.whole_us, 0.99),
      static_cast<unsigned long long>(figures.aborted),
      static_cast<unsigned long long>(figures.unknown));
  PrintCpu(before, after, figures.rate * (seconds + 0.5));
  std::fflush(stdout);
}

void RunRound(const Words& words, Servers* servers, const Cluster& cluster,
              Medians* medians) {
  for (const size_t clients : {size_t{32}, size_t{1}}) {
    std::printf("  -- %zu clients\n", clients);
    CpuSeconds before = servers->Cpu();
    const Figures hand = servers->RunByHand({{}, cluster.dir(), clients, words.seconds});
    Print("by hand", hand, before, servers->Cpu(), words.seconds);
    for (const Way way : kWays) {
      before = servers->Cpu();
      before.merge(cluster.Cpu());
      const Figures ours =
          RunLoad(cluster.clients(), servers->work(), clients, way, words.seconds);
      CpuSeconds after = servers->Cpu();
      after.merge(cluster.Cpu());
      Print(Name(way), ours, before, after, words.seconds);
      const std::string key = absl::StrCat(Name(way), "-", clients);
      medians->Add(key + "-rate", ours.rate / hand.rate);
      medians->Add(key + "-p50",
                   Percentile(ours.whole_us, 0.5) / Percentile(hand.whole_us, 0.5));
    }
  }
}

int Usage() {
  std::fprintf(
      stderr,
      "database_bench [--database postgresql|mariadb|mariadb-binlog] [--seconds S] "
      "[--rounds N] [--dir D] [--bin BUILD-FOLDER]\n");
  return 64;
}

int Main(int argc, char** argv) {
  Words words;
  words.bin = testing::ProgramDir() + "/../../..";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    const std::string value = argv[i + 1];
    if (flag == "--database") {
      words.database = value;
    } else if (flag == "--seconds") {
      words.seconds = std::atof(value.c_str());
    } else if (flag == "--rounds") {
      words.rounds = std::atoi(value.c_str());
    } else if (flag == "--dir") {
      words.dir = value;
    } else if (flag == "--bin") {
      words.bin = value;
    } else {
      return Usage();
    }
  }
  const std::unique_ptr<Servers> servers = StartServers(words.database);
  if (servers == nullptr) return Usage();
  const Cluster cluster({words.bin, words.dir, servers->urls()});
  Medians medians;
  for (int round = 1; round <= words.rounds; ++round) {
    std::printf("round %d\n", round);
    RunRound(words, servers.get(), cluster, &medians);
  }
  std::printf("medians of %d rounds, against the program by hand:\n", words.rounds);
  for (const Way way : kWays) {
    const std::string name = Name(way);
    std::printf("  %-9s 32 clients: %.2f of its transactions a second (wanted 0.9)\n",
                name.c_str(), medians.Of(name + "-32-rate"));
    std::printf("  %-9s  1 client: p50 %.2f of its (wanted 1.25)\n", name.c_str(),
                medians.Of(name + "-1-p50"));
  }
  return 0;
}

}  // namespace
}  // namespace concordat::bench

int main(int argc, char** argv) { return concordat::bench::Main(argc, argv); }
