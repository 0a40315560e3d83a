// Tests what becomes of a branch when the connection, the server or the process is lost
// during a verb. Three hooks stop a session at the place that a test wants:
//   - a proxy holds the answers back: the verb is done, and nobody learns of it;
//   - a lock on the evidence table: the statement before XA PREPARE waits;
//   - FLUSH TABLES WITH READ LOCK: XA COMMIT waits.
// The tests run with the binary log off and on.
#ifndef TESTS_UNIT_MARIADB_LOST_FIXTURE_H_
#define TESTS_UNIT_MARIADB_LOST_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/support/socket_proxy.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {

using wire::Code;

class LostTest : public MariadbTest, public ::testing::WithParamInterface<bool> {
 protected:
  static constexpr char kUpdate[] = "UPDATE account SET balance=balance-5 WHERE id=1";

  LostTest() {
    UseServer(&OwnServer());
    proxy_ = std::make_unique<testing::SocketProxy>(server().SocketPath());
    Reopen();
  }
  ~LostTest() override { Close(); }
  static void TearDownTestSuite() {
    for (auto& server : own_) server.reset();
  }

  // There is one server for each setting of the binary log.
  static testing::MariadbServer& OwnServer() {
    std::unique_ptr<testing::MariadbServer>& server = own_[GetParam() ? 1 : 0];
    if (server == nullptr) {
      testing::MariadbServerOptions options;
      options.binlog = GetParam();
      // Nothing is flushed unless a statement flushes it.
      options.settings = {"--innodb-flush-log-at-timeout=2700"};
      server = std::make_unique<testing::MariadbServer>(options);
    }
    return *server;
  }
  // All connections of the manager go through the proxy.
  void Reopen(Duration patience = Duration::Seconds(5)) {
    MariadbOptions options = Options();
    options.settle_patience = patience;
    ReopenWith(std::move(options));
  }
  void ReopenWith(MariadbOptions options) {
    const auto recovered = TryOpenAt(
        testing::MariadbServer::UrlAt(proxy_->path(), Database()), std::move(options));
    ASSERT_TRUE(recovered.ok()) << recovered.status();
    recovered_ = *recovered;
  }
  // The work session's, once there is one; for hooks that need it idle.
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }
  bool Waits(const std::string& state) {
    return Eventually([&] {
      return Sql(absl::StrCat("SELECT COUNT(*) FROM information_schema.processlist WHERE "
                              "db='",
                              Database(), "' AND state LIKE '%", state, "%'")) != "0";
    });
  }
  uint64_t Flushes() {
    return std::stoull(
        Sql("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE "
            "VARIABLE_NAME='COM_FLUSH'"));
  }
  // Waits until the verb is done on the server, as `done` finds out, and then cuts the
  // connection.
  void CutWhen(const std::function<bool()>& done) {
    EXPECT_TRUE(Eventually(done));
    proxy_->Disconnect();
  }

  // A session that holds a lock until it is destroyed.
  class Hold {
   public:
    Hold(LostTest* test, const std::string& lock)
        : test_(test),
          thread_([test, lock] { (void)test->TrySql(lock + "; SELECT SLEEP(60)"); }) {
      EXPECT_TRUE(test->Waits("User sleep"));
      id_ = test->Sql(
          "SELECT id FROM information_schema.processlist WHERE state='User sleep'");
    }
    ~Hold() {
      if (test_->server().running()) test_->KillSession(id_);
      thread_.join();
    }

   private:
    LostTest* const test_;
    std::thread thread_;
    std::string id_;
  };
  static constexpr char kEvidence[] = "LOCK TABLES concordat.branches WRITE";
  static constexpr char kCommits[] = "FLUSH TABLES WITH READ LOCK";

  std::unique_ptr<testing::SocketProxy> proxy_;

 private:
  inline static std::unique_ptr<testing::MariadbServer> own_[2];
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_MARIADB_LOST_FIXTURE_H_
