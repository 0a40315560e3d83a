// A private MariaDB server in a folder of its own, with a Unix socket and no port.
//
//   MariadbServer server;                          // creates its data, and starts it
//   server.Exec("CREATE DATABASE bank");           // each in a new session
//   Connect(server.Url("bank"));
//   server.Kill();  server.Start();                // as after a crash
//
// Its SQL user is "root", without a password. ServerProcess says which system user runs
// it.
#ifndef TESTS_SUPPORT_MARIADB_SERVER_H_
#define TESTS_SUPPORT_MARIADB_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/processes.h"
#include "tests/support/server_process.h"

namespace concordat::testing {

struct MariadbServerOptions {
  bool binlog = false;
  bool fsync = false;  // not needed: a killed process loses nothing that it has written
  // More options, as "--name=value".
  std::vector<std::string> settings;
};

class MariadbServer {
 public:
  // Whether the programs are installed.
  [[nodiscard]] static bool Available();

  explicit MariadbServer(MariadbServerOptions options = {});
  ~MariadbServer();  // ends it
  MariadbServer(const MariadbServer&) = delete;
  MariadbServer& operator=(const MariadbServer&) = delete;

  // Returns when the server accepts connections.
  void Start();
  void Kill();   // SIGKILL
  void Stop();   // a clean shutdown; prepared branches stay
  void Pause();  // SIGSTOP; returns when all its threads have stopped
  void Resume();
  [[nodiscard]] bool running() const { return pid_ > 0; }
  // Backup() copies the data directory, replacing an earlier copy; Restore() copies it
  // back. The server must be stopped.
  void Backup();
  void Restore();

  // Adds "--name=value"; the next Start uses it.
  void Set(const std::string& setting) { options_.settings.push_back(setting); }

  [[nodiscard]] std::string Url(const std::string& database = "mysql") const {
    return UrlAt(SocketPath(), database);
  }
  // The URL for another socket, such as a proxy's.
  [[nodiscard]] static std::string UrlAt(const std::string& socket,
                                         const std::string& database) {
    return "mysql://root@/" + database + "?socket=" + socket;
  }
  [[nodiscard]] std::string SocketPath() const { return dir_->path() + "/s"; }
  // Runs statements in a new session. Returns the first column of the first row of the
  // last statement that returns rows, or "". The program ends when one fails.
  std::string Exec(const std::string& sql, const std::string& database = "mysql");
  // As Exec, but a failure is returned, as "ERROR number text".
  std::string TryExec(const std::string& sql, const std::string& database = "mysql");
  // Returns one column of all rows of the last statement that returns rows.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "mysql",
                                  unsigned column = 0);
  // The server's log so far.
  [[nodiscard]] std::string Log() const { return process_.Log(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  // False: it ended before it accepted connections.
  [[nodiscard]] bool StartOnce(const std::vector<std::string>& words);
  [[nodiscard]] std::string Query(const std::string& sql, const std::string& database,
                                  unsigned column, std::vector<std::string>* values);

  std::unique_ptr<TempDir> dir_;
  MariadbServerOptions options_;
  ServerProcess process_;
  pid_t pid_ = -1;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_MARIADB_SERVER_H_
