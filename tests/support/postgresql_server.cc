#include "tests/support/postgresql_server.h"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

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

void Nap() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

// Ends with SIGQUIT, PostgreSQL's "immediate" shutdown, when the test ends: a killed
// postmaster would leave its shared memory behind.
void BecomeServer(uid_t uid, gid_t gid, const std::string& log, pid_t parent) {
  const int fd = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(fd, STDOUT_FILENO);
  dup2(fd, STDERR_FILENO);
  if (getuid() == 0 &&
      (setgroups(0, nullptr) != 0 || setgid(gid) != 0 || setuid(uid) != 0)) {
    _exit(126);
  }
  // Changing the user clears it, so it comes last.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(1);
  if (chdir("/") != 0) _exit(126);
}

}  // namespace

bool PostgresqlServer::Available() {
  return access((std::string(kBin) + "postgres").c_str(), X_OK) == 0;
}

PostgresqlServer::PostgresqlServer(PostgresqlServerOptions options)
    // The path of a socket has 107 bytes at most.
    : dir_(std::make_unique<TempDir>("/tmp")),
      data_(dir_->path() + "/data"),
      options_(std::move(options)) {
  CONCORDAT_CHECK(Available()) << "install postgresql-15";
  if (getuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr) user = getpwnam("nobody");
    CONCORDAT_CHECK(user != nullptr) << "no user to run the server as";
    uid_ = user->pw_uid;
    gid_ = user->pw_gid;
    CONCORDAT_CHECK(chown(dir_->path().c_str(), uid_, gid_) == 0);
  }
  Run({std::string(kBin) + "initdb", "--no-sync", "--no-instructions", "-A", "trust",
       "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", data_});
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
  // "Immediate": without a checkpoint, but it leaves no shared memory behind.
  kill(pid_, SIGCONT);
  kill(pid_, SIGQUIT);
  waitpid(pid_, nullptr, 0);
}

pid_t PostgresqlServer::Spawn(const std::vector<std::string>& words,
                              const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : words) {
    arguments.push_back(const_cast<char*>(word.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  CONCORDAT_CHECK(pid >= 0) << "fork failed";
  if (pid > 0) return pid;
  BecomeServer(uid_, gid_, log, parent);
  execv(arguments[0], arguments.data());
  _exit(127);
}

void PostgresqlServer::Run(const std::vector<std::string>& words) {
  const pid_t pid = Spawn(words, dir_->path() + "/log");
  int status = 0;
  waitpid(pid, &status, 0);
  CONCORDAT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0)
      << words[0] << ": " << Log();
}

void PostgresqlServer::Start() {
  CONCORDAT_CHECK(pid_ < 0) << "it runs";
  const double end = NowSeconds() + kStartSeconds;
  while (true) {
    // After a crash its children may hold the shared memory for a moment longer, and the
    // new server refuses to start.
    pid_ = Spawn({std::string(kBin) + "postgres", "-D", data_}, dir_->path() + "/log");
    while (true) {
      if (PQping(Url().c_str()) == PQPING_OK) return;
      CONCORDAT_CHECK(NowSeconds() < end) << "it does not start: " << Log();
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) break;
      Nap();
    }
    Nap();
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

std::string PostgresqlServer::Log() const {
  std::ifstream in(dir_->path() + "/log");
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

}  // namespace concordat::testing
