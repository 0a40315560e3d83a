#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/system_clock.h"
#include "examples/processes/reserved_port.h"
#include "examples/transfer/deployment.h"

namespace concordat::transfer {

namespace {

constexpr size_t kNodes = 3;
constexpr Duration kReadyLimit = Duration::Seconds(20);

std::string NodeName(size_t node) { return absl::StrCat("coordinator-", node + 1); }
std::string ServerName(const std::string& resource) {
  return absl::StrCat("participant-", resource);
}

class ClusterDeployment final : public Deployment, public Victims {
 public:
  ClusterDeployment(std::string folder, example::Supervisor* supervisor)
      : folder_(std::move(folder)), supervisor_(supervisor) {}
  ~ClusterDeployment() override { observer_.reset(); }

  absl::Status Start(const Programs& programs) {
    if (absl::Status s = ReservePorts(); !s.ok()) return s;
    for (size_t node = 0; node < kNodes; ++node) AddNode(programs, node);
    for (size_t i = 0; i < ResourceNames().size(); ++i) {
      if (absl::Status s = AddParticipant(programs, i); !s.ok()) return s;
    }
    if (absl::Status s = supervisor_->StartAll(); !s.ok()) return s;
    return Connect();
  }

  client::Client* client() override { return client_.get(); }
  std::string Description() const override {
    return absl::StrCat("3 coordinators and 3 participants, clients at ",
                        absl::StrJoin(ClientAddresses(), ","));
  }
  absl::StatusOr<OpenWork> CountOpen() override { return observer_->CountOpen(); }
  Victims* victims() override { return this; }
  size_t leaders_seen() const override { return observer_->leaders_seen(); }
  absl::Status Check() override { return supervisor_->CheckAll(); }
  std::vector<std::string> Stop() override {
    observer_.reset();
    client_.reset();
    return supervisor_->StopAll();
  }

  // --- Victims ---
  std::optional<LeaderView> Leader() const override { return observer_->Leader(); }
  std::optional<int64_t> AppliedIndex(size_t node) const override {
    return observer_->AppliedIndex(node);
  }
  absl::Status KillNode(size_t node) override {
    return supervisor_->Kill(NodeName(node));
  }
  absl::Status RestartNode(size_t node) override {
    return supervisor_->Restart(NodeName(node));
  }
  absl::Status KillServerOf(const std::string& resource) override {
    return supervisor_->Kill(ServerName(resource));
  }
  absl::Status RestartServerOf(const std::string& resource) override {
    return supervisor_->Restart(ServerName(resource));
  }

 private:
  absl::Status ReservePorts() {
    for (auto* ports : {&peer_ports_, &client_ports_, &participant_ports_}) {
      while (ports->size() < kNodes) {
        auto port = example::ReservedPort::Take();
        if (!port.ok()) return port.status();
        ports->push_back(*std::move(port));
      }
    }
    return absl::OkStatus();
  }

  static std::vector<std::string> Addresses(
      const std::vector<example::ReservedPort>& ports) {
    std::vector<std::string> addresses;
    for (const example::ReservedPort& port : ports) addresses.push_back(port.address());
    return addresses;
  }
  std::vector<std::string> ClientAddresses() const { return Addresses(client_ports_); }

  example::Program MakeProgram(const std::string& name,
                               std::vector<std::string> words) const {
    example::Program program{name, std::move(words),
                             absl::StrCat(folder_, "/", name, ".out"), " ready",
                             absl::StrCat(folder_, "/", name, ".log")};
    program.words.insert(program.words.end(), {"--log-file", program.log});
    return program;
  }

  void AddNode(const Programs& programs, size_t node) {
    std::vector<std::string> members;
    for (size_t n = 0; n < kNodes; ++n) {
      members.push_back(absl::StrCat(n + 1, "=", peer_ports_[n].address(), "/",
                                     client_ports_[n].address()));
    }
    supervisor_->Add(MakeProgram(
        NodeName(node),
        {programs.concordatd, "--id", absl::StrCat(node + 1), "--members",
         absl::StrJoin(members, ","), "--data-dir",
         absl::StrCat(folder_, "/", NodeName(node)), "--cluster", "transfer-example"}));
  }

  absl::Status AddParticipant(const Programs& programs, size_t i) {
    const std::string resource = ResourceNames()[i];
    const auto url = ResourceUrl(resource, folder_);
    if (!url.ok()) return url.status();
    supervisor_->Add(
        MakeProgram(ServerName(resource),
                    {programs.concordat_rm, "--listen", participant_ports_[i].address(),
                     "--coordinators", absl::StrJoin(ClientAddresses(), ","),
                     "--resource", absl::StrCat(resource, "=", *url)}));
    return absl::OkStatus();
  }

  absl::Status Connect() {
    client::ClientOptions options;
    options.coordinators = ClientAddresses();
    auto client = client::Client::Connect(std::move(options));
    if (!client.ok()) return client.status();
    client_ = *std::move(client);
    observer_ = std::make_unique<Observer>(client_->async()->loop(), ClientAddresses(),
                                           Addresses(participant_ports_));
    return WaitForResources();
  }

  absl::Status WaitForResources() {
    const SystemClock clock;
    const Timestamp give_up = clock.Now() + kReadyLimit;
    for (;;) {
      const auto leader = observer_->Leader();
      if (leader && leader->alive.size() == ResourceNames().size()) {
        return absl::OkStatus();
      }
      if (absl::Status s = supervisor_->CheckAll(); !s.ok()) return s;
      if (clock.Now() >= give_up) {
        return absl::DeadlineExceededError(leader ? "not all resources are registered"
                                                  : "no coordinator was elected");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  const std::string folder_;
  example::Supervisor* const supervisor_;
  std::vector<example::ReservedPort> peer_ports_;
  std::vector<example::ReservedPort> client_ports_;
  std::vector<example::ReservedPort> participant_ports_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Observer> observer_;  // on the client's loop
};

}  // namespace

absl::StatusOr<std::unique_ptr<Deployment>> StartCluster(
    const Programs& programs, const std::string& folder,
    example::Supervisor* supervisor) {
  auto deployment = std::make_unique<ClusterDeployment>(folder, supervisor);
  if (absl::Status s = deployment->Start(programs); !s.ok()) return s;
  return deployment;
}

}  // namespace concordat::transfer
