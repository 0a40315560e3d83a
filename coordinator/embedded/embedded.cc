#include "coordinator/embedded/embedded.h"

#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "coordinator/embedded/direct_sender.h"
#include "coordinator/rpc/txn_wire.h"

namespace concordat {

namespace {

// Stands for the address of a socket.
constexpr const char* kHere = "embedded";
constexpr Duration kPoll = Duration::Millis(1);

// The result of the start: the loop's thread sets it once, another one waits for it.
struct Ready {
  Mutex mutex;
  ConditionVariable changed;
  std::optional<absl::Status> status ABSL_GUARDED_BY(mutex);

  void Set(absl::Status value) {
    MutexLock lock(&mutex);
    status = std::move(value);
    changed.NotifyAll();
  }
};

template <class Reply>
absl::StatusOr<Reply> Checked(const Reply& reply) {
  if (reply.result.code == wire::Code::OK) return reply;
  if (reply.result.code == wire::Code::INVALID) {
    return absl::InvalidArgumentError(reply.result.message);
  }
  return absl::UnavailableError(reply.result.message);
}

node::NodeOptions MakeNodeOptions(const EmbeddedOptions& options) {
  node::NodeOptions out;
  out.data_dir = options.dir;
  out.cluster_name = kHere;
  out.self = NodeId(1);
  out.own.client = kHere;
  out.members[out.self] = out.own;
  // No other node could lead, so there is no reason to wait.
  out.replica.raft.election_timeout_min = Duration::Millis(10);
  out.replica.raft.election_timeout_max = Duration::Millis(20);
  out.replica.raft.heartbeat_interval = Duration::Millis(5);
  out.txn.inquiry_wait = Duration::Millis(200);
  return out;
}

}  // namespace

class Embedded::NoPeers final : public rpc::PeerSender {
 public:
  void Send(raft::Message) override {}
  void SetPeers(const std::map<NodeId, std::string>&) override {}
};

class Embedded::Sender final : public embedded::DirectSender {
  using DirectSender::DirectSender;
};

// How the participant calls the coordinator.
class Embedded::Link final : public participant::CoordinatorLink {
 public:
  explicit Link(rpc::CoordinatorServiceHandler* handler) : handler_(handler) {}
  void Hello(const wire::CallContext& context, Done<wire::HelloReply> done) override {
    handler_->hello(Once<wire::HelloReply>(std::move(done)), context);
  }
  void Register(const wire::RegisterRequest& request,
                Done<wire::RegisterReply> done) override {
    handler_->registerResources(Once<wire::RegisterReply>(std::move(done)), request);
  }
  void Inquire(const wire::InquiryRequest& request,
               Done<wire::InquiryReply> done) override {
    handler_->inquire(Once<wire::InquiryReply>(std::move(done)), request);
  }

 private:
  template <class Reply>
  static std::function<void(const Reply&)> Once(Done<Reply> done) {
    auto shared = std::make_shared<Done<Reply>>(std::move(done));
    return [shared](const Reply& reply) { (*shared)(Checked(reply)); };
  }
  rpc::CoordinatorServiceHandler* const handler_;
};

// How the client calls the coordinator and the participant.
class Embedded::Links final : public client::LinkProvider {
 public:
  Links(client::CoordinatorLink* coordinator, client::ParticipantLink* participant)
      : coordinator_(coordinator), participant_(participant) {}
  client::CoordinatorLink* Coordinator(const std::string&) override {
    return coordinator_;
  }
  client::ParticipantLink* Participant(const std::string&) override {
    return participant_;
  }

 private:
  client::CoordinatorLink* const coordinator_;
  client::ParticipantLink* const participant_;
};

absl::StatusOr<std::unique_ptr<Embedded>> Embedded::Start(
    EmbeddedOptions options, std::vector<EmbeddedResource> resources) {
  if (resources.empty()) return absl::InvalidArgumentError("no resources were named");
  std::unique_ptr<Embedded> embedded(new Embedded());
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return thread.status();
  embedded->thread_ = std::move(*thread);
  absl::Status status;
  embedded->thread_->RunSync(
      [&] { status = embedded->StartOnLoop(options, std::move(resources)); });
  if (status.ok()) status = embedded->WaitUntilReady(options.start_timeout);
  if (!status.ok()) return status;
  client::ClientOptions client_options = options.client;
  client_options.coordinators = {kHere};
  embedded->client_ = client::Client::Over(
      embedded->thread_->loop(), embedded->links_.get(), std::move(client_options));
  return embedded;
}

absl::Status Embedded::StartOnLoop(const EmbeddedOptions& options,
                                   std::vector<EmbeddedResource> resources) {
  rpc::EventLoop* loop = thread_->loop();
  auto node = node::Node::Open(loop, PosixFileEnv(), MakeNodeOptions(options));
  if (!node.ok()) return node.status();
  node_ = std::move(*node);
  handler_ = std::make_unique<rpc::CoordinatorServiceHandler>(node_.get());
  participant::ParticipantOptions participant_options = options.participant;
  participant_options.advertise = kHere;
  participant_ = std::make_shared<participant::Participant>(
      loop, std::make_unique<Link>(handler_.get()), std::move(participant_options));
  for (EmbeddedResource& resource : resources) {
    absl::Status added =
        participant_->AddResource(resource.name, std::move(resource.manager));
    if (!added.ok()) return added;
  }
  links_ = std::make_unique<Links>(handler_.get(), participant_.get());
  peers_ = std::make_unique<NoPeers>();
  sender_ = std::make_unique<Sender>(
      loop, participant_.get(),
      [this](txn::Input&& answer) { node_->Handle(std::move(answer)); });
  node_->Start(peers_.get(), sender_.get());
  return absl::OkStatus();
}

// A new coordinator has its cluster's id only after a flush. This waits for the id,
// because the participant would ask for it again only after a longer pause.
void Embedded::StartParticipant(std::function<void(absl::Status)> ready) {
  if (!node_->cluster().is_none()) return participant_->Start(std::move(ready));
  thread_->loop()->RunAfter(kPoll, [this, ready = std::move(ready)]() mutable {
    StartParticipant(std::move(ready));
  });
}

absl::Status Embedded::WaitUntilReady(Duration timeout) {
  auto ready = std::make_shared<Ready>();
  thread_->loop()->Post([this, ready] {
    StartParticipant([ready](absl::Status status) { ready->Set(std::move(status)); });
  });
  MutexLock lock(&ready->mutex);
  while (!ready->status.has_value()) {
    if (ready->changed.WaitFor(&ready->mutex, timeout)) continue;
    return absl::DeadlineExceededError(absl::StrCat(
        "the embedded coordinator was not ready after ", timeout.millis(), " ms"));
  }
  return *ready->status;
}

size_t Embedded::OpenTransactions() {
  size_t open = 0;
  thread_->RunSync([&] { open = node_->View().transactions.live; });
  return open;
}

Embedded::~Embedded() {
  client_.reset();
  if (participant_ != nullptr) {
    auto stopped = std::make_shared<Ready>();
    thread_->loop()->Post([this, stopped] {
      participant_->Stop([stopped] { stopped->Set(absl::OkStatus()); });
    });
    MutexLock lock(&stopped->mutex);
    while (!stopped->status.has_value()) stopped->changed.Wait(&stopped->mutex);
  }
  if (thread_ == nullptr) return;
  thread_->RunSync([this] {
    participant_.reset();
    node_.reset();
    sender_.reset();
  });
  thread_->StopAndJoin();
}

}  // namespace concordat
