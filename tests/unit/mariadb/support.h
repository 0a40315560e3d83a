// A MariaDB server for all tests of the program, a database and a resource's name for
// each test, and calls that wait for their answers.
#ifndef TESTS_UNIT_MARIADB_SUPPORT_H_
#define TESTS_UNIT_MARIADB_SUPPORT_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/xid.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "tests/support/manager_calls.h"
#include "tests/support/mariadb_server.h"

namespace concordat::participant {

// That server, which is started when it is first needed. It has no binary log.
testing::MariadbServer& SharedServer();
// Stops it if it was started.
void EndSharedServer();

class MariadbTest : public ManagerCalls {
 protected:
  MariadbTest();
  // Fails if there is a prepared branch of the test that is not in expected_left_.
  ~MariadbTest() override;

  // For a test with a server of its own. Creates the test's database there.
  void UseServer(testing::MariadbServer* server);
  // For a server that has the test's database already.
  void UseServerAsItIs(testing::MariadbServer* server) {
    Close();
    server_ = server;
  }
  [[nodiscard]] testing::MariadbServer& server() { return *server_; }
  [[nodiscard]] const std::string& Database() const { return database_; }
  [[nodiscard]] std::string Url() { return server_->Url(database_); }
  std::string Sql(const std::string& sql) { return server_->Exec(sql, database_); }
  std::string TrySql(const std::string& sql) { return server_->TryExec(sql, database_); }

  [[nodiscard]] MariadbOptions Options() const;
  // Opens a new manager, as after a restart of its process: with a new incarnation.
  void Open() { Open(Options()); }
  void Open(MariadbOptions options);
  // The same at another address of the database.
  void OpenAt(const std::string& url);
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> TryOpen(MariadbOptions options);
  [[nodiscard]] absl::StatusOr<std::vector<BranchId>> TryOpenAt(const std::string& url,
                                                                MariadbOptions options);
  void Close() { manager_.reset(); }
  [[nodiscard]] DatabaseResourceManager& manager() { return *manager_; }

  // The branch's xid as XA COMMIT takes it and XA RECOVER FORMAT='SQL' shows it.
  [[nodiscard]] static std::string XidOf(const BranchId& branch);
  [[nodiscard]] static std::string XidOf(const Xid& xid);
  // The branch's name in Prepared().
  [[nodiscard]] static std::string NameOf(const BranchId& branch) {
    return XidOf(branch);
  }
  // The prepared branches of the test's resource.
  [[nodiscard]] std::vector<std::string> Prepared();
  [[nodiscard]] std::string EvidenceRows();
  // The ids of the sessions of the test's resource, in their order.
  [[nodiscard]] std::vector<std::string> Sessions();
  // The session that is in a transaction that is not prepared.
  [[nodiscard]] std::string WorkSession();
  void KillSession(const std::string& id) { (void)TrySql("KILL CONNECTION " + id); }
  void KillAllSessions();

  // Xids that may be left when the test ends; they are rolled back.
  std::vector<std::string> expected_left_;
  std::vector<BranchId> recovered_;
  FoundCallback on_found_;

 private:
  testing::MariadbServer* server_ = nullptr;
  std::string database_;
  std::unique_ptr<DatabaseResourceManager> manager_;
};

// For tests/support/database_tests.
using DatabaseTest = MariadbTest;
using TestedOptions = MariadbOptions;
using DatabaseServer = testing::MariadbServer;
inline constexpr char kParameter[] = "?";

}  // namespace concordat::participant

#endif  // TESTS_UNIT_MARIADB_SUPPORT_H_
