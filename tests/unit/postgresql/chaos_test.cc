// Many branches at once while backends are ended and the server is killed. Each branch
// moves money and writes its name into a ledger: afterwards the ledger is exactly what
// was said to be committed, and no money is gone.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "coordinator/base/random.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

constexpr int kWorkers = 6;

void SleepMs(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class ChaosTest : public PostgresqlTest {
 protected:
  ChaosTest() : own_(std::make_unique<testing::PostgresqlServer>()) {
    UseServer(own_.get());
    // Few wait for each other: the time is spent in PREPARE and COMMIT.
    Sql("CREATE TABLE ledger(branch text PRIMARY KEY);"
        "INSERT INTO account SELECT i, 100 FROM generate_series(11,300) i");
    PostgresqlOptions options = Options();
    options.settle_patience = Duration::Millis(300);
    options.lock_wait = Duration::Millis(500);
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
        Stmt("UPDATE account SET balance=balance+1 WHERE id=$1", {Int(to)});
    const bool worked =
        Execute(branch,
                {Stmt("UPDATE account SET balance=balance-1 WHERE id=$1", {Int(from)}),
                 Stmt("INSERT INTO ledger VALUES ($1)", {Txt(ToString(branch))})})
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
                 FinishResult (PostgresqlTest::*verb)(const BranchId&)) {
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
    disturb();
    stop.store(true);
    for (std::thread& worker : workers) worker.join();
  }

  void CheckBooks() {
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

  std::unique_ptr<testing::PostgresqlServer> own_;
  Mutex mutex_;
  std::set<std::string> committed_;
  std::atomic<int> failed_{0};
};

TEST_F(ChaosTest, Scenario27_BackendsEndedAllTheTime_TheBooksAgree) {
  Work([this] {
    // Until the case that all this is for was reached a few times.
    const double begin = testing::NowSeconds();
    const auto enough = [&] {
      return testing::NowSeconds() > begin + 1.5 && manager().Stats().lost_ends >= 3;
    };
    while (!enough() && testing::NowSeconds() < begin + 60) {
      SleepMs(10);
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
    for (int i = 0; i < 6 || (i < 60 && manager().Stats().lost_ends == 0); ++i) {
      SleepMs(250 + 37 * (i % 6));
      if (i % 3 != 0) {
        // One backend, in whatever it does: the server ends all others at once, and
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
