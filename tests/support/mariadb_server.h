// A private MariaDB server in a folder of its own, with a Unix socket and no port.
//
//   MariadbServer server;                          // creates its data, and starts it
//   server.Exec("CREATE DATABASE bank");           // each in a new session
//   Connect(server.Url("bank"));
//   server.Kill();  server.Start();                // as after a crash
//
// Its SQL user is "root", without a password. When the test runs as root, the server runs
// as the package's user "mysql".
#ifndef TESTS_SUPPORT_MARIADB_SERVER_H_
#define TESTS_SUPPORT_MARIADB_SERVER_H_

#include <string>
#include <vector>

#include "tests/support/private_server.h"

namespace concordat::testing {

struct MariadbServerOptions {
  bool binlog = false;
  bool fsync = false;  // not needed: a killed process loses nothing that it has written
  // More options, as "--name=value".
  std::vector<std::string> settings;
};

class MariadbServer : public PrivateServer {
 public:
  // Whether the programs are installed.
  [[nodiscard]] static bool Available();

  explicit MariadbServer(MariadbServerOptions options = {});

  // Returns when the server accepts connections.
  void Start();

  // Adds "--name=value"; the next Start uses it.
  void Set(const std::string& setting) { options_.settings.push_back(setting); }

  [[nodiscard]] std::string Url(const std::string& database = "mysql") const {
    return server().UrlOf(database);
  }
  // The URL for another socket, such as a proxy's.
  [[nodiscard]] static std::string UrlAt(const std::string& socket,
                                         const std::string& database) {
    return "mysql://root@/" + database + "?socket=" + socket;
  }
  // Runs statements in a new session. Returns the first column of the first row of the
  // last statement that returns rows, or "". The program ends when one fails.
  std::string Exec(const std::string& sql, const std::string& database = "mysql");
  // As Exec, but a failure is returned, as "ERROR number text".
  std::string TryExec(const std::string& sql, const std::string& database = "mysql");
  // Returns one column of all rows of the last statement that returns rows.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "mysql",
                                  unsigned column = 0);

 private:
  [[nodiscard]] std::string Query(const std::string& sql, const std::string& database,
                                  unsigned column, std::vector<std::string>* values);

  MariadbServerOptions options_;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_MARIADB_SERVER_H_
