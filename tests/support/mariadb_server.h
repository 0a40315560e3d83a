// A private MariaDB server in a folder of its own: sockets only, nobody else's.
//
//   MariadbServer server;                          // installed, and started
//   server.Exec("CREATE DATABASE bank");           // a session of its own each time
//   Connect(server.Url("bank"));
//   server.Kill();  server.Start();                // as after a crash
//
// Its user is "root", without a password. See ServerProcess for the system's.
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
  // A killed process loses nothing that it has written.
  bool fsync = false;
  // Further "--name=value".
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

  // Returns when it takes connections.
  void Start();
  void Kill();   // SIGKILL
  void Stop();   // a clean shutdown; prepared branches stay
  void Pause();  // nothing of it runs any more when this returns
  void Resume();
  [[nodiscard]] bool running() const { return pid_ > 0; }
  // A copy of the data directory, of which there is one; and back. While it is stopped.
  void Backup();
  void Restore();

  // Adds "--name=value"; the next Start uses it.
  void Set(const std::string& setting) { options_.settings.push_back(setting); }

  [[nodiscard]] std::string Url(const std::string& database = "mysql") const {
    return UrlAt(SocketPath(), database);
  }
  // By another socket: a proxy's.
  [[nodiscard]] static std::string UrlAt(const std::string& socket,
                                         const std::string& database) {
    return "mysql://root@/" + database + "?socket=" + socket;
  }
  [[nodiscard]] std::string SocketPath() const { return dir_->path() + "/s"; }
  // Runs statements in a session of their own. The first column of the first row of the
  // last one that gives rows, or "". The program ends when they fail.
  std::string Exec(const std::string& sql, const std::string& database = "mysql");
  // As Exec, but a failure is returned, as "ERROR number text".
  std::string TryExec(const std::string& sql, const std::string& database = "mysql");
  // All rows of a column of the last statement that gives any.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "mysql",
                                  unsigned column = 0);
  // What the server has logged so far.
  [[nodiscard]] std::string Log() const { return process_.Log(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  // False: it has ended before it took connections.
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
