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
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"
#include "coordinator/base/random.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/client/async_client.h"
#include "coordinator/client/operations.h"
#include "coordinator/client/wire_names.h"
#include "tests/support/processes.h"
#include "thrift/rpc/event_loop.h"

namespace concordat::bench {
using namespace concordat::testing;  // NOLINT
namespace {

constexpr uint64_t kAccounts = 100'000;

struct Words {
  double seconds = 5;
  int rounds = 3;
  int kills = 0;
  std::string dir = "/var/tmp";
  std::string bin;
};

// Three coordinators and two participants, as processes.
class Cluster {
 public:
  Cluster(const Words& words) : words_(words), dir_(words.dir) {
    for (int i = 1; i <= 3; ++i) {
      clients_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
      members_.push_back(
          absl::StrCat(i, "=127.0.0.1:", FreePort(), "/", clients_.back()));
    }
    for (int i = 1; i <= 3; ++i) StartNode(i);
    for (int i = 0; i < 2; ++i) StartParticipant(i);
  }

  void StartNode(int id) {
    nodes_[id] = std::make_unique<Child>(
        std::vector<std::string>{
            words_.bin + "/coordinator/daemon/concordatd", "--id", absl::StrCat(id),
            "--members", absl::StrJoin(members_, ","), "--data-dir",
            absl::StrCat(dir_.path(), "/node-", id), "--log-level", "info"},
        absl::StrCat(dir_.path(), "/node-", id, ".log"));
    CONCORDAT_CHECK(nodes_[id]->WaitForLine("ready: clients", 10)) << "node " << id;
  }

  // The node that last logged that it is ready to lead.
  int Leader(const std::string& leader_address) const {
    for (size_t i = 0; i < clients_.size(); ++i) {
      if (clients_[i] == leader_address) return static_cast<int>(i) + 1;
    }
    return 0;
  }
  void KillNode(int id) { nodes_[id]->Kill(); }

  [[nodiscard]] const std::vector<std::string>& clients() const { return clients_; }
  [[nodiscard]] const std::string& dir() const { return dir_.path(); }
  [[nodiscard]] std::map<std::string, double> CpuSeconds() const {
    std::map<std::string, double> all;
    for (const auto& [id, node] : nodes_) {
      all[absl::StrCat("concordatd-", id)] = node->CpuSeconds();
    }
    for (size_t i = 0; i < participants_.size(); ++i) {
      all[absl::StrCat("concordat-rm-", i + 1)] = participants_[i]->CpuSeconds();
    }
    return all;
  }

 private:
  void StartParticipant(int i) {
    participants_.push_back(std::make_unique<Child>(
        std::vector<std::string>{
            words_.bin + "/participant/daemon/concordat-rm", "--listen",
            absl::StrCat("127.0.0.1:", FreePort()), "--coordinators",
            absl::StrJoin(clients_, ","), "--resource",
            absl::StrCat("bank-", i, "=kv://", dir_.path(), "/bank-", i)},
        absl::StrCat(dir_.path(), "/rm-", i, ".log")));
    CONCORDAT_CHECK(participants_.back()->WaitForLine("ready on", 20)) << "rm " << i;
  }

  const Words words_;
  TempDir dir_;
  std::vector<std::string> clients_;
  std::vector<std::string> members_;
  std::map<int, std::unique_ptr<Child>> nodes_;
  std::vector<std::unique_ptr<Child>> participants_;
};

struct Figures {
  double rate = 0;
  std::vector<double> commit_us;
  std::vector<double> whole_us;
  uint64_t aborted = 0;
  uint64_t unknown = 0;
};

// Keeps a number of transactions in flight on one loop.
class Load {
 public:
  Load(rpc::EventLoop* loop, const std::vector<std::string>& coordinators)
      : loop_(loop),
        links_(loop, Duration::Seconds(2), SystemRandom64()),
        client_(loop, &links_, MakeOptions(coordinators)),
        random_(SystemRandom64()) {}

  // Runs for a while, then waits for what is in flight.
  Figures Run(size_t in_flight, client::Mode mode, double warm_up, double seconds) {
    figures_ = Figures();
    mode_ = mode;
    measure_from_ = NowSeconds() + warm_up;
    stop_at_ = measure_from_ + seconds;
    running_ = in_flight;
    for (size_t i = 0; i < in_flight; ++i) loop_->Post([this] { Begin(); });
    loop_->Run();
    figures_.rate = static_cast<double>(figures_.commit_us.size()) / seconds;
    return std::move(figures_);
  }

  [[nodiscard]] client::AsyncClient& client() { return client_; }
  [[nodiscard]] client::ChannelLinkProvider& links() { return links_; }

 private:
  struct Flight {
    double begun = 0;
    double commit_asked = 0;
    int missing = 2;
    client::AsyncClient::TransactionPtr transaction;
  };

  static client::ClientOptions MakeOptions(const std::vector<std::string>& nodes) {
    client::ClientOptions options;
    options.coordinators = nodes;
    options.gtid_block = 4096;
    return options;
  }

  void Begin() {
    const double now = NowSeconds();
    if (now >= stop_at_) {
      if (--running_ == 0) loop_->Stop();
      return;
    }
    client::TransactionOptions options;
    options.mode = mode_;
    client_.Begin(
        options,
        [this, now](absl::StatusOr<client::AsyncClient::TransactionPtr> transaction) {
          CONCORDAT_CHECK(transaction.ok()) << transaction.status().message();
          auto flight = std::make_shared<Flight>();
          flight->begun = now;
          flight->transaction = *transaction;
          Work(flight, "bank-0", -1);
          Work(flight, "bank-1", 1);
        });
  }

  void Work(const std::shared_ptr<Flight>& flight, const std::string& bank,
            int64_t delta) {
    wire::ExecuteRequest work;
    work.__isset.kv = true;
    work.kv.push_back(
        client::Add(absl::StrCat("account-", random_.Below(kAccounts)), delta));
    flight->transaction->Execute(
        bank, std::move(work), [this, flight](const wire::ExecuteReply&) {
          if (--flight->missing > 0) return;
          flight->commit_asked = NowSeconds();
          flight->transaction->Commit([this, flight](const client::CommitResult& result) {
            Done(*flight, result);
          });
        });
  }

  void Done(const Flight& flight, const client::CommitResult& result) {
    const double now = NowSeconds();
    if (result.outcome == client::Outcome::kAborted) ++figures_.aborted;
    if (result.outcome == client::Outcome::kUnknown) ++figures_.unknown;
    if (result.committed() && now >= measure_from_ && now < stop_at_) {
      figures_.commit_us.push_back((now - flight.commit_asked) * 1e6);
      figures_.whole_us.push_back((now - flight.begun) * 1e6);
    }
    Begin();
  }

  rpc::EventLoop* const loop_;
  client::ChannelLinkProvider links_;
  client::AsyncClient client_;
  Random random_;
  Figures figures_;
  client::Mode mode_ = client::Mode::kDecided;
  double measure_from_ = 0;
  double stop_at_ = 0;
  size_t running_ = 0;
};

Figures RunLoad(const Cluster& cluster, size_t in_flight, client::Mode mode,
                double seconds) {
  auto loop = rpc::EventLoop::Create();
  CONCORDAT_CHECK(loop.ok());
  Load load(loop->get(), cluster.clients());
  return load.Run(in_flight, mode, 0.5, seconds);
}

const char* Name(client::Mode mode) {
  return mode == client::Mode::kParallel ? "parallel" : "decided";
}

struct Medians {
  std::map<std::string, std::vector<double>> values;
  void Add(const std::string& name, double value) { values[name].push_back(value); }
  [[nodiscard]] double Of(const std::string& name) const {
    const auto found = values.find(name);
    return found == values.end() ? 0 : Median(found->second);
  }
};

void PrintCpu(const std::map<std::string, double>& before,
              const std::map<std::string, double>& after, double transactions) {
  std::printf("    processor time a transaction:");
  for (const auto& [name, seconds] : after) {
    std::printf(" %s %.1f us", name.c_str(),
                (seconds - before.at(name)) * 1e6 / std::max(transactions, 1.0));
  }
  std::printf("\n");
}

void RunRound(const Words& words, int round, Medians* medians) {
  Cluster cluster(words);
  const Floor floor = MeasureFloor(cluster.dir(), 1);
  const double floor_us = 3 * floor.round_trip_us + 2 * floor.flush_us;
  std::printf(
      "round %d, floor: flush %.0f us, round trip %.0f us; client round trip + "
      "prepare round trip + participant flush + quorum write = %.0f us\n",
      round, floor.flush_us, floor.round_trip_us, floor_us);
  for (const client::Mode mode : {client::Mode::kDecided, client::Mode::kParallel}) {
    for (const size_t in_flight : {size_t{256}, size_t{1}}) {
      const auto before = cluster.CpuSeconds();
      const Figures figures = RunLoad(cluster, in_flight, mode, words.seconds);
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
      PrintCpu(before, cluster.CpuSeconds(), figures.rate * (words.seconds + 0.5));
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
    const Figures figures = clients.Run(1, client::Mode::kDecided, 0, 4);
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
              client::MakeContext());
      (*loop)->Run();
      if (const int id = cluster_->Leader(leader); id > 0) return id;
      usleep(10'000);
    }
    CONCORDAT_CHECK(false) << "no leader";
    return 0;
  }

  Cluster* const cluster_;
};

void RunKills(const Words& words) {
  Cluster cluster(words);
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
