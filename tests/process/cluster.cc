#include "tests/process/cluster.h"

#include <sys/wait.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"
#include "coordinator/base/mutex.h"
#include "coordinator/client/operations.h"
#include "tests/process/small_disk.h"
#include "thrift/wire/conversion.h"

namespace concordat::testing {

namespace {

std::string BuildDir() { return ProgramDir() + "/../.."; }

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(options), dir_("/tmp") {
  std::vector<std::string> members;
  for (int i = 1; i <= options_.nodes; ++i) {
    clients_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
    peers_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
    members.push_back(absl::StrCat(i, "=", peers_.back(), "/", clients_.back()));
  }
  members_ = absl::StrJoin(members, ",");
  auto loop = rpc::LoopThread::Start();
  CONCORDAT_CHECK(loop.ok());
  loop_ = std::move(*loop);
  links_ = std::make_unique<client::ChannelLinkProvider>(loop_->loop(),
                                                         Duration::Seconds(2), 1);
  for (int i = 1; i <= options_.nodes; ++i) StartNode(i);
  std::ofstream(dir_.path() + "/schema.sql")
      << "CREATE TABLE IF NOT EXISTS account(id TEXT PRIMARY KEY, balance INTEGER);";
  for (const char* bank : {"kv", "sql"}) {
    bank_ports_[bank] = FreePort();
    proxies_[bank] = std::make_unique<Proxy>(bank_ports_[bank]);
    StartBank(bank);
  }
  client_ = NewClient();
}

Cluster::~Cluster() {
  client_.reset();
  loop_->RunSync([this] { links_.reset(); });
}

std::string Cluster::NodeDir(int id) const {
  return absl::StrCat(dir_.path(), "/node-", id);
}

void Cluster::StartNode(int id) {
  const std::string log = absl::StrCat(dir_.path(), "/node-", id, ".log");
  std::ofstream(log, std::ios::trunc).close();
  std::vector<std::string> words = {BuildDir() + "/coordinator/daemon/concordatd",
                                    "--id",
                                    absl::StrCat(id),
                                    "--data-dir",
                                    NodeDir(id),
                                    "--segment-bytes",
                                    absl::StrCat(options_.segment_bytes)};
  if (joined_.contains(id)) {
    const size_t i = static_cast<size_t>(id) - 1;
    words.insert(words.end(), {"--join", "--peer-address", peers_[i], "--client-address",
                               clients_[i]});
  } else {
    words.insert(words.end(), {"--members", members_});
  }
  if (options_.node_files > 0) {
    words.insert(words.begin(),
                 {"/usr/bin/prlimit", absl::StrCat("--nofile=", options_.node_files)});
  }
  if (options_.node_disk_mib > 0) {
    words = SmallDisk::Command(NodeDir(id), options_.node_disk_mib, std::move(words));
  }
  nodes_[id] = std::make_unique<Child>(std::move(words), log);
  CONCORDAT_CHECK(nodes_[id]->WaitForLine("ready: clients", kPatience)) << TextOf(log);
}

int Cluster::StartJoiner() {
  clients_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
  peers_.push_back(absl::StrCat("127.0.0.1:", FreePort()));
  const int id = static_cast<int>(clients_.size());
  joined_.insert(id);
  StartNode(id);
  client_ = NewClient();  // which knows this node too
  return id;
}

void Cluster::LoseFolder(int id) {
  nodes_[id]->Kill();
  std::filesystem::remove_all(NodeDir(id));
  StartNode(id);
}

std::string Cluster::ResourceUrl(const std::string& bank) const {
  if (bank == "kv") return absl::StrCat("kv=kv://", dir_.path(), "/bank-kv");
  return absl::StrCat("sql=sqlite://", dir_.path(), "/bank.db?schema=", dir_.path(),
                      "/schema.sql");
}

void Cluster::LaunchBank(const std::string& bank,
                         const std::vector<std::string>& more_flags) {
  const std::string log = BankLog(bank);
  std::ofstream(log, std::ios::trunc).close();
  std::vector<std::string> words = {BuildDir() + "/participant/daemon/concordat-rm",
                                    "--listen",
                                    absl::StrCat("127.0.0.1:", bank_ports_[bank]),
                                    "--advertise",
                                    proxies_[bank]->address(),
                                    "--coordinators",
                                    absl::StrJoin(clients_, ","),
                                    "--resource",
                                    ResourceUrl(bank),
                                    "--in-doubt-inquiry-ms",
                                    absl::StrCat(options_.in_doubt_inquiry_ms)};
  words.insert(words.end(), more_flags.begin(), more_flags.end());
  banks_[bank] = std::make_unique<Child>(std::move(words), log);
}

std::string Cluster::BankLog(const std::string& bank) const {
  return absl::StrCat(dir_.path(), "/rm-", bank, ".log");
}

void Cluster::StartBank(const std::string& bank,
                        const std::vector<std::string>& more_flags) {
  const std::string log = BankLog(bank);
  LaunchBank(bank, more_flags);
  CONCORDAT_CHECK(banks_[bank]->WaitForLine("ready on", kPatience)) << TextOf(log);
}

client::ClientOptions Cluster::Options() const {
  client::ClientOptions options;
  options.coordinators = clients_;
  // A busy machine must not look like a lost answer.
  options.execute_timeout = options.commit_timeout = Duration::Seconds(60);
  options.time_limit = Duration::Seconds(120);
  return options;
}

std::unique_ptr<client::Client> Cluster::NewClient() {
  auto client = client::Client::Connect(Options());
  CONCORDAT_CHECK(client.ok()) << client.status().message();
  return std::move(*client);
}

template <class Reply>
Reply Cluster::Ask(
    int node,
    std::function<void(client::CoordinatorLink*, std::function<void(const Reply&)>)>
        call) {
  struct Shared {
    Mutex mutex;
    ConditionVariable arrived;
    std::optional<Reply> reply;
  };
  auto shared = std::make_shared<Shared>();
  loop_->loop()->Post([this, node, call = std::move(call), shared] {
    call(links_->Coordinator(clients_[static_cast<size_t>(node) - 1]),
         [shared](const Reply& reply) {
           MutexLock lock(&shared->mutex);
           shared->reply = reply;
           shared->arrived.NotifyAll();
         });
  });
  MutexLock lock(&shared->mutex);
  while (!shared->reply.has_value()) shared->arrived.Wait(&shared->mutex);
  return *shared->reply;
}

template wire::OutcomeReply Cluster::Ask(
    int, std::function<void(client::CoordinatorLink*,
                            std::function<void(const wire::OutcomeReply&)>)>);

template wire::BeginReply Cluster::Ask(
    int, std::function<void(client::CoordinatorLink*,
                            std::function<void(const wire::BeginReply&)>)>);

wire::StatusReply Cluster::Status(int node) {
  return Ask<wire::StatusReply>(node,
                                [](client::CoordinatorLink* link,
                                   std::function<void(const wire::StatusReply&)> done) {
                                  link->status(std::move(done), MakeContext());
                                });
}

int Cluster::Leader() {
  int leader = 0;
  const bool found = WaitUntil(kPatience, [&] {
    for (const auto& [id, node] : nodes_) {
      if (node->pid() <= 0) continue;
      const wire::StatusReply status = Status(id);
      if (status.result.code == wire::Code::OK && status.role == "leader") {
        leader = id;
        return true;
      }
    }
    return false;
  });
  CONCORDAT_CHECK(found) << "no leader";
  return leader;
}

int Cluster::KillLeader() {
  const int id = Leader();
  nodes_[id]->Kill();
  return id;
}

wire::TransactionView Cluster::Show(const Gtid& gtid) {
  return Ask<wire::ShowTransactionReply>(
             Leader(),
             [gtid](client::CoordinatorLink* link,
                    std::function<void(const wire::ShowTransactionReply&)> done) {
               wire::OutcomeRequest request;
               request.context = MakeContext();
               request.gtid = ToWire(gtid);
               link->showTransaction(std::move(done), request);
             })
      .transaction;
}

int Cluster::CommandLine(const std::string& words, std::string* output) {
  const std::string file = dir_.path() + "/cli";
  const int status =
      std::system(absl::StrCat(BuildDir(), "/coordinator/cli/concordat ", words, " -c ",
                               absl::StrJoin(clients_, ","), " >", file, " 2>&1")
                      .c_str());
  *output = TextOf(file);
  return WEXITSTATUS(status);
}

bool Cluster::WaitUntilSettled(double seconds) {
  return WaitUntil(seconds, [this] {
    const wire::StatusReply status = Status(Leader());
    return status.result.code == wire::Code::OK && status.undecided == 0 &&
           status.unended == 0;
  });
}

absl::Status Cluster::Transfer(client::Transaction* transaction, const std::string& from,
                               const std::string& to, int64_t amount) {
  const auto debit = transaction->Kv("kv", {client::Add(from, -amount)});
  if (!debit.ok()) return debit.status();
  const auto credit = transaction->Sql(
      "sql", client::Sql("INSERT INTO account(id, balance) VALUES(?1, ?2) "
                         "ON CONFLICT(id) DO UPDATE SET balance = balance + ?2",
                         {client::TextValue(to), client::IntegerValue(amount)}));
  return credit.status();
}

int64_t Cluster::KvBalance(const std::string& account) {
  int64_t balance = 0;
  const auto result = client_->Run([&](client::Transaction& t) -> absl::Status {
    const auto found = t.Kv("kv", {client::Get(account)});
    if (!found.ok()) return found.status();
    const auto& pairs = (*found)[0].pairs;
    balance = pairs.empty() ? 0 : std::stoll(pairs[0].value);
    return absl::OkStatus();
  });
  CONCORDAT_CHECK(result.committed()) << result;
  return balance;
}

int64_t Cluster::SqlBalance(const std::string& account) {
  int64_t balance = 0;
  const auto result = client_->Run([&](client::Transaction& t) -> absl::Status {
    const auto found =
        t.Sql("sql", client::Sql("SELECT balance FROM account WHERE id = ?",
                                 {client::TextValue(account)}));
    if (!found.ok()) return found.status();
    balance = found->rows.empty() ? 0 : found->rows[0].values[0].integer;
    return absl::OkStatus();
  });
  CONCORDAT_CHECK(result.committed()) << result;
  return balance;
}

}  // namespace concordat::testing
