#include "examples/tickets/box_office.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/system_clock.h"

namespace concordat::tickets {

namespace {

constexpr size_t kNodes = 3;
constexpr int kDatabaseStarts = 50;
constexpr Duration kReadyLimit = Duration::Seconds(20);

std::string NodeName(size_t node) { return absl::StrCat("coordinator-", node + 1); }
// The seat service is a participant itself.
std::string ServerName(const std::string& resource) {
  return resource == kSeats ? resource : absl::StrCat("participant-", resource);
}
std::vector<std::string> Addresses(const std::vector<example::ReservedPort>& ports) {
  std::vector<std::string> addresses;
  for (const example::ReservedPort& port : ports) addresses.push_back(port.address());
  return addresses;
}

}  // namespace

absl::StatusOr<Programs> FindPrograms() {
  auto concordat = example::FindPrograms();
  if (!concordat.ok()) return concordat.status();
  std::error_code error;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& seats : {here / "seats", here / ".." / "own-resource" / "seats"}) {
    if (access(seats.c_str(), X_OK) != 0) continue;
    return Programs{*std::move(concordat),
                    std::filesystem::weakly_canonical(seats).string()};
  }
  return absl::NotFoundError(
      "seats is not where a build puts it; build it: tests/build.sh release seats");
}

absl::Status BoxOffice::Start(const Plan& plan) {
  if (absl::Status s = ReservePorts(); !s.ok()) return s;
  if (absl::Status s = StartDatabases(plan); !s.ok()) return s;
  for (size_t node = 0; node < kNodes; ++node) AddNode(node);
  AddSeats();
  AddParticipant(kPayments);
  AddParticipant(kLoyalty);
  if (absl::Status s = supervisor_->StartAll(); !s.ok()) return s;
  return Connect();
}

absl::Status BoxOffice::ReservePorts() {
  for (auto* ports : {&peer_ports_, &client_ports_}) {
    while (ports->size() < kNodes) {
      auto port = example::ReservedPort::Take();
      if (!port.ok()) return port.status();
      ports->push_back(*std::move(port));
    }
  }
  for (const char* resource : {kSeats, kPayments, kLoyalty}) {
    auto port = example::ReservedPort::Take();
    if (!port.ok()) return port.status();
    resource_ports_.emplace(resource, *std::move(port));
  }
  return absl::OkStatus();
}

// Starts the databases and creates their tables before anything else is started.
absl::Status BoxOffice::StartDatabases(const Plan& plan) {
  chmod(folder_.c_str(), 0711);  // the servers' users must reach their own folders
  auto payments = example::PreparePostgresql(kPayments, folder_);
  if (!payments.ok()) return payments.status();
  databases_[kPayments] = *std::move(payments);
  auto loyalty = example::PrepareMariadb(kLoyalty, folder_);
  if (!loyalty.ok()) return loyalty.status();
  databases_[kLoyalty] = *std::move(loyalty);
  for (const auto& [name, database] : databases_) supervisor_->Add(database->program());
  if (absl::Status s = supervisor_->StartAll(); !s.ok()) return s;
  if (absl::Status s = MakeReady(kPayments, PaymentsSql(plan)); !s.ok()) return s;
  return MakeReady(kLoyalty, LoyaltySql(plan));
}

absl::Status BoxOffice::MakeReady(const std::string& resource, const std::string& sql) {
  example::DatabaseServer* database = databases_.at(resource).get();
  if (absl::Status s = database->RunSql(sql); !s.ok()) return s;
  return example::RunProgram(
             {programs_.concordat.concordat_rm, "init", database->url(), "--yes"},
             absl::StrCat(folder_, "/", resource, ".init.out"), kReadyLimit)
      .status();
}

example::Program BoxOffice::MakeProgram(const std::string& name,
                                        std::vector<std::string> words) const {
  example::Program program;
  program.name = name;
  program.words = std::move(words);
  program.output = absl::StrCat(folder_, "/", name, ".out");
  program.ready = " ready";
  return program;
}

void BoxOffice::AddNode(size_t node) {
  std::vector<std::string> members;
  for (size_t n = 0; n < kNodes; ++n) {
    members.push_back(absl::StrCat(n + 1, "=", peer_ports_[n].address(), "/",
                                   client_ports_[n].address()));
  }
  example::Program program = MakeProgram(
      NodeName(node),
      {programs_.concordat.concordatd, "--id", absl::StrCat(node + 1), "--members",
       absl::StrJoin(members, ","), "--data-dir",
       absl::StrCat(folder_, "/", NodeName(node)), "--cluster", "tickets-example"});
  program.log = absl::StrCat(folder_, "/", NodeName(node), ".log");
  program.words.insert(program.words.end(), {"--log-file", program.log});
  supervisor_->Add(std::move(program));
}

void BoxOffice::AddSeats() {
  supervisor_->Add(MakeProgram(
      kSeats,
      {programs_.seats, "--coordinators", absl::StrJoin(Addresses(client_ports_), ","),
       "--listen", resource_ports_.at(kSeats).address(), "--name", kSeats, "--data-dir",
       absl::StrCat(folder_, "/", kSeats)}));
}

void BoxOffice::AddParticipant(const std::string& resource) {
  supervisor_->Add(
      MakeProgram(ServerName(resource),
                  {programs_.concordat.concordat_rm, "--listen",
                   resource_ports_.at(resource).address(), "--coordinators",
                   absl::StrJoin(Addresses(client_ports_), ","), "--resource",
                   absl::StrCat(resource, "=", databases_.at(resource)->url())}));
}

absl::Status BoxOffice::Connect() {
  client::ClientOptions options;
  options.coordinators = Addresses(client_ports_);
  auto client = client::Client::Connect(std::move(options));
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  std::vector<std::string> participants;
  for (const auto& [name, port] : resource_ports_) participants.push_back(port.address());
  observer_ = std::make_unique<example::Observer>(
      client_->async()->loop(), Addresses(client_ports_), std::move(participants));
  const SystemClock clock;
  const Timestamp give_up = clock.Now() + kReadyLimit;
  while (clock.Now() < give_up) {
    const auto leader = observer_->Leader();
    if (leader && leader->alive.size() == resource_ports_.size()) return absl::OkStatus();
    if (absl::Status s = Check(); !s.ok()) return s;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return absl::DeadlineExceededError("not all resources are registered with a leader");
}

absl::StatusOr<example::OpenWork> BoxOffice::CountOpen() {
  absl::StatusOr<example::OpenWork> open = observer_->CountOpen();
  if (!open.ok()) return open;
  for (const auto& [name, database] : databases_) {
    const auto prepared = database->CountPrepared();
    if (!prepared.ok()) return prepared.status();
    if (*prepared == 0) continue;
    open->branches += *prepared;
    open->examples.push_back(absl::StrCat(name, " has prepared transactions"));
  }
  return open;
}

std::vector<std::string> BoxOffice::Stop() {
  observer_.reset();
  client_.reset();
  return supervisor_->StopAll();
}

absl::Status BoxOffice::KillNode(size_t node) {
  return supervisor_->Kill(NodeName(node));
}
absl::Status BoxOffice::RestartNode(size_t node) {
  return supervisor_->Restart(NodeName(node));
}
absl::Status BoxOffice::KillServerOf(const std::string& resource) {
  return supervisor_->Kill(ServerName(resource));
}
absl::Status BoxOffice::RestartServerOf(const std::string& resource) {
  return supervisor_->Restart(ServerName(resource));
}
absl::Status BoxOffice::KillDatabaseOf(const std::string& resource) {
  return supervisor_->Kill(resource);
}

// Processes of a killed PostgreSQL may keep its shared memory for a moment. The new
// server then reports this and ends, and is started again.
absl::Status BoxOffice::RestartDatabaseOf(const std::string& resource) {
  absl::Status status;
  for (int i = 0; i < kDatabaseStarts; ++i) {
    status = supervisor_->Restart(resource);
    if (status.ok()) status = supervisor_->WaitUntilReady(resource);
    if (!absl::IsUnavailable(status)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return status;
}

}  // namespace concordat::tickets
