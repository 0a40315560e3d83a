#include "tests/bench/commit/servers.h"

#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/client/operations.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/postgresql_server.h"

namespace concordat::bench {

namespace {

// Fields of /proc/PID/stat behind the name, which may hold anything; the first of them
// is field 3 of proc(5).
std::vector<std::string> StatFields(const std::string& pid) {
  std::ifstream in("/proc/" + pid + "/stat");
  const std::string text{std::istreambuf_iterator<char>(in),
                         std::istreambuf_iterator<char>()};
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream rest(text.substr(name_end + 1));
  std::vector<std::string> fields;
  for (std::string word; rest >> word;) fields.push_back(word);
  return fields;
}

double Ticks(const std::vector<std::string>& fields, size_t proc_field) {
  const size_t at = proc_field - 3;
  return at < fields.size() ? std::atof(fields[at].c_str()) : 0;
}

wire::ExecuteRequest SqlWork(const std::string& sql, Random* random, int64_t delta) {
  wire::ExecuteRequest work;
  work.__isset.sql = true;
  work.sql.push_back(client::Sql(
      sql, {client::IntegerValue(delta), client::TextValue(AccountName(random))}));
  return work;
}

class PostgresqlServers final : public Servers {
 public:
  PostgresqlServers() {
    for (int i = 0; i < 2; ++i) {
      testing::PostgresqlServerOptions options;
      options.fsync = true;
      options.max_prepared_transactions = 256;
      options.settings = {"shared_buffers = 128MB"};
      servers_.push_back(std::make_unique<testing::PostgresqlServer>(options));
      servers_.back()->Exec(
          "CREATE TABLE accounts(id text PRIMARY KEY, balance bigint NOT NULL);"
          "INSERT INTO accounts SELECT 'account-' || n, 0 FROM "
          "generate_series(0, 99999) n");
      servers_.back()->Exec("VACUUM ANALYZE accounts");
      CONCORDAT_CHECK(participant::RunPostgresqlInit(servers_.back()->Url()).ok());
    }
  }

  std::vector<std::string> urls() const override {
    return {servers_[0]->Url(), servers_[1]->Url()};
  }
  MakeWork work() const override {
    return [](Random* random, int64_t delta) {
      return SqlWork("UPDATE accounts SET balance = balance + $1 WHERE id = $2", random,
                     delta);
    };
  }
  Figures RunByHand(ByHand words) const override {
    words.urls = urls();
    return RunPostgresqlByHand(words);
  }
  CpuSeconds Cpu() const override {
    // Sessions that have just ended count once their parent has noticed.
    usleep(300'000);
    return {{"server-1", TreeCpuSeconds(servers_[0]->pid())},
            {"server-2", TreeCpuSeconds(servers_[1]->pid())}};
  }

 private:
  std::vector<std::unique_ptr<testing::PostgresqlServer>> servers_;
};

class MariadbServers final : public Servers {
 public:
  explicit MariadbServers(bool binlog) {
    for (int i = 0; i < 2; ++i) {
      testing::MariadbServerOptions options;
      options.fsync = true;
      options.binlog = binlog;
      options.settings = {"--innodb-buffer-pool-size=128M", "--max-connections=200"};
      servers_.push_back(std::make_unique<testing::MariadbServer>(options));
      servers_.back()->Exec("CREATE DATABASE bank");
      servers_.back()->Exec(
          "CREATE TABLE accounts(id varchar(40) PRIMARY KEY, balance bigint NOT NULL);"
          "INSERT INTO accounts SELECT CONCAT('account-', seq), 0 FROM seq_0_to_99999",
          "bank");
      CONCORDAT_CHECK(participant::RunMariadbInit(servers_.back()->Url("bank")).ok());
    }
  }

  std::vector<std::string> urls() const override {
    return {servers_[0]->Url("bank"), servers_[1]->Url("bank")};
  }
  MakeWork work() const override {
    return [](Random* random, int64_t delta) {
      return SqlWork("UPDATE accounts SET balance = balance + ? WHERE id = ?", random,
                     delta);
    };
  }
  Figures RunByHand(ByHand words) const override {
    words.urls = {servers_[0]->SocketPath(), servers_[1]->SocketPath()};
    return RunMariadbByHand(words);
  }
  CpuSeconds Cpu() const override {
    return {{"server-1", TreeCpuSeconds(servers_[0]->pid())},
            {"server-2", TreeCpuSeconds(servers_[1]->pid())}};
  }

 private:
  std::vector<std::unique_ptr<testing::MariadbServer>> servers_;
};

}  // namespace

double TreeCpuSeconds(pid_t pid) {
  // proc(5): 4 ppid, 14 utime, 15 stime, 16 cutime, 17 cstime.
  const std::vector<std::string> top = StatFields(absl::StrCat(pid));
  double ticks = Ticks(top, 14) + Ticks(top, 15) + Ticks(top, 16) + Ticks(top, 17);
  DIR* proc = opendir("/proc");
  CONCORDAT_CHECK(proc != nullptr);
  while (const dirent* entry = readdir(proc)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    const std::vector<std::string> fields = StatFields(entry->d_name);
    if (static_cast<pid_t>(Ticks(fields, 4)) != pid) continue;
    ticks += Ticks(fields, 14) + Ticks(fields, 15);
  }
  closedir(proc);
  return ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

std::unique_ptr<Servers> StartServers(const std::string& database) {
  if (database == "postgresql") return std::make_unique<PostgresqlServers>();
  if (database == "mariadb") return std::make_unique<MariadbServers>(false);
  if (database == "mariadb-binlog") return std::make_unique<MariadbServers>(true);
  return nullptr;
}

}  // namespace concordat::bench
