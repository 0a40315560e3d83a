// Tests what becomes of a branch when the connection, the server or the process is lost
// during a verb. Two hooks stop a backend at the place that a test wants:
//   - a synchronous standby that does not exist: PREPARE, COMMIT and COMMIT PREPARED are
//     done and on disk, and wait for the standby before they answer;
//   - a lock on the evidence table: the statement before them waits.
#ifndef TESTS_UNIT_POSTGRESQL_LOST_FIXTURE_H_
#define TESTS_UNIT_POSTGRESQL_LOST_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/socket_proxy.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {

using wire::Code;

class LostTest : public PostgresqlTest {
 protected:
  static constexpr char kUpdate[] = "UPDATE account SET balance=balance-5 WHERE id=1";

  LostTest() {
    UseServer(&OwnServer());
    Sql("CREATE TABLE IF NOT EXISTS probe(x int)");
    Open();
  }
  ~LostTest() override {
    if (server().running()) AnswersFlow(true);
    Close();
  }

  // Shared by these tests only, because its settings change.
  static testing::PostgresqlServer& OwnServer() {
    if (own_ == nullptr) {
      testing::PostgresqlServerOptions options;
      options.max_prepared_transactions = 10;
      own_ = std::make_unique<testing::PostgresqlServer>(options);
    }
    return *own_;
  }
  static void TearDownTestSuite() { own_.reset(); }

  // False: PREPARE and the commits are done, and not answered.
  void AnswersFlow(bool flow) {
    server().Set("synchronous_standby_names", flow ? "''" : "'nobody'");
    if (!server().running()) return;
    Sql("SELECT pg_reload_conf()");
    // The setting's name is the server's own; the backends read it after the signal.
    EXPECT_TRUE(Eventually(
        [&] { return Sql("SHOW synchronous_standby_names") == (flow ? "" : "nobody"); }));
    // Commits wait only once the checkpointer has read the setting too.
    if (flow) return;
    EXPECT_TRUE(Eventually([&] { return ACommitWaits(); }));
  }
  bool ACommitWaits() {
    std::atomic<bool> over = false;
    bool waits = false;
    std::thread commit([&] {
      (void)TrySql("INSERT INTO probe VALUES(1)");
      over = true;
    });
    Eventually([&] {
      waits = Sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event='SyncRep' AND "
                  "query LIKE 'INSERT INTO probe%'") == "1";
      return waits || over;
    });
    Sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE "
        "'INSERT INTO probe%' AND pid<>pg_backend_pid()");
    commit.join();
    return waits;
  }
  // Waits for a backend of the resource that waits for the event. Returns its pid.
  std::string Waiting(const std::string& event) {
    std::string pid;
    EXPECT_TRUE(Eventually([&] {
      pid = Sql("SELECT pid FROM pg_stat_activity WHERE wait_event='" + event +
                "' AND application_name LIKE 'concordat%'");
      return !pid.empty();
    })) << event;
    return pid;
  }
  void Terminate(const std::string& pid) {
    Sql("SELECT pg_terminate_backend(" + pid + ")");
  }
  // All connections of the manager go through the proxy.
  void OpenThrough(testing::SocketProxy* proxy) {
    Close();
    OpenAt("postgresql://postgres@/" + Database() + "?host=" + proxy->folder());
  }
  std::string Balance() { return Sql("SELECT balance FROM account WHERE id=1"); }

  // Locks the evidence table until it is destroyed.
  class EvidenceLock {
   public:
    explicit EvidenceLock(LostTest* test)
        : test_(test), thread_([test] {
            (void)test->TrySql(
                "BEGIN; LOCK TABLE concordat.branches IN EXCLUSIVE MODE; "
                "SELECT pg_sleep(60)");
          }) {
      EXPECT_TRUE(Eventually([&] {
        return test->Sql(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event='PgSleep'") ==
               "1";
      }));
    }
    ~EvidenceLock() {
      if (test_->server().running()) {
        (void)test_->TrySql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE "
            "'%pg_sleep(60)%' AND pid<>pg_backend_pid()");
      }
      thread_.join();
    }

   private:
    LostTest* const test_;
    std::thread thread_;
  };

 private:
  inline static std::unique_ptr<testing::PostgresqlServer> own_;
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_POSTGRESQL_LOST_FIXTURE_H_
