// Many branches run at once while backends are ended and the server is killed. Each
// branch moves money and writes its name into a ledger. Afterwards the ledger has exactly
// the branches that were reported as committed, and no money is lost.
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>

#include "tests/unit/postgresql/support.h"
// Of the above:
#include "tests/support/database_tests/chaos_workers.h"

namespace concordat::participant {
namespace {

class ChaosTest : public ChaosWorkers {
 protected:
  ChaosTest() : own_(std::make_unique<testing::PostgresqlServer>()) {
    UseServer(own_.get());
    // Few branches wait for each other, so that most of the time is spent in PREPARE and
    // COMMIT.
    Sql("CREATE TABLE ledger(branch text PRIMARY KEY);"
        "INSERT INTO account SELECT i, 100 FROM generate_series(11,300) i");
    DatabaseOptions options = Options();
    options.settle_patience = Duration::Millis(300);
    options.lock_wait = Duration::Millis(500);
    Open(options);
  }
  ~ChaosTest() override { UseServerAsItIs(&SharedServer()); }

  std::unique_ptr<testing::PostgresqlServer> own_;
};

TEST_F(ChaosTest, Scenario27_BackendsEndedAllTheTime_TheBooksAgree) {
  Work([this] {
    // Goes on until the rare case was reached a few times and enough was committed
    // besides.
    const double begin = testing::NowSeconds();
    const auto enough = [&] {
      MutexLock lock(&mutex_);
      return testing::NowSeconds() > begin + 1.5 && manager().Stats().lost_ends >= 3 &&
             committed_.size() > 50;
    };
    while (!enough() && testing::NowSeconds() < begin + 240) {
      (void)AwaitEnds(3);
      (void)TrySql(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
          "application_name LIKE 'concordat%' ORDER BY state='active' DESC, random() "
          "LIMIT 1");
    }
  });
  EXPECT_GT(committed_.size(), 50u);
  EXPECT_GT(failed_.load(), 5);
  CheckBooks();
}

TEST_F(ChaosTest, Scenario25_ServerKilledAgainAndAgain_TheBooksAgree) {
  Work([this] {
    const auto enough = [this] {
      MutexLock lock(&mutex_);
      return manager().Stats().lost_ends > 0 && committed_.size() > 50;
    };
    for (int i = 0; i < 6 || (i < 60 && !enough()); ++i) {
      EXPECT_TRUE(AwaitCommits(9));
      SleepMs(37 * (i % 6));
      if (i % 3 != 0) {
        // Kills one backend, whatever it is doing. The server then ends all others, and
        // recovers.
        const std::string pid = TrySql(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE "
            "'concordat%' ORDER BY random() LIMIT 1");
        if (std::atoi(pid.c_str()) > 0) kill(std::stoi(pid), SIGKILL);
        continue;
      }
      server().Kill();
      SleepMs(50);
      server().Start();
    }
    EXPECT_TRUE(Eventually([this] { return TrySql("SELECT 1") == "1"; }));
    SleepMs(200);
  });
  EXPECT_GT(committed_.size(), 50u);
  CheckBooks();
}

}  // namespace
}  // namespace concordat::participant
