#include "participant/resources/service/serve.h"

#include <signal.h>
#include <time.h>

#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/daemon_signals.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/system_clock.h"
#include "participant/sdk/channel_link.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/descriptors.h"
#include "thrift/rpc/server.h"

namespace concordat::participant::service {
namespace {

constexpr Duration kStopGrace = Duration::Millis(500);
// For the logs of the resources, the coordinators, and what the service itself opens.
constexpr uint64_t kDescriptorsOfTheService = 128;

class Server {
 public:
  // Called on the loop's thread.
  absl::Status Start(rpc::EventLoop* loop, const ServeOptions& options,
                     std::vector<Resource> resources,
                     std::function<void(const std::string&)> ready) {
    ChannelLinkOptions link_options;
    link_options.seed = SystemRandom64();
    auto link = ChannelLink::Create(loop, options.coordinators, link_options);
    if (!link.ok()) return link.status();
    participant_ =
        std::make_shared<Participant>(loop, *std::move(link), options.participant);
    for (Resource& resource : resources) {
      const absl::Status added =
          participant_->AddResource(resource.name, std::move(resource.manager));
      if (!added.ok()) return added;
    }
    const absl::StatusOr<rpc::Address> wanted = rpc::Address::Parse(options.listen);
    if (!wanted.ok()) return wanted.status();
    const bool every =
        !wanted->is_unix() && (wanted->host() == "0.0.0.0" || wanted->host() == "::");
    if (every && options.advertise.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.listen,
                       " is every address of this machine: say which one others are "
                       "to use (advertise)"));
    }
    const auto plan =
        rpc::PlanDescriptors(rpc::RaiseDescriptorLimit(),
                             rpc::kDescriptorsOfAProcess + kDescriptorsOfTheService,
                             rpc::Limits{}.max_connections);
    if (!plan.ok()) return plan.status();
    rpc::Limits limits;
    limits.max_connections = plan->connections;
    server_ = std::make_unique<rpc::Server>(
        loop, Participant::MakeProcessor(participant_), limits,
        rpc::ServerOptions{.name = "participant", .too_large_code = wire::Code::UNKNOWN});
    const absl::StatusOr<rpc::Address> bound = server_->Listen(*wanted);
    if (!bound.ok()) return bound.status();
    const std::string address =
        options.advertise.empty() ? bound->ToString() : options.advertise;
    participant_->SetAdvertise(address);
    participant_->Start([this, address, ready = std::move(ready)](absl::Status status) {
      if (status.ok()) return ready(address);
      MutexLock lock(&mutex_);
      failed_ = std::move(status);
    });
    return absl::OkStatus();
  }
  // Called on the loop's thread. `done` is called when everything is closed.
  void Stop(std::function<void()> done) {
    if (participant_ == nullptr) return done();
    participant_->Stop([this, done = std::move(done)] {
      if (server_ == nullptr) return done();
      server_->Stop(kStopGrace, done);
    });
  }
  void Drop() {
    server_.reset();
    participant_.reset();
  }
  [[nodiscard]] absl::Status failed() {
    MutexLock lock(&mutex_);
    return failed_;
  }

 private:
  std::shared_ptr<Participant> participant_;
  std::unique_ptr<rpc::Server> server_;
  Mutex mutex_;
  absl::Status failed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::Status Serve(ServeOptions options, std::vector<Resource> resources,
                   std::function<void(const std::string&)> ready) {
  const sigset_t signals = BlockStopSignals();  // threads started later inherit it
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return thread.status();
  Server server;
  absl::Status status;
  (*thread)->RunSync([&] {
    status =
        server.Start((*thread)->loop(), options, std::move(resources), std::move(ready));
  });
  const timespec poll{0, 50'000'000};
  while (status.ok() && sigtimedwait(&signals, nullptr, &poll) < 0) {
    status = server.failed();
  }
  std::promise<void> stopped;
  (*thread)->loop()->Post([&] { server.Stop([&] { stopped.set_value(); }); });
  stopped.get_future().wait();
  (*thread)->RunSync([&] { server.Drop(); });
  return status;
}

}  // namespace concordat::participant::service
