#include "participant/daemon/daemon.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/system_clock.h"
#include "participant/daemon/resources.h"
#include "participant/sdk/channel_link.h"
#include "thrift/rpc/address.h"
#include "thrift/rpc/descriptors.h"

namespace concordat::participant {
namespace {

constexpr Duration kStopGrace = Duration::Millis(500);

bool IsEveryAddress(const rpc::Address& address) {
  return !address.is_unix() && (address.host() == "0.0.0.0" || address.host() == "::");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(
    const DaemonOptions& options,
    absl::AnyInvocable<void(absl::StatusOr<std::string>)> ready) {
  std::unique_ptr<Daemon> daemon(new Daemon());
  auto thread = rpc::LoopThread::Start();
  if (!thread.ok()) return thread.status();
  daemon->thread_ = *std::move(thread);
  absl::Status status;
  daemon->thread_->RunSync(
      [&] { status = daemon->StartOnLoop(options, std::move(ready)); });
  if (!status.ok()) return status;
  return daemon;
}

absl::Status Daemon::StartOnLoop(
    const DaemonOptions& options,
    absl::AnyInvocable<void(absl::StatusOr<std::string>)> ready) {
  if (absl::Status s = PlanConnections(options); !s.ok()) return s;
  ChannelLinkOptions link_options;
  link_options.seed = SystemRandom64();
  auto link = ChannelLink::Create(thread_->loop(), options.coordinators, link_options);
  if (!link.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--coordinators: ", link.status().message()));
  }
  ParticipantOptions participant_options;
  participant_options.branches.idle_timeout = Duration::Millis(options.idle_timeout_ms);
  participant_options.branches.in_doubt_inquiry =
      Duration::Millis(options.in_doubt_inquiry_ms);
  participant_options.generation_interval =
      Duration::Millis(options.generation_interval_ms);
  participant_options.replace_stores = {options.replace_stores.begin(),
                                        options.replace_stores.end()};
  participant_ = std::make_shared<Participant>(thread_->loop(), *std::move(link),
                                               participant_options);
  if (absl::Status s = AddResources(options); !s.ok()) return s;
  absl::StatusOr<std::string> address = Listen(options);
  if (!address.ok()) return address.status();
  participant_->SetAdvertise(*address);
  participant_->Start(
      [address = *address, ready = std::move(ready)](absl::Status status) mutable {
        if (!status.ok()) return ready(std::move(status));
        ready(std::move(address));
      });
  return absl::OkStatus();
}

absl::Status Daemon::PlanConnections(const DaemonOptions& options) {
  constexpr uint64_t kToCoordinators = 16;
  uint64_t reserve = rpc::kDescriptorsOfAProcess + kToCoordinators;
  for (const std::string& text : options.resources) {
    // A specification that cannot be parsed is refused later.
    const absl::StatusOr<ResourceSpec> spec = ParseResourceSpec(text);
    if (spec.ok()) reserve += DescriptorsOf(*spec);
  }
  const auto plan = rpc::PlanDescriptors(rpc::RaiseDescriptorLimit(), reserve,
                                         rpc::Limits{}.max_connections);
  if (!plan.ok()) return plan.status();
  max_connections_ = plan->connections;
  LogEvent(Level::kInfo, "open files")
      .Field("limit", plan->limit)
      .Field("reserve", plan->reserve)
      .Field("connections", plan->connections);
  return absl::OkStatus();
}

absl::Status Daemon::AddResources(const DaemonOptions& options) {
  for (const std::string& text : options.resources) {
    const absl::StatusOr<ResourceSpec> spec = ParseResourceSpec(text);
    if (!spec.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--resource ", spec.status().message()));
    }
    auto manager = MakeResourceManager(*spec);
    if (!manager.ok()) return manager.status();
    const absl::Status status =
        participant_->AddResource(spec->name, *std::move(manager));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Daemon::Listen(const DaemonOptions& options) {
  const absl::StatusOr<rpc::Address> wanted = rpc::Address::Parse(options.listen);
  if (!wanted.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen: ", wanted.status().message()));
  }
  if (options.advertise.empty() && IsEveryAddress(*wanted)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen ", options.listen,
                     " is every address of this machine: say with --advertise which one "
                     "others are to use"));
  }
  rpc::Limits limits;
  limits.max_connections = max_connections_;
  server_ = std::make_unique<rpc::Server>(
      thread_->loop(), Participant::MakeProcessor(participant_), limits,
      rpc::ServerOptions{.name = "participant", .too_large_code = wire::Code::UNKNOWN});
  const absl::StatusOr<rpc::Address> bound = server_->Listen(*wanted);
  if (absl::IsAlreadyExists(bound.status())) {
    return absl::AlreadyExistsError(
        absl::StrCat("--listen: ", bound.status().message(),
                     ". Another process listens there: end it, or choose another port"));
  }
  if (!bound.ok()) return bound.status();
  return options.advertise.empty() ? bound->ToString() : options.advertise;
}

Daemon::~Daemon() {
  Mutex mutex;
  ConditionVariable changed;
  bool done = participant_ == nullptr;
  const auto finish = [&] {
    MutexLock lock(&mutex);
    done = true;
    changed.NotifyAll();
  };
  if (participant_ != nullptr) {
    thread_->loop()->Post([&] {
      participant_->Stop([&] {
        if (server_ == nullptr) return finish();
        server_->Stop(kStopGrace, finish);
      });
    });
  }
  {
    MutexLock lock(&mutex);
    while (!done) changed.Wait(&mutex);
  }
  thread_->RunSync([this] {
    server_.reset();
    participant_.reset();
  });
}

}  // namespace concordat::participant
