// Many branches run at once while sessions are killed and the server is killed. Each
// branch moves money and writes its name into a ledger. Afterwards the ledger has exactly
// the branches that were reported as committed, and no money is lost.
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/mariadb/support.h"
// Of the above:
#include "tests/support/database_tests/chaos_workers.h"

namespace concordat::participant {
namespace {

class ChaosTest : public ChaosWorkers, public ::testing::WithParamInterface<bool> {
 protected:
  ChaosTest() {
    testing::MariadbServerOptions server;
    server.binlog = GetParam();
    own_ = std::make_unique<testing::MariadbServer>(server);
    UseServer(own_.get());
    // Few branches wait for each other, so that most of the time is spent in PREPARE and
    // COMMIT.
    Sql("CREATE TABLE ledger(branch varchar(200) PRIMARY KEY);"
        "INSERT INTO account WITH RECURSIVE n(i) AS (SELECT 11 UNION ALL SELECT i+1 FROM "
        "n "
        "WHERE i<300) SELECT i, 100 FROM n");
    MariadbOptions options = Options();
    options.settle_patience = Duration::Millis(300);
    options.lock_wait = Duration::Seconds(1);
    // A rollback is not flushed, so the branch may be prepared again after a crash. Then
    // it is found, and rolled back again.
    options.scan_interval = Duration::Millis(50);
    on_found_ = [this](std::vector<FoundBranch> found) {
      MutexLock lock(&mutex_);
      for (FoundBranch& item : found) found_.push_back(std::move(item.branch));
    };
    Open(options);
  }
  ~ChaosTest() override { UseServerAsItIs(&SharedServer()); }

  void Meanwhile() override { RollBackFound(); }
  void RollBackFound() {
    std::vector<BranchId> found;
    {
      MutexLock lock(&mutex_);
      found.swap(found_);
      for (const BranchId& branch : found) reported_.insert(ToString(branch));
      for (const BranchId& branch : found) {
        EXPECT_FALSE(committed_.contains(ToString(branch))) << branch;
      }
    }
    for (const BranchId& branch : found) FinishFor(branch, &ChaosTest::Rollback);
  }

  // The prepared branches, and what is answered when they are ended.
  std::string WhatIsLeft() {
    Later<absl::StatusOr<PreparedScan>> scan;
    manager().Scan(scan.callback());
    const auto found = scan.Get();
    std::string all =
        absl::StrCat(found.status().ToString(),
                     ", start: ", manager().Start(NextBranch(), {}).ToString(), ", ",
                     manager().Stats().prepared_here, " prepared at the last look; ");
    if (!found.ok()) return all;
    for (const FoundBranch& item : found->ours) {
      const Evidence evidence = LookUp(item.branch);
      const FinishResult result = Rollback(item.branch);
      absl::StrAppend(&all, ToString(item.branch), " (", std::string(ToString(evidence)),
                      reported_.contains(ToString(item.branch)) ? ", reported): " : "): ",
                      std::string(ToString(result.state)), " ", result.detail, "; ");
    }
    for (const std::string& xid : found->others) absl::StrAppend(&all, xid, "; ");
    return all;
  }

  void CheckBooks() {
    EXPECT_TRUE(Eventually([this] {
      RollBackFound();
      return Prepared().empty();
    })) << WhatIsLeft();
    ChaosWorkers::CheckBooks();
  }

  std::unique_ptr<testing::MariadbServer> own_;
  std::vector<BranchId> found_;
  std::set<std::string> reported_;
  size_t kills_ = 0;
};

TEST_P(ChaosTest, Scenario27_SessionsKilledAllTheTime_TheBooksAgree) {
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
      // Kills a session that is ending a branch, if there is one.
      const std::string id =
          TrySql("SELECT id FROM information_schema.processlist WHERE db='" + Database() +
                 "' AND id<>CONNECTION_ID() AND info LIKE 'XA%' ORDER BY rand() LIMIT 1");
      const std::vector<std::string> all = Sessions();
      if (std::atoi(id.c_str()) > 0) {
        KillSession(id);
      } else if (!all.empty()) {
        KillSession(all[kills_++ % all.size()]);
      }
    }
  });
  EXPECT_GT(committed_.size(), 50u);
  EXPECT_GT(failed_.load(), 5);
  CheckBooks();
}

TEST_P(ChaosTest, Scenario25And33_ServerKilledAgainAndAgain_TheBooksAgree) {
  Work([this] {
    // Goes on until the rare case was reached and enough was committed.
    const auto enough = [this] {
      MutexLock lock(&mutex_);
      return manager().Stats().lost_ends > 0 && committed_.size() > 50;
    };
    for (int i = 0; i < 5 || (i < 60 && !enough()); ++i) {
      EXPECT_TRUE(AwaitCommits(11));
      SleepMs(37 * (i % 6));
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

INSTANTIATE_TEST_SUITE_P(Binlog, ChaosTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "On" : "Off"; });

}  // namespace
}  // namespace concordat::participant
