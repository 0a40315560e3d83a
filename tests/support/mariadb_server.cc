#include "tests/support/mariadb_server.h"

#include <mysql.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

constexpr char kServer[] = "/usr/sbin/mariadbd";
constexpr char kInstall[] = "/usr/bin/mariadb-install-db";
constexpr double kStartSeconds = 60;
constexpr int kMostStarts = 3;

using Session = std::unique_ptr<MYSQL, void (*)(MYSQL*)>;

std::string ErrorOf(MYSQL* session) {
  return "ERROR " + std::to_string(mysql_errno(session)) + " " + mysql_error(session);
}

}  // namespace

bool MariadbServer::Available() {
  return access(kServer, X_OK) == 0 && access(kInstall, X_OK) == 0;
}

MariadbServer::MariadbServer(MariadbServerOptions options)
    // The path of a Unix socket may have at most 107 bytes.
    : dir_(std::make_unique<TempDir>("/tmp")),
      options_(std::move(options)),
      process_("mysql", dir_->path() + "/log", SIGKILL) {
  CONCORDAT_CHECK(Available()) << "install mariadb-server";
  process_.Own(dir_->path());
  // At its start a server removes everything from its folder for temporary tables, so
  // servers must not share one: they would remove each other's tables.
  process_.Run({kInstall, "--no-defaults", "--auth-root-authentication-method=normal",
                "--skip-test-db", "--datadir=" + dir_->path() + "/data",
                "--tmpdir=" + dir_->path()});
  Start();
}

MariadbServer::~MariadbServer() {
  if (pid_ > 0) Kill();
}

void MariadbServer::Start() {
  CONCORDAT_CHECK(pid_ < 0) << "it runs";
  const std::string& path = dir_->path();
  std::vector<std::string> words = {kServer,
                                    "--no-defaults",
                                    "--datadir=" + path + "/data",
                                    "--socket=" + SocketPath(),
                                    "--pid-file=" + path + "/pid",
                                    "--tmpdir=" + path,
                                    "--skip-networking",
                                    "--character-set-server=utf8mb4",
                                    "--innodb-buffer-pool-size=32M",
                                    "--innodb-log-file-size=8M",
                                    "--innodb-fast-shutdown=1",
                                    "--skip-innodb-buffer-pool-load-at-startup",
                                    "--skip-innodb-buffer-pool-dump-at-shutdown"};
  if (!options_.fsync) words.emplace_back("--innodb-flush-method=nosync");
  if (options_.binlog) {
    words.insert(words.end(), {"--log-bin=" + path + "/data/binlog", "--server-id=1",
                               "--binlog-format=ROW", "--sync-binlog=1"});
  }
  words.insert(words.end(), options_.settings.begin(), options_.settings.end());
  // MariaDB 10.11 may fail an assertion of its own while it recovers from SIGKILL with
  // prepared branches (trx0purge.cc, "tail.trx_no <= last_trx_no"). It must then be
  // started again.
  for (int starts = 1; !StartOnce(words); ++starts) {
    CONCORDAT_CHECK(starts < kMostStarts) << "it does not start: " << Log();
    std::printf("  the server ended by itself in its recovery, and is started again\n");
  }
}

bool MariadbServer::StartOnce(const std::vector<std::string>& words) {
  const double end = NowSeconds() + kStartSeconds;
  pid_ = process_.Spawn(words);
  while (TryExec("SELECT 1") != "1") {
    if (waitpid(pid_, nullptr, WNOHANG) != 0) {
      pid_ = -1;
      return false;
    }
    CONCORDAT_CHECK(NowSeconds() < end) << "it does not start: " << Log();
    SleepMs(5);
  }
  return true;
}

void MariadbServer::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void MariadbServer::Stop() {
  kill(pid_, SIGCONT);
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void MariadbServer::Backup() {
  CONCORDAT_CHECK(!running()) << "it writes to what is copied";
  process_.Run({"/bin/rm", "-rf", dir_->path() + "/backup"});
  process_.Run({"/bin/cp", "-a", dir_->path() + "/data", dir_->path() + "/backup"});
}

void MariadbServer::Restore() {
  CONCORDAT_CHECK(!running()) << "it writes to what is replaced";
  process_.Run({"/bin/rm", "-rf", dir_->path() + "/data"});
  process_.Run({"/bin/cp", "-a", dir_->path() + "/backup", dir_->path() + "/data"});
}

// On a busy machine threads run on for a moment after the signal; waits until all have
// stopped.
void MariadbServer::Pause() {
  kill(pid_, SIGSTOP);
  siginfo_t stopped;
  const auto pid = static_cast<id_t>(pid_);
  CONCORDAT_CHECK(waitid(P_PID, pid, &stopped, WSTOPPED) == 0) << "it is not stopped";
}
void MariadbServer::Resume() { kill(pid_, SIGCONT); }

std::string MariadbServer::Query(const std::string& sql, const std::string& database,
                                 unsigned column, std::vector<std::string>* values) {
  const Session session(mysql_init(nullptr), mysql_close);
  mysql_options(session.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(session.get(), nullptr, "root", nullptr, database.c_str(), 0,
                         SocketPath().c_str(), CLIENT_MULTI_STATEMENTS) == nullptr) {
    return ErrorOf(session.get());
  }
  int more = mysql_real_query(session.get(), sql.data(), sql.size());
  while (more == 0) {
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> rows(
        mysql_store_result(session.get()), mysql_free_result);
    if (rows != nullptr) {
      values->clear();
      while (const MYSQL_ROW row = mysql_fetch_row(rows.get())) {
        values->emplace_back(row[column] == nullptr ? "" : row[column]);
      }
    }
    more = mysql_next_result(session.get());
  }
  return more < 0 ? "" : ErrorOf(session.get());
}

std::string MariadbServer::TryExec(const std::string& sql, const std::string& database) {
  std::vector<std::string> values;
  std::string error = Query(sql, database, 0, &values);
  if (!error.empty()) return error;
  return values.empty() ? "" : values[0];
}

std::string MariadbServer::Exec(const std::string& sql, const std::string& database) {
  std::string result = TryExec(sql, database);
  CONCORDAT_CHECK(result.rfind("ERROR ", 0) != 0) << sql << ": " << result;
  return result;
}

std::vector<std::string> MariadbServer::Column(const std::string& sql,
                                               const std::string& database,
                                               unsigned column) {
  std::vector<std::string> values;
  const std::string error = Query(sql, database, column, &values);
  CONCORDAT_CHECK(error.empty()) << sql << ": " << error;
  return values;
}

}  // namespace concordat::testing
