// The replica of a state machine that does nothing but count: three processes, each with
// its own log on disk, entries of 256 bytes. An entry counts when it is log-committed,
// flushed on two of the three, and applied.
//
//   raft_bench [--seconds S] [--rounds N] [--dir D]
//
// The leader's process makes the load itself, with 1 and with 256 entries outstanding.
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/check.h"
#include "coordinator/base/system_clock.h"
#include "coordinator/group/replica.h"
#include "coordinator/rpc/peer_transport.h"
#include "coordinator/storage/raft_store.h"
#include "tests/support/counter_machine.h"
#include "tests/support/processes.h"
#include "thrift/rpc/event_loop.h"
#include "thrift/rpc/server.h"
#include "wal/log_writer.h"

namespace concordat::bench {
using namespace concordat::testing;  // NOLINT
namespace {

constexpr GroupId kGroup{1};
constexpr char kCluster[] = "bench";

class Sink final : public storage::LogSink {
 public:
  explicit Sink(wal::LogWriter* writer) : writer_(writer) {}
  absl::StatusOr<wal::Lsn> Append(const std::vector<wal::Record>& records,
                                  wal::Reserve use) override {
    return writer_->Append(records, use);
  }
  void ReleaseBefore(wal::Lsn lsn) override { writer_->ReleaseBefore(lsn); }
  wal::Lsn durable_lsn() const override { return writer_->durable_lsn(); }
  bool HasSpace(wal::Reserve use) const override { return writer_->HasSpace(use); }

 private:
  wal::LogWriter* const writer_;
};

// One node: the replica of a machine that counts, its log, its peers, and, when it leads,
// the load.
class BenchNode final : private group::ReplicaEnvironment {
 public:
  BenchNode(rpc::EventLoop* loop, NodeId self, const std::vector<uint16_t>& ports,
            const std::string& dir, size_t outstanding, double seconds)
      : loop_(loop), outstanding_(outstanding), seconds_(seconds) {
    OpenLog(dir + "/node-" + std::to_string(self.value()));
    group::ReplicaConfig config;
    config.raft.self = self;
    config.raft.group = kGroup;
    config.raft.seed = SystemRandom64();
    config.snapshot_entries = 100'000;
    config.snapshot_bytes = UINT64_MAX;
    // Node 1 is to lead: it asks first.
    if (self.value() != 1) {
      config.raft.election_timeout_min = Duration::Millis(1500);
      config.raft.election_timeout_max = Duration::Millis(2000);
    }
    std::map<NodeId, std::string> peers;
    std::vector<NodeId> voters;
    for (size_t i = 0; i < ports.size(); ++i) {
      voters.emplace_back(i + 1);
      if (i + 1 != self.value()) {
        peers[NodeId(i + 1)] = absl::StrCat("127.0.0.1:", ports[i]);
      }
    }
    config.raft.members = raft::Configuration(voters);
    replica_ = std::make_unique<group::Replica>(
        config, store_.TakeRecovered(kGroup), &machine_, &store_,
        static_cast<group::ReplicaEnvironment*>(this));
    peers_ = std::make_unique<rpc::PeerTransport>(loop, kCluster, rpc::SaidAddresses(),
                                                  SystemRandom64());
    peers_->SetPeers(peers);
    auto handler = std::make_shared<rpc::RaftServiceHandler>(
        kCluster,
        [this](raft::Message message, const rpc::SaidAddresses&) {
          CONCORDAT_CHECK(replica_->OnPeerMessage(std::move(message)).ok());
          Schedule();
        },
        [](const absl::Status&) {});
    server_ = std::make_unique<rpc::Server>(
        loop, std::make_shared<wire::RaftServiceAsyncProcessorT<rpc::Codec>>(handler),
        rpc::PeerLimits());
    const auto bound =
        server_->Listen(rpc::Address::Tcp("127.0.0.1", ports[self.value() - 1]));
    CONCORDAT_CHECK(bound.ok()) << bound.status().message();
    loop->RunEvery(Duration::Millis(10), [this] { Schedule(); });
  }

 private:
  void OpenLog(const std::string& dir) {
    wal::LogOptions log;
    log.dir = dir;
    log.owner = "raft-bench";
    wal::LogWriterOptions options;
    options.on_durable = [this](wal::Lsn lsn) {
      loop_->Post([this, lsn] {
        replica_->OnDurable(lsn);
        Schedule();
      });
    };
    auto writer = wal::LogWriter::Open(
        PosixFileEnv(), log, options,
        [this](wal::Lsn lsn, uint8_t type, std::string_view payload) {
          store_.Replay(lsn, type, payload);
        });
    CONCORDAT_CHECK(writer.ok()) << writer.status().message();
    writer_ = std::move(*writer);
    sink_ = std::make_unique<Sink>(writer_.get());
    store_.Attach(sink_.get());
  }

  void Schedule() {
    if (scheduled_) return;
    scheduled_ = true;
    loop_->Defer([this] { Run(); });
  }

  void Run() {
    scheduled_ = false;
    replica_->Tick(loop_->Now());
    bool more = replica_->Process();
    if (machine_.is_ready()) {
      if (started_ == 0) Begin();
      Propose();
      more = replica_->Process() || more;
    }
    if (more) Schedule();
  }

  void Begin() {
    started_ = NowSeconds();
    loop_->RunAfter(Duration::Micros(static_cast<int64_t>(seconds_ * 1e6)),
                    [this] { Report(); });
  }

  void Propose() {
    for (; in_flight_ < outstanding_; ++in_flight_) {
      machine_.Add(0, "entries", 1, std::string(238, 'e'));
      proposed_at_.push_back(NowSeconds());
    }
  }

  // group::ReplicaEnvironment
  void SendToPeer(raft::Message message) override { peers_->Send(std::move(message)); }
  void OnMachineOutput() override {
    for (const CounterAnswer& answer : machine_.TakeAnswers()) {
      CONCORDAT_CHECK(answer.kind == CounterAnswer::Kind::kDone);
      --in_flight_;
      ++committed_;
      latencies_.push_back((NowSeconds() - proposed_at_.front()) * 1e6);
      proposed_at_.pop_front();
    }
  }
  void OnRaftState(const raft::SoftState&) override {}
  void OnMembers(const raft::Configuration&) override {}
  void OnRaftNotice(const raft::Notice&) override {}
  // Nobody will ask for it.
  void SaveSnapshot(const raft::SnapshotMeta& meta,
                    std::unique_ptr<group::SnapshotSource>) override {
    loop_->Post([this, meta] {
      replica_->OnSnapshotSaved(meta, absl::OkStatus());
      store_.Compact();
    });
  }
  void ReceiveSnapshot(raft::SnapshotWrite) override {}
  void DropReceivedSnapshot() override {}
  void RestoreSnapshot(const raft::SnapshotMeta&,
                       std::unique_ptr<group::SnapshotRestore>) override {}
  absl::StatusOr<std::string> ReadSnapshot(const raft::SnapshotMeta&, uint64_t, size_t,
                                           bool*) override {
    return absl::NotFoundError("no snapshot");
  }

  void Report() {
    const double elapsed = NowSeconds() - started_;
    std::printf("RESULT %.0f %.1f %.1f %.1f\n", static_cast<double>(committed_) / elapsed,
                Percentile(latencies_, 0.5), Percentile(latencies_, 0.99),
                static_cast<double>(committed_) /
                    static_cast<double>(std::max<uint64_t>(writer_->flush_count(), 1)));
    std::fflush(stdout);
  }

  rpc::EventLoop* const loop_;
  const size_t outstanding_;
  const double seconds_;
  storage::RaftStore store_;
  std::unique_ptr<wal::LogWriter> writer_;
  std::unique_ptr<Sink> sink_;
  CounterMachine machine_;
  std::unique_ptr<group::Replica> replica_;
  std::unique_ptr<rpc::PeerTransport> peers_;
  std::unique_ptr<rpc::Server> server_;
  bool scheduled_ = false;
  double started_ = 0;
  size_t in_flight_ = 0;
  uint64_t committed_ = 0;
  std::deque<double> proposed_at_;
  std::vector<double> latencies_;
};

int RunNode(char** words) {
  const NodeId self(std::strtoull(words[0], nullptr, 10));
  std::vector<uint16_t> ports;
  for (int i = 1; i <= 3; ++i) {
    ports.push_back(static_cast<uint16_t>(std::atoi(words[i])));
  }
  auto loop = rpc::EventLoop::Create();
  CONCORDAT_CHECK(loop.ok());
  BenchNode node(loop->get(), self, ports, words[4], std::strtoull(words[5], nullptr, 10),
                 std::atof(words[6]));
  (*loop)->Run();
  return 0;
}

struct Round {
  double rate = 0;
  double p50_us = 0;
  double p99_us = 0;
  double entries_per_flush = 0;
};

Round RunRound(const std::string& parent, size_t outstanding, double seconds) {
  TempDir dir(parent);
  std::vector<std::string> ports;
  for (int i = 0; i < 3; ++i) ports.push_back(std::to_string(FreePort()));
  std::vector<std::unique_ptr<Child>> nodes;
  for (int i = 1; i <= 3; ++i) {
    nodes.push_back(std::make_unique<Child>(
        std::vector<std::string>{"/proc/self/exe", "--node", std::to_string(i), ports[0],
                                 ports[1], ports[2], dir.path(),
                                 std::to_string(outstanding), std::to_string(seconds)},
        dir.path() + "/out-" + std::to_string(i)));
  }
  const bool done = nodes[0]->WaitForLine("RESULT", seconds + 20);
  CONCORDAT_CHECK(done) << "no result from the leader";
  Round round;
  std::FILE* in = std::fopen((dir.path() + "/out-1").c_str(), "r");
  CONCORDAT_CHECK(in != nullptr);
  CONCORDAT_CHECK(std::fscanf(in, "RESULT %lf %lf %lf %lf", &round.rate, &round.p50_us,
                              &round.p99_us, &round.entries_per_flush) == 4);
  std::fclose(in);
  return round;
}

void RunAll(const std::string& parent, double seconds, int rounds) {
  TempDir dir(parent);
  const Floor floor = MeasureFloor(dir.path(), 1);
  std::printf("floor: flush %.0f us, round trip %.0f us (medians)\n", floor.flush_us,
              floor.round_trip_us);
  std::map<size_t, std::vector<double>> rates;
  for (int i = 0; i < rounds; ++i) {
    for (const size_t outstanding : {size_t{1}, size_t{256}}) {
      const Round round = RunRound(parent, outstanding, seconds);
      rates[outstanding].push_back(round.rate);
      std::printf(
          "round %d, %3zu outstanding: %8.0f entries/s, p50 %6.0f us, p99 %6.0f us, "
          "%.1f entries a flush\n",
          i + 1, outstanding, round.rate, round.p50_us, round.p99_us,
          round.entries_per_flush);
      std::fflush(stdout);
    }
  }
  std::printf("median:   1 outstanding %8.0f entries/s (wanted 2,500)\n",
              Median(rates[1]));
  std::printf("median: 256 outstanding %8.0f entries/s (wanted 40,000)\n",
              Median(rates[256]));
  std::printf("p50 at 1 outstanding / (flush + round trip): %.2f\n",
              1e6 / Median(rates[1]) / (floor.flush_us + floor.round_trip_us));
}

}  // namespace
}  // namespace concordat::bench

int main(int argc, char** argv) {
  if (argc == 9 && std::string(argv[1]) == "--node") {
    return concordat::bench::RunNode(argv + 2);
  }
  double seconds = 3;
  int rounds = 3;
  std::string dir = "/var/tmp";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--seconds") {
      seconds = std::atof(argv[i + 1]);
    } else if (flag == "--rounds") {
      rounds = std::atoi(argv[i + 1]);
    } else if (flag == "--dir") {
      dir = argv[i + 1];
    } else {
      std::fprintf(stderr, "raft_bench [--seconds S] [--rounds N] [--dir D]\n");
      return 64;
    }
  }
  concordat::bench::RunAll(dir, seconds, rounds);
  return 0;
}
