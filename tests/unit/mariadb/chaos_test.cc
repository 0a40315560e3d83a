// Many branches at once while sessions are killed and the server is killed. Each branch
// moves money and writes its name into a ledger: afterwards the ledger is exactly what
// was said to be committed, and no money is gone.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

constexpr int kWorkers = 6;

void SleepMs(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class ChaosTest : public MariadbTest, public ::testing::WithParamInterface<bool> {
 protected:
  ChaosTest() {
    testing::MariadbServerOptions server;
    server.binlog = GetParam();
    own_ = std::make_unique<testing::MariadbServer>(server);
    UseServer(own_.get());
    // Few wait for each other: the time is spent in PREPARE and COMMIT.
    Sql("CREATE TABLE ledger(branch varchar(200) PRIMARY KEY);"
        "INSERT INTO account WITH RECURSIVE n(i) AS (SELECT 11 UNION ALL SELECT i+1 FROM "
        "n "
        "WHERE i<300) SELECT i, 100 FROM n");
    MariadbOptions options = Options();
    options.settle_patience = Duration::Millis(300);
    options.lock_wait = Duration::Seconds(1);
    // A rollback is not flushed: the branch may be there again after a crash, asks, and
    // hears that it is to be rolled back.
    options.scan_interval = Duration::Millis(50);
    on_found_ = [this](std::vector<FoundBranch> found) {
      MutexLock lock(&mutex_);
      for (FoundBranch& item : found) found_.push_back(std::move(item.branch));
    };
    Open(options);
  }
  ~ChaosTest() override { UseServerAsItIs(&SharedServer()); }

  // One branch, to an end that is known. Whether it committed.
  bool RunOne(Random* random) {
    BranchId branch;
    {
      MutexLock lock(&mutex_);
      branch = NextBranch();
    }
    if (!manager().Start(branch, {}).ok()) return SleepMs(5), false;
    const int64_t from = random->Between(1, 300);
    const int64_t to = random->Between(1, 300);
    const bool alone = random->Percent(30);
    const bool prepare = !alone && random->Percent(50);
    const wire::SqlStatement credit =
        Stmt("UPDATE account SET balance=balance+1 WHERE id=?", {Int(to)});
    const bool worked =
        Execute(branch,
                {Stmt("UPDATE account SET balance=balance-1 WHERE id=?", {Int(from)}),
                 Stmt("INSERT INTO ledger VALUES (?)", {Txt(ToString(branch))})})
                .result.code == wire::Code::OK &&
        (prepare ? ExecuteLast(branch, {credit}) : Execute(branch, {credit}))
                .result.code == wire::Code::OK;
    if (!worked) {
      FinishFor(branch, &ChaosTest::Rollback);
      return false;
    }
    const bool committed =
        alone ? CommitAlone(branch) : CommitInTwoPhases(branch, prepare, random);
    MutexLock lock(&mutex_);
    if (committed) committed_.insert(ToString(branch));
    return committed;
  }

  // As a coordinator: again until it is done.
  void FinishFor(const BranchId& branch,
                 FinishResult (ManagerCalls::*verb)(const BranchId&)) {
    while (true) {
      const FinishResult result = (this->*verb)(branch);
      if (result.finish == Finish::kDone) return;
      EXPECT_EQ(result.finish, Finish::kRetry) << branch << ": " << result.detail;
      if (result.finish != Finish::kRetry) return;
      SleepMs(5);
    }
  }

  bool CommitInTwoPhases(const BranchId& branch, bool prepared, Random* random) {
    PrepareResult vote{Vote::kPrepared, ""};
    if (!prepared) vote = Prepare(branch);
    while (vote.vote == Vote::kUnavailable) {
      SleepMs(5);
      vote = Prepare(branch);
    }
    if (vote.vote != Vote::kPrepared) return false;
    const bool commit = random->Percent(80);
    FinishFor(branch, commit ? &ChaosTest::Commit : &ChaosTest::Rollback);
    return commit;
  }

  bool CommitAlone(const BranchId& branch) {
    const OnePhaseResult result = CommitOnePhase(branch);
    if (result.outcome != OnePhase::kUnknown) {
      return result.outcome == OnePhase::kCommitted;
    }
    Evidence evidence = LookUp(branch);
    while (evidence == Evidence::kUnknown) {
      SleepMs(5);
      evidence = LookUp(branch);
    }
    return evidence == Evidence::kCommittedAlone;
  }

  // Runs the workers while `disturb` goes on.
  void Work(const std::function<void()>& disturb) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < kWorkers; ++i) {
      workers.emplace_back([this, &stop, i] {
        Random random(static_cast<uint64_t>(i) + 1);
        while (!stop.load()) {
          if (!RunOne(&random)) ++failed_;
        }
      });
    }
    workers.emplace_back([this, &stop] {
      while (!stop.load()) {
        RollBackFound();
        SleepMs(10);
      }
    });
    disturb();
    stop.store(true);
    for (std::thread& worker : workers) worker.join();
  }

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

  // Of prepared branches, and what is answered for them.
  std::string WhatIsLeft() {
    Later<absl::StatusOr<MariadbPreparedScan>> scan;
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
                      std::string(ToString(result.finish)), " ", result.detail, "; ");
    }
    for (const std::string& xid : found->others) absl::StrAppend(&all, xid, "; ");
    return all;
  }

  void CheckBooks() {
    EXPECT_TRUE(Eventually([this] {
      RollBackFound();
      return Prepared().empty();
    })) << WhatIsLeft();
    const std::vector<std::string> rows = Column("SELECT branch FROM ledger");
    EXPECT_EQ(std::set<std::string>(rows.begin(), rows.end()), committed_);
    EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "30000");
    EXPECT_EQ(EvidenceRows(), std::to_string(committed_.size()));
    EXPECT_TRUE(Prepared().empty());
    const uint64_t lost = manager().Stats().lost_ends;
    EXPECT_GT(lost, 0u) << "the case that all this is for was not reached";
    std::printf("  %zu committed, %d not, %llu connections lost in PREPARE or COMMIT\n",
                committed_.size(), failed_.load(), static_cast<unsigned long long>(lost));
  }

  std::vector<std::string> Column(const std::string& sql) {
    return server().Column(sql, Database());
  }

  std::unique_ptr<testing::MariadbServer> own_;
  Mutex mutex_;
  std::set<std::string> committed_;
  std::vector<BranchId> found_;
  std::set<std::string> reported_;
  std::atomic<int> failed_{0};
  size_t kills_ = 0;
};

TEST_P(ChaosTest, Scenario27_SessionsKilledAllTheTime_TheBooksAgree) {
  Work([this] {
    // Until the case that all this is for was reached a few times.
    const double begin = testing::NowSeconds();
    const auto enough = [&] {
      return testing::NowSeconds() > begin + 1.5 && manager().Stats().lost_ends >= 3;
    };
    while (!enough() && testing::NowSeconds() < begin + 60) {
      SleepMs(5);
      // One in the middle of its end, if there is one.
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
    for (int i = 0; i < 5 || (i < 60 && manager().Stats().lost_ends == 0); ++i) {
      SleepMs(200 + 37 * (i % 6));
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
