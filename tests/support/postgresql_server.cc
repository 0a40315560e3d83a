#include "tests/support/postgresql_server.h"

#include <libpq-fe.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

constexpr char kBin[] = "/usr/lib/postgresql/15/bin/";
constexpr double kStartSeconds = 60;

struct Close {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Session = std::unique_ptr<PGconn, Close>;
using Answer = std::unique_ptr<PGresult, Close>;

}  // namespace

bool PostgresqlServer::Available() {
  return access((std::string(kBin) + "postgres").c_str(), X_OK) == 0;
}

PostgresqlServer::PostgresqlServer(PostgresqlServerOptions options)
    // The path of a Unix socket may have at most 107 bytes.
    : dir_(std::make_unique<TempDir>("/tmp")),
      data_(dir_->path() + "/data"),
      options_(std::move(options)),
      // "Immediate" shutdown: a killed postmaster would not remove its shared memory.
      process_("postgres", dir_->path() + "/log", SIGQUIT) {
  CONCORDAT_CHECK(Available()) << "install postgresql-15";
  process_.Own(dir_->path());
  process_.Run({std::string(kBin) + "initdb", "--no-sync", "--no-instructions", "-A",
                "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", data_});
  std::ofstream conf(data_ + "/postgresql.conf", std::ios::app);
  conf << "\nlisten_addresses = ''\nunix_socket_directories = '" << dir_->path() << "'\n"
       << "max_prepared_transactions = " << options_.max_prepared_transactions << "\n"
       << "max_connections = " << options_.max_connections << "\n"
       << "fsync = " << (options_.fsync ? "on" : "off") << "\n"
       << "shared_buffers = 16MB\nlog_min_messages = warning\n"
       << "log_line_prefix = '%m [%p] %a '\n";
  for (const std::string& line : options_.settings) conf << line << "\n";
  conf.close();
  Start();
}

PostgresqlServer::~PostgresqlServer() {
  if (pid_ <= 0) return;
  // "Immediate": without a checkpoint, but the shared memory is removed.
  kill(pid_, SIGCONT);
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
}

void PostgresqlServer::Start() {
  CONCORDAT_CHECK(pid_ < 0) << "it runs";
  const double end = NowSeconds() + kStartSeconds;
  while (true) {
    // After a crash the old server's children may keep the shared memory for a moment;
    // until then the new server refuses to start.
    pid_ = process_.Spawn({std::string(kBin) + "postgres", "-D", data_});
    while (true) {
      if (PQping(Url().c_str()) == PQPING_OK) return;
      CONCORDAT_CHECK(NowSeconds() < end) << "it does not start: " << Log();
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
      SleepMs(5);
    }
    SleepMs(5);
  }
}

void PostgresqlServer::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresqlServer::Stop() {
  kill(pid_, SIGCONT);
  kill(pid_, SIGINT);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void PostgresqlServer::Backup() {
  CONCORDAT_CHECK(!running()) << "it writes to what is copied";
  process_.Run({"/bin/rm", "-rf", dir_->path() + "/backup"});
  process_.Run({"/bin/cp", "-a", data_, dir_->path() + "/backup"});
}

void PostgresqlServer::Restore() {
  CONCORDAT_CHECK(!running()) << "it writes to what is replaced";
  process_.Run({"/bin/rm", "-rf", data_});
  process_.Run({"/bin/cp", "-a", dir_->path() + "/backup", data_});
}

void PostgresqlServer::Pause() { kill(pid_, SIGSTOP); }
void PostgresqlServer::Resume() { kill(pid_, SIGCONT); }

void PostgresqlServer::Set(const std::string& name, const std::string& value) {
  std::ofstream(data_ + "/postgresql.conf", std::ios::app)
      << name << " = " << value << "\n";
}

void PostgresqlServer::BecomeStandby() { std::ofstream(data_ + "/standby.signal") << ""; }

std::string PostgresqlServer::Url(const std::string& database) const {
  std::string host;
  for (const char c : dir_->path())
    host += c == '/' ? std::string("%2F") : std::string(1, c);
  return "postgresql://postgres@" + host + "/" + database;
}

std::string PostgresqlServer::TryExec(const std::string& sql,
                                      const std::string& database) {
  const Session session(PQconnectdb(Url(database).c_str()));
  if (PQstatus(session.get()) != CONNECTION_OK) {
    return std::string("ERROR 08000 ") + PQerrorMessage(session.get());
  }
  PQsetNoticeProcessor(
      session.get(), [](void*, const char*) {}, nullptr);
  const Answer answer(PQexec(session.get(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    const char* state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
    return std::string("ERROR ") + (state == nullptr ? "08000" : state) + " " +
           PQresultErrorMessage(answer.get());
  }
  if (PQntuples(answer.get()) == 0) return "";
  return PQgetvalue(answer.get(), 0, 0);
}

std::string PostgresqlServer::Exec(const std::string& sql, const std::string& database) {
  std::string result = TryExec(sql, database);
  CONCORDAT_CHECK(result.rfind("ERROR ", 0) != 0) << sql << ": " << result;
  return result;
}

std::vector<std::string> PostgresqlServer::Column(const std::string& sql,
                                                  const std::string& database) {
  const Session session(PQconnectdb(Url(database).c_str()));
  const Answer answer(PQexec(session.get(), sql.c_str()));
  CONCORDAT_CHECK(PQresultStatus(answer.get()) == PGRES_TUPLES_OK)
      << sql << ": " << PQerrorMessage(session.get());
  std::vector<std::string> values;
  for (int row = 0; row < PQntuples(answer.get()); ++row) {
    values.emplace_back(PQgetvalue(answer.get(), row, 0));
  }
  return values;
}

}  // namespace concordat::testing
