// A private PostgreSQL server in a folder of its own, with a Unix socket and no port.
//
//   PostgresqlServer server;                       // runs initdb, and starts it
//   server.Exec("CREATE TABLE t(x int)");          // each in a new session
//   Connect(server.Url());
//   server.Kill();  server.Start();                // as after a crash
//
// PostgreSQL refuses to run as root. When the test runs as root, the server runs as the
// package's user "postgres".
#ifndef TESTS_SUPPORT_POSTGRESQL_SERVER_H_
#define TESTS_SUPPORT_POSTGRESQL_SERVER_H_

#include <string>
#include <vector>

#include "tests/support/private_server.h"

namespace concordat::testing {

struct PostgresqlServerOptions {
  int max_prepared_transactions = 64;
  int max_connections = 100;
  bool fsync = false;  // not needed: a killed process loses nothing that it has written
  // More lines of postgresql.conf: "name = value".
  std::vector<std::string> settings;
};

class PostgresqlServer : public PrivateServer {
 public:
  // Whether the programs are installed.
  [[nodiscard]] static bool Available();

  explicit PostgresqlServer(PostgresqlServerOptions options = {});

  // Returns when the server accepts connections.
  void Start();
  // Changes a setting in postgresql.conf; the next Start reads it.
  void Set(const std::string& name, const std::string& value);

  // The next Start() starts it as a standby without a primary.
  void BecomeStandby();

  [[nodiscard]] std::string Url(const std::string& database = "postgres") const {
    return server().UrlOf(database);
  }
  // Runs statements in a new session. Returns the first column of the first row of the
  // last statement, or "". The program ends when one fails.
  std::string Exec(const std::string& sql, const std::string& database = "postgres");
  // As Exec, but a failure is returned, as "ERROR SQLSTATE text".
  std::string TryExec(const std::string& sql, const std::string& database = "postgres");
  // Returns the first column of all rows.
  std::vector<std::string> Column(const std::string& sql,
                                  const std::string& database = "postgres");

 private:
  [[nodiscard]] std::string Configuration() const;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_POSTGRESQL_SERVER_H_
