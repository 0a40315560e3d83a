// A private PostgreSQL server in a folder of its own, with a Unix socket and no port.
//
//   PostgresqlServer server;                       // runs initdb, and starts it
//   server.Exec("CREATE TABLE t(x int)");          // each in a new session
//   Connect(server.Url());
//   server.Kill();  server.Start();                // as after a crash
//
// PostgreSQL refuses to run as root. When the test runs as root, the server runs as the
// package's user "postgres", or as "nobody". It is ended by its pid, or with this
// process.
#ifndef TESTS_SUPPORT_POSTGRESQL_SERVER_H_
#define TESTS_SUPPORT_POSTGRESQL_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/processes.h"
#include "tests/support/server_process.h"

namespace concordat::testing {

struct PostgresqlServerOptions {
  int max_prepared_transactions = 64;
  int max_connections = 100;
  bool fsync = false;  // not needed: a killed process loses nothing that it has written
  // More lines of postgresql.conf: "name = value".
  std::vector<std::string> settings;
};

class PostgresqlServer {
 public:
  // Whether the programs are installed.
  [[nodiscard]] static bool Available();

  explicit PostgresqlServer(PostgresqlServerOptions options = {});
  ~PostgresqlServer();  // ends it
  PostgresqlServer(const PostgresqlServer&) = delete;
  PostgresqlServer& operator=(const PostgresqlServer&) = delete;

  // Returns when the server accepts connections.
  void Start();
  void Kill();   // SIGKILL to the postmaster; its children notice it and end
  void Stop();   // "fast": sessions are ended, prepared transactions stay
  void Pause();  // SIGSTOP to the postmaster: no new connections
  void Resume();
  [[nodiscard]] bool running() const { return pid_ > 0; }
  // Backup() copies the data directory, replacing an earlier copy; Restore() copies it
  // back. The server must be stopped.
  void Backup();
  void Restore();

  // Changes a setting in postgresql.conf; the next Start reads it.
  void Set(const std::string& name, const std::string& value);

  // The next Start() starts it as a standby without a primary.
  void BecomeStandby();

  [[nodiscard]] std::string Url(const std::string& database = "postgres") const;
  [[nodiscard]] std::string SocketPath() const { return dir_->path() + "/.s.PGSQL.5432"; }
  // Runs statements in a new session. Returns the first column of the first row of the
  // last statement, or "". The program ends when one fails.
  std::string Exec(const std::string& sql, const std::string& database = "postgres");
  // As Exec, but a failure is returned, as "ERROR SQLSTATE text".
  std::string TryExec(const std::string& sql, const std::string& database = "postgres");
  // Returns the first column of all rows.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "postgres");
  // The server's log so far.
  [[nodiscard]] std::string Log() const { return process_.Log(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  std::unique_ptr<TempDir> dir_;
  std::string data_;
  PostgresqlServerOptions options_;
  ServerProcess process_;
  pid_t pid_ = -1;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_POSTGRESQL_SERVER_H_
