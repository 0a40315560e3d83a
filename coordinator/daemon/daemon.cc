#include "coordinator/daemon/daemon.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "concordat_wire/CoordinatorService.h"
#include "concordat_wire/RaftService.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/log.h"
#include "coordinator/base/log_limit.h"
#include "coordinator/base/system_clock.h"
#include "thrift/rpc/codec.h"
#include "thrift/rpc/descriptors.h"

namespace concordat::daemon {

namespace {

constexpr Duration kStopGrace = Duration::Millis(200);
constexpr Duration kHandOverGrace = Duration::Seconds(1);
constexpr Duration kHandOverPoll = Duration::Millis(5);

node::NodeOptions MakeNodeOptions(const Options& options) {
  node::NodeOptions out;
  out.data_dir = options.data_dir;
  out.cluster_name = options.cluster_name;
  out.self = options.self;
  out.own = {options.own.peer_address, options.own.client_address};
  for (const auto& [node, member] : options.members) {
    out.members[node] = {member.peer_address, member.client_address};
  }
  raft::Config& raft = out.replica.raft;
  raft.election_timeout_min = Duration::Millis(options.election_timeout_ms);
  raft.election_timeout_max = Duration::Millis(options.election_timeout_ms * 2);
  raft.heartbeat_interval = Duration::Millis(options.heartbeat_ms);
  out.replica.snapshot_entries = options.snapshot_entries;
  // A branch that inquires about a transaction under way is soon answered to wait.
  out.txn.inquiry_wait = Duration::Millis(200);
  out.log.segment_bytes = options.segment_bytes;
  return out;
}

// Each other node has one connection to this node, and a second one while it reconnects.
// The remaining ones are for other programs; the one that has been quiet for longest is
// closed first. A cluster may grow while this node runs: room is kept for nine nodes.
constexpr uint32_t kPlannedPeers = 8;
constexpr uint32_t kMaxPeerConnections = kPlannedPeers * 2 + 4;

// Reserves the descriptors that clients must not use: those of the connections from and
// to the other nodes, and to participants.
absl::StatusOr<rpc::DescriptorPlan> PlanConnections() {
  const uint64_t limit = rpc::RaiseDescriptorLimit();
  const uint64_t to_peers = uint64_t{kPlannedPeers} * 2;
  const uint64_t to_participants = std::clamp<uint64_t>(limit / 8, 8, 4096);
  auto plan = rpc::PlanDescriptors(
      limit,
      rpc::kDescriptorsOfAProcess + to_peers + kMaxPeerConnections + to_participants,
      rpc::Limits{}.max_connections);
  if (plan.ok()) {
    LogEvent(Level::kInfo, "open files")
        .Field("limit", plan->limit)
        .Field("reserve", plan->reserve)
        .Field("clients", plan->connections);
  }
  return plan;
}

// The server for the other nodes of the cluster.
std::unique_ptr<rpc::Server> MakePeerServer(rpc::EventLoop* loop,
                                            const std::string& cluster_name,
                                            node::Node* node) {
  rpc::Limits limits = rpc::PeerLimits();
  limits.max_connections = kMaxPeerConnections;
  auto handler = std::make_shared<rpc::RaftServiceHandler>(
      cluster_name,
      [node](raft::Message message, const rpc::SaidAddresses& said) {
        node->OnPeerMessage(std::move(message), said);
      },
      [loop, limit = LogLimit()](const absl::Status& why) mutable {
        if (!limit.Admit(loop->Now(), absl::StatusCodeToString(why.code()))) return;
        LogEvent(Level::kWarning, "peer message dropped")
            .Field("why", why.message())
            .Field("left_out", limit.TakeHeldBack());
      });
  return std::make_unique<rpc::Server>(
      loop, std::make_shared<wire::RaftServiceAsyncProcessorT<rpc::Codec>>(handler),
      limits, rpc::ServerOptions{.name = "peers"});
}

// Checks, before a folder and a log are made, that the node can listen on both addresses.
// The sockets are closed at once. No connection is accepted meanwhile, because the loop
// does not run.
absl::Status TryAddresses(rpc::EventLoop* loop, const Member& self) {
  rpc::Server probe(loop, nullptr, rpc::Limits{}, rpc::ServerOptions{.name = "probe"});
  for (const std::string& text : {self.peer_address, self.client_address}) {
    const auto address = rpc::Address::Parse(text);
    if (!address.ok()) return address.status();
    if (auto bound = probe.Listen(*address); !bound.ok()) return bound.status();
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  std::unique_ptr<Daemon> daemon(new Daemon());
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return thread.status();
  daemon->thread_ = std::move(*thread);
  absl::Status status;
  daemon->thread_->RunSync([&] { status = daemon->StartOnLoop(options); });
  if (!status.ok()) return status;
  return daemon;
}

absl::Status Daemon::StartOnLoop(const Options& options) {
  // Must be first: the log needs descriptors when it is opened.
  const auto plan = PlanConnections();
  if (!plan.ok()) return plan.status();
  max_clients_ = plan->connections;
  rpc::EventLoop* loop = thread_->loop();
  if (absl::Status s = TryAddresses(loop, options.own); !s.ok()) return s;
  auto node = node::Node::Open(loop, PosixFileEnv(), MakeNodeOptions(options));
  if (!node.ok()) return node.status();
  node_ = std::move(*node);
  peers_ = std::make_unique<rpc::PeerTransport>(
      loop, options.cluster_name,
      rpc::SaidAddresses{options.own.peer_address, options.own.client_address},
      SystemRandom64());
  resources_ = std::make_unique<rpc::ResourceMessenger>(
      loop, SystemRandom64(),
      [this](txn::Input answer) { node_->Handle(std::move(answer)); });
  if (absl::Status s = Listen(options); !s.ok()) return s;
  node_->Start(peers_.get(), resources_.get());
  return absl::OkStatus();
}

absl::Status Daemon::Listen(const Options& options) {
  rpc::EventLoop* loop = thread_->loop();
  const Member& self = options.own;
  peer_server_ = MakePeerServer(loop, options.cluster_name, node_.get());
  rpc::Limits client_limits;
  client_limits.max_connections = max_clients_;
  auto handler = std::make_shared<rpc::CoordinatorServiceHandler>(node_.get());
  client_server_ = std::make_unique<rpc::Server>(
      loop,
      std::make_shared<wire::CoordinatorServiceAsyncProcessorT<rpc::Codec>>(handler),
      client_limits,
      rpc::ServerOptions{.name = "clients", .too_large_code = wire::Code::UNKNOWN});
  const auto peer_address = rpc::Address::Parse(self.peer_address);
  if (!peer_address.ok()) return peer_address.status();
  if (auto bound = peer_server_->Listen(*peer_address); !bound.ok())
    return bound.status();
  const auto client_address = rpc::Address::Parse(self.client_address);
  if (!client_address.ok()) return client_address.status();
  return client_server_->Listen(*client_address).status();
}

void Daemon::HandOver() {
  bool under_way = false;
  thread_->RunSync([&] { under_way = node_->HandOver(); });
  for (Duration waited; under_way && waited < kHandOverGrace;
       waited = waited + kHandOverPoll) {
    std::this_thread::sleep_for(std::chrono::microseconds(kHandOverPoll.micros()));
    thread_->RunSync([&] { under_way = node_->replica().raft().is_transferring(); });
  }
}

Daemon::~Daemon() {
  if (client_server_ != nullptr) {
    Mutex mutex;
    ConditionVariable stopped;
    bool done = false;
    thread_->loop()->Post([&] {
      client_server_->Stop(kStopGrace, [&] {
        MutexLock lock(&mutex);
        done = true;
        stopped.NotifyAll();
      });
    });
    MutexLock lock(&mutex);
    while (!done) stopped.Wait(&mutex);
  }
  thread_->RunSync([this] {
    client_server_.reset();
    peer_server_.reset();
    node_.reset();
    resources_.reset();
    peers_.reset();
  });
}

}  // namespace concordat::daemon
