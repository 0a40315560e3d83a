// A private PostgreSQL server in a folder of its own: sockets only, nobody else's.
//
//   PostgresqlServer server;                       // initdb, and started
//   server.Exec("CREATE TABLE t(x int)");          // a session of its own each time
//   Connect(server.Url());
//   server.Kill();  server.Start();                // as after a crash
//
// The server refuses to run as root; then it runs as the user "postgres" of the package,
// or "nobody". It is ended by its pid, and ends with this process.
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
  bool fsync = false;  // a killed process loses nothing that it has written
  // Further lines "name = value".
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

  // Returns when it takes connections.
  void Start();
  void Kill();   // SIGKILL to the postmaster; its children find out and end
  void Stop();   // "fast": sessions are ended, prepared transactions stay
  void Pause();  // SIGSTOP to the postmaster: no new connections
  void Resume();
  [[nodiscard]] bool running() const { return pid_ > 0; }
  // A copy of the data directory, of which there is one; and back. While it is stopped.
  void Backup();
  void Restore();

  // Changes a setting in postgresql.conf; the next Start reads it.
  void Set(const std::string& name, const std::string& value);

  // The next Start is as a standby, without a primary.
  void BecomeStandby();

  [[nodiscard]] std::string Url(const std::string& database = "postgres") const;
  [[nodiscard]] std::string SocketPath() const { return dir_->path() + "/.s.PGSQL.5432"; }
  // Runs statements in a session of their own. The first column of the first row of the
  // last one, or "". The program ends when they fail.
  std::string Exec(const std::string& sql, const std::string& database = "postgres");
  // As Exec, but a failure is returned, as "ERROR SQLSTATE text".
  std::string TryExec(const std::string& sql, const std::string& database = "postgres");
  // All rows of the first column.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "postgres");
  // What the server has logged so far.
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
