// Packets whose last part the server never runs (answer_watch.h), because a KILL QUERY
// comes between two of their statements. Every caller gets an answer, and that is true.
// The tests bring this about in three ways:
//   - a commit that waits for a replica is interrupted: it is done all the same, but the
//     statements after it are not;
//   - a proxy holds the answers back, so that the client sees a session that sleeps and a
//     packet that is not answered;
//   - all sessions are interrupted again and again, until it has happened.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/mariadb/lost_fixture.h"

namespace concordat::participant {
namespace {

class InterruptedTest : public LostTest {
 protected:
  InterruptedTest() { ReopenSoon(Duration::Millis(300)); }
  ~InterruptedTest() override { WaitForReplicas(false); }

  void ReopenSoon(Duration answer_time) {
    MariadbOptions options = Options();
    options.settle_patience = Duration::Seconds(10);
    options.answer_time = answer_time;
    ReopenWith(options);
    (void)LookUp(NextBranch());  // makes the connection for settling
  }
  // If true, no commit is answered before a replica has it, and there is no replica.
  void WaitForReplicas(bool on) {
    if (server().running()) {
      Sql(
          absl::StrCat("SET GLOBAL rpl_semi_sync_master_timeout=3600000;"
                       "SET GLOBAL rpl_semi_sync_master_enabled=",
                       on ? "ON" : "OFF"));
    }
  }
  // Interrupts the commit that waits for a replica: it is done, and the rest of its
  // packet is not.
  void Interrupt() {
    const char waits[] =
        "SELECT id FROM information_schema.processlist WHERE state LIKE "
        "'Waiting for semi-sync ACK%'";
    EXPECT_TRUE(Eventually([&] { return !Sql(waits).empty(); }));
    Sql(absl::StrCat("KILL QUERY ", Sql(waits)));
    EXPECT_TRUE(Eventually([&] { return Sql(waits).empty(); }));
    WaitForReplicas(false);
  }
};

class InterruptedWithBinlogTest : public InterruptedTest {};

// XA COMMIT was done but its flush was not (scenario 93).
TEST_P(InterruptedWithBinlogTest, Scenario93_CommitBeforeItsFlush_FlushedBeforeDone) {
  const BranchId branch = BeginAndPrepare(kUpdate);
  const uint64_t flushes = Flushes();
  WaitForReplicas(true);
  Later<FinishResult> done = CommitLater(branch);
  Interrupt();
  EXPECT_EQ(done.Get().state, FinishState::kDone);
  EXPECT_EQ(manager().Stats().left_undone, 1u);
  EXPECT_GT(Flushes(), flushes);
  server().Kill();
  server().Start();
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "95");
}

// --- a session that sleeps, and has not answered ---

TEST_P(InterruptedTest, Scenario24_Prepare_IsFoundOut) {
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswersOfTheLast();
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(manager().Stats().left_undone, 1u);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
}

TEST_P(InterruptedTest, Scenario25_CommitAndRollback_AreFoundOut) {
  BranchId branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswersOfTheLast();
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
  branch = BeginAndPrepare(kUpdate);
  proxy_->HoldAnswersOfTheLast();
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "95");
  EXPECT_EQ(manager().Stats().left_undone, 2u);
}

TEST_P(InterruptedTest, Scenario35_OnePhase_IsFoundOut) {
  for (const bool writes : {true, false}) {
    const BranchId branch =
        BeginAndRun(writes ? kUpdate : "SELECT balance FROM account WHERE id=1");
    proxy_->HoldAnswersOfTheLast();
    EXPECT_EQ(CommitOnePhase(branch).outcome,
              writes ? OnePhase::kCommitted : OnePhase::kLost);
  }
  EXPECT_EQ(Balance(), "95");
  EXPECT_EQ(manager().Stats().left_undone, 2u);
}

TEST_P(InterruptedTest, Scenario13_CallAndRollback_AreAnswered) {
  for (const bool last : {false, true}) {
    const BranchId branch = BeginAndRun(kUpdate);
    proxy_->HoldAnswersOfTheLast();
    EXPECT_EQ((last ? ExecuteLast(branch, {Stmt(kUpdate)}) : Execute(branch, kUpdate))
                  .result.code,
              last ? Code::UNKNOWN : Code::BRANCH_GONE);
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
  const BranchId branch = BeginAndRun(kUpdate);
  proxy_->HoldAnswersOfTheLast();
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(manager().Stats().left_undone, 3u);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// We have interrupted it ourselves, so nobody waits for answer_time, which is an hour
// here.
TEST_P(InterruptedTest, Scenario13_RollbackThatInterruptsACall_IsAnsweredSoon) {
  ReopenSoon(Duration::Seconds(3600));
  for (const bool last : {false, true}) {
    const BranchId branch = BeginAndRun(kUpdate);
    const std::vector<wire::SqlStatement> work = {Stmt("SELECT SLEEP(600)"),
                                                  Stmt(kUpdate)};
    const auto call = last ? ExecuteLastLater(branch, work) : ExecuteLater(branch, work);
    EXPECT_TRUE(Waits("User sleep"));
    proxy_->HoldAnswersOfTheLast();
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  }
  EXPECT_EQ(manager().Stats().left_undone, 2u);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), "100");
}

// A session that works is waited for.
TEST_P(InterruptedTest, SlowCall_IsNotStopped) {
  const BranchId branch = BeginAndRun(kUpdate);
  const auto call = ExecuteLater(branch, {Stmt("DO SLEEP(1.5)"), Stmt("SELECT 1")});
  EXPECT_EQ(call->reply.Get().result.code, Code::OK);
  EXPECT_EQ(manager().Stats().left_undone, 0u);
  EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kCommitted);
}

// --- at any moment ---

class InterruptedAtAnyMomentTest : public InterruptedTest {
 protected:
  static constexpr int kMoney = 1000000;

  InterruptedAtAnyMomentTest() {
    Sql(absl::StrCat("UPDATE account SET balance=", kMoney, " WHERE id=1"));
  }
  // Interrupts all sessions as often as possible.
  void InterruptAll(const std::atomic<bool>& over) {
    while (!over) {
      std::string kills = "DO 0";
      for (const std::string& id : Sessions())
        absl::StrAppend(&kills, "; KILL QUERY ", id);
      for (int i = 0; i < 20 && !over; ++i) (void)TrySql(kills);
    }
  }
  // Runs a branch that takes 1. Returns whether it was committed.
  bool RunBranch(int way) {
    const BranchId branch = NextBranch();
    if (!manager().Start(branch, {}).ok()) return false;
    const Code::type code =
        Execute(branch, "UPDATE account SET balance=balance-1 WHERE id=1").result.code;
    if (code != Code::OK) return End(branch, /*commit=*/false);
    if (way % 2 == 0) return CommitAlone(branch);
    Vote vote = Prepare(branch).vote;
    while (vote == Vote::kUnavailable) vote = Prepare(branch).vote;
    return End(branch, vote == Vote::kPrepared && way % 4 == 1);
  }
  bool End(const BranchId& branch, bool commit) {
    FinishState finish = FinishState::kRetry;
    while (finish == FinishState::kRetry) {
      finish = (commit ? Commit(branch) : Rollback(branch)).state;
    }
    EXPECT_EQ(finish, FinishState::kDone);
    return commit;
  }
  bool CommitAlone(const BranchId& branch) {
    const OnePhase outcome = CommitOnePhase(branch).outcome;
    if (outcome != OnePhase::kUnknown) return outcome == OnePhase::kCommitted;
    Evidence evidence = Evidence::kUnknown;
    while (evidence == Evidence::kUnknown) evidence = LookUp(branch);
    return evidence == Evidence::kCommittedAlone;
  }
};

TEST_P(InterruptedAtAnyMomentTest, Scenario13_KillQuery_EverybodyHearsTheTruth) {
  std::atomic<bool> over{false};
  std::thread somebody([this, &over] { InterruptAll(over); });
  int committed = 0, branches = 0;
  (void)Eventually(
      [&] {
        if (RunBranch(branches++)) ++committed;
        return manager().Stats().left_undone >= 1 && branches >= 100;
      },
      120);
  over = true;
  somebody.join();
  EXPECT_GT(manager().Stats().left_undone, 0u) << branches << " branches";
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(), std::to_string(kMoney - committed)) << branches << " branches";
}

std::string BinlogIs(const ::testing::TestParamInfo<bool>& binlog) {
  return binlog.param ? "On" : "Off";
}
INSTANTIATE_TEST_SUITE_P(Binlog, InterruptedTest, ::testing::Bool(), BinlogIs);
INSTANTIATE_TEST_SUITE_P(Binlog, InterruptedAtAnyMomentTest, ::testing::Bool(), BinlogIs);
INSTANTIATE_TEST_SUITE_P(Binlog, InterruptedWithBinlogTest, ::testing::Values(true),
                         BinlogIs);

}  // namespace
}  // namespace concordat::participant
