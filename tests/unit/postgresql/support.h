// A PostgreSQL server for all tests of the program, a database for each test, and calls
// that wait for their answers.
//
// The server is started when it is first needed.
#ifndef TESTS_UNIT_POSTGRESQL_SUPPORT_H_
#define TESTS_UNIT_POSTGRESQL_SUPPORT_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "tests/support/manager_calls.h"
#include "tests/support/postgresql_server.h"

namespace concordat::participant {

// That server.
testing::PostgresqlServer& SharedServer();
// Stops it if it was started.
void EndSharedServer();

class PostgresqlTest : public ManagerCalls {
 protected:
  static constexpr char kResource[] = "bank-a";

  PostgresqlTest();
  // Fails if there is a prepared transaction that is not in expected_left_.
  ~PostgresqlTest() override;

  // For a test with a server of its own. Creates the test's database there.
  void UseServer(testing::PostgresqlServer* server);
  // For a server that has the test's database already.
  void UseServerAsItIs(testing::PostgresqlServer* server) {
    Close();
    server_ = server;
  }
  [[nodiscard]] testing::PostgresqlServer& server() { return *server_; }
  [[nodiscard]] const std::string& Database() const { return database_; }
  [[nodiscard]] std::string Url() { return server_->Url(database_); }
  std::string Sql(const std::string& sql) { return server_->Exec(sql, database_); }
  std::string TrySql(const std::string& sql) { return server_->TryExec(sql, database_); }

  [[nodiscard]] DatabaseOptions Options() const;
  // Opens a new manager, as after a restart of its process: with a new incarnation.
  void Open() { Open(Options()); }
  void Open(DatabaseOptions options);
  // The same at another address of the database.
  void OpenAt(const std::string& url);
  [[nodiscard]] std::string UrlOf(const std::string& role);
  // Creates a role that may log in, serve the resource and use the table `account`. It is
  // dropped when the test ends.
  void MakeRole(const std::string& role);
  // Serves the resource under such a role, with one connection for branches.
  void OpenAs(const std::string& role);
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> TryOpen(DatabaseOptions options);
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> TryOpenAt(const std::string& url,
                                                                DatabaseOptions options);
  void Close() { manager_.reset(); }
  [[nodiscard]] DatabaseResourceManager& manager() { return *manager_; }

  [[nodiscard]] static std::string Gid(const BranchId& branch) {
    return XidText(MakeXid(kCluster, branch));
  }
  // The branch's name in Prepared().
  [[nodiscard]] static std::string NameOf(const BranchId& branch) { return Gid(branch); }
  // The prepared transactions in the test's database.
  [[nodiscard]] std::vector<std::string> Prepared();
  [[nodiscard]] std::string EvidenceRows() {
    return Sql("SELECT count(*) FROM concordat.branches");
  }
  // The server's backend that works for the branch with this many open transactions.
  [[nodiscard]] std::string WorkBackend();
  void TerminateAllBackends();

  // Gids that may be left when the test ends; they are rolled back.
  std::vector<std::string> expected_left_;
  std::vector<BranchId> recovered_;
  // Set before Open: is called with what the manager finds (OnFound). Null: nothing is.
  FoundCallback on_found_;

 private:
  std::vector<std::string> roles_;
  testing::PostgresqlServer* server_ = nullptr;
  std::string database_;
  std::unique_ptr<DatabaseResourceManager> manager_;
};

// For tests/support/database_tests.
using DatabaseTest = PostgresqlTest;
using TestedOptions = DatabaseOptions;
using DatabaseServer = testing::PostgresqlServer;
inline constexpr char kParameter[] = "$1";

}  // namespace concordat::participant

#endif  // TESTS_UNIT_POSTGRESQL_SUPPORT_H_
