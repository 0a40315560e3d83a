#include <sys/stat.h>

#include <chrono>
#include <map>
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
constexpr int kDatabaseStarts = 50;
constexpr Duration kReadyLimit = Duration::Seconds(20);

std::string NodeName(size_t node) { return absl::StrCat("coordinator-", node + 1); }
std::string ServerName(const std::string& resource) {
  return absl::StrCat("participant-", resource);
}

class ClusterDeployment final : public Deployment, public example::Victims {
 public:
  ClusterDeployment(BankResources banks, std::string folder,
                    example::Supervisor* supervisor)
      : banks_(std::move(banks)), folder_(std::move(folder)), supervisor_(supervisor) {}
  ~ClusterDeployment() override { observer_.reset(); }

  absl::Status Start(const example::Programs& programs) {
    if (absl::Status s = ReservePorts(); !s.ok()) return s;
    for (size_t node = 0; node < kNodes; ++node) AddNode(programs, node);
    if (absl::Status s = StartDatabases(programs); !s.ok()) return s;
    for (size_t i = 0; i < banks_.size(); ++i) {
      if (absl::Status s = AddParticipant(programs, i); !s.ok()) return s;
    }
    if (absl::Status s = supervisor_->StartAll(); !s.ok()) return s;
    return Connect();
  }

  client::Client* client() override { return client_.get(); }
  std::string Description() const override {
    return absl::StrCat("3 coordinators, ", banks_.size(), " participants and ",
                        databases_.size(), " database servers, clients at ",
                        absl::StrJoin(ClientAddresses(), ","));
  }
  // Branches that are prepared in the databases count as well.
  absl::StatusOr<example::OpenWork> CountOpen() override {
    absl::StatusOr<example::OpenWork> open = observer_->CountOpen();
    if (!open.ok() || !open->none()) return open;
    for (const auto& [name, database] : databases_) {
      const auto prepared = database->CountPrepared();
      if (!prepared.ok()) return prepared.status();
      if (*prepared == 0) continue;
      open->branches += *prepared;
      open->examples.push_back(absl::StrCat(name, " has prepared transactions"));
    }
    return open;
  }
  example::Victims* victims() override { return this; }
  size_t leaders_seen() const override { return observer_->leaders_seen(); }
  absl::Status Check() override { return supervisor_->CheckAll(); }
  std::vector<std::string> Stop() override {
    observer_.reset();
    client_.reset();
    return supervisor_->StopAll();
  }

  // --- Victims ---
  std::optional<example::LeaderView> Leader() const override {
    return observer_->Leader();
  }
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
  absl::Status KillDatabaseOf(const std::string& resource) override {
    return supervisor_->Kill(resource);
  }
  // Processes of a killed PostgreSQL may keep its shared memory for a moment. The new
  // server then reports this and ends, and is started again.
  absl::Status RestartDatabaseOf(const std::string& resource) override {
    absl::Status status;
    for (int i = 0; i < kDatabaseStarts; ++i) {
      status = supervisor_->Restart(resource);
      if (status.ok()) status = supervisor_->WaitUntilReady(resource);
      if (!absl::IsUnavailable(status)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return status;
  }

 private:
  absl::Status ReservePorts() {
    for (auto* ports : {&peer_ports_, &client_ports_}) {
      if (absl::Status s = Reserve(kNodes, ports); !s.ok()) return s;
    }
    return Reserve(banks_.size(), &participant_ports_);
  }

  static absl::Status Reserve(size_t count, std::vector<example::ReservedPort>* ports) {
    while (ports->size() < count) {
      auto port = example::ReservedPort::Take();
      if (!port.ok()) return port.status();
      ports->push_back(*std::move(port));
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

  void AddNode(const example::Programs& programs, size_t node) {
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

  // Starts the databases and creates their tables before anything else is started.
  absl::Status StartDatabases(const example::Programs& programs) {
    for (const BankResource& bank : banks_) {
      if (!bank.has_server()) continue;
      // The server's user must reach its own folder.
      chmod(folder_.c_str(), 0711);
      auto database = PrepareServer(bank, folder_);
      if (!database.ok()) return database.status();
      supervisor_->Add((*database)->program());
      databases_[bank.name] = *std::move(database);
    }
    if (absl::Status s = supervisor_->StartAll(); !s.ok()) return s;
    for (const BankResource& bank : banks_) {
      if (!bank.has_server()) continue;
      example::DatabaseServer* database = databases_[bank.name].get();
      absl::Status status = MakeTables(bank, database);
      if (status.ok()) {
        status = example::RunProgram(
                     {programs.concordat_rm, "init", ServerUrl(*database), "--yes"},
                     absl::StrCat(folder_, "/", bank.name, ".init.out"), kReadyLimit)
                     .status();
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> UrlOf(const BankResource& bank) const {
    if (!bank.has_server()) return FileUrl(bank, folder_);
    return ServerUrl(*databases_.at(bank.name));
  }

  absl::Status AddParticipant(const example::Programs& programs, size_t i) {
    const std::string& resource = banks_[i].name;
    const auto url = UrlOf(banks_[i]);
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
    observer_ = std::make_unique<example::Observer>(
        client_->async()->loop(), ClientAddresses(), Addresses(participant_ports_));
    return WaitForResources();
  }

  absl::Status WaitForResources() {
    const SystemClock clock;
    const Timestamp give_up = clock.Now() + kReadyLimit;
    for (;;) {
      const auto leader = observer_->Leader();
      if (leader && leader->alive.size() == banks_.size()) {
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

  const BankResources banks_;
  const std::string folder_;
  example::Supervisor* const supervisor_;
  std::vector<example::ReservedPort> peer_ports_;
  std::vector<example::ReservedPort> client_ports_;
  std::vector<example::ReservedPort> participant_ports_;
  std::map<std::string, std::unique_ptr<example::DatabaseServer>> databases_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<example::Observer> observer_;  // on the client's loop
};

}  // namespace

absl::StatusOr<std::unique_ptr<Deployment>> StartCluster(
    const example::Programs& programs, const BankResources& banks,
    const std::string& folder, example::Supervisor* supervisor) {
  auto deployment = std::make_unique<ClusterDeployment>(banks, folder, supervisor);
  if (absl::Status s = deployment->Start(programs); !s.ok()) return s;
  return deployment;
}

}  // namespace concordat::transfer
