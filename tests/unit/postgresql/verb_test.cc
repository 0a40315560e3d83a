// The verbs with a server that works: what they do, and what they cost.
#include <gtest/gtest.h>

#include "tests/unit/postgresql/support.h"
// Of the above:
#include "tests/support/database_tests/verb_tests.h"

namespace concordat::participant {
namespace {

// --- a branch that has written nothing (point 6 of the design's section 8) ---

TEST_F(VerbTest, ReadOnly_VotesSoAndLeavesNothing) {
  for (const char* sql :
       {"SELECT * FROM account", "VALUES (1)", "WITH x AS (SELECT 1) SELECT * FROM x",
        "DO $$ BEGIN PERFORM 1; END $$"}) {
    const BranchId branch = BeginAndRun(sql);
    EXPECT_EQ(Prepare(branch).vote, Vote::kReadOnly) << sql;
    EXPECT_EQ(LookUp(branch), Evidence::kNone);
  }
  EXPECT_EQ(EvidenceRows(), "0");
}

// Statements that write although they do not look like it.
TEST_F(VerbTest, HiddenWrites_ArePrepared) {
  Sql("CREATE FUNCTION take(i int) RETURNS void LANGUAGE sql AS "
      "'UPDATE account SET balance=balance-1 WHERE id=i'");
  int id = 0;
  for (const std::string sql :
       {"SELECT take(#)",
        "WITH w AS (UPDATE account SET balance=balance-1 WHERE id=# RETURNING 1) "
        "SELECT * FROM w",
        "DO $$ BEGIN PERFORM take(#); END $$",
        "/* a comment */ -- another\n (SELECT take(#))"}) {
    std::string text = sql;
    text.replace(text.find('#'), 1, std::to_string(++id));
    const BranchId branch = BeginAndRun(text);
    EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared) << text;
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
    EXPECT_EQ(Balance(id), "99") << text;
  }
}

TEST_F(CostTest, TwoPhases_ThreeRoundTrips) {
  // BEGIN, the statement; SET CONSTRAINTS, evidence, PREPARE TRANSACTION; COMMIT
  // PREPARED.
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndPrepare("UPDATE account SET balance=balance-1 WHERE id=1");
              EXPECT_EQ(Commit(b).state, FinishState::kDone);
            }),
            (Costs{3, 6}));
}

TEST_F(CostTest, PreparedByItsCall_TwoRoundTrips) {
  // BEGIN, the statement, SET CONSTRAINTS, evidence, PREPARE TRANSACTION; COMMIT
  // PREPARED.
  EXPECT_EQ(CostOf([&] {
              const BranchId b = Begin();
              (void)ExecuteLast(b, {Stmt("UPDATE account SET balance=1 WHERE id=1")});
              EXPECT_EQ(Commit(b).state, FinishState::kDone);
            }),
            (Costs{2, 6}));
}

TEST_F(CostTest, OnePhase_TwoRoundTrips) {
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
              EXPECT_EQ(CommitOnePhase(b).outcome, OnePhase::kCommitted);
            }),
            (Costs{2, 5}));
}

TEST_F(CostTest, ReadOnly_TwoRoundTrips) {
  // BEGIN, the statement, the question for a transaction id; COMMIT.
  EXPECT_EQ(CostOf([&] {
              EXPECT_EQ(Prepare(BeginAndRun("SELECT * FROM account")).vote,
                        Vote::kReadOnly);
            }),
            (Costs{2, 4}));
}

TEST_F(CostTest, ASecondCall_OneRoundTripMoreAndASavepoint) {
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
              Query(b, "UPDATE account SET balance=balance-1 WHERE id=2");
              EXPECT_EQ(Rollback(b).state, FinishState::kDone);
            }),
            (Costs{3, 5}));
}

// The flushes that the server counts. Its other processes flush now and then too, so many
// branches are counted together.
TEST_F(CostTest, Scenario94_Flushes_TwoForTwoPhasesOneForOneNoneForReads) {
  testing::PostgresqlServerOptions options;
  options.fsync = true;
  options.settings = {"wal_writer_delay = 10s", "autovacuum = off",
                      "wal_sync_method = fdatasync"};
  testing::PostgresqlServer own(options);
  Close();
  UseServer(&own);
  DatabaseOptions one = Options();
  one.max_connections = 1;
  one.settle_connections = 1;
  Open(one);
  const auto count = [&](const std::function<void()>& work) {
    Open(one);
    work();
    Close();
    Open(one);
    Sql("CHECKPOINT");
    const int64_t before = std::stoll(Sql("SELECT wal_sync FROM pg_stat_wal"));
    for (int i = 0; i < 50; ++i) work();
    Close();  // the backends end, and report their counts
    int64_t after = before;
    int64_t last = -1;
    (void)Eventually(
        [&] {
          last =
              std::exchange(after, std::stoll(Sql("SELECT wal_sync FROM pg_stat_wal")));
          return after != before && after == last;
        },
        1);
    return static_cast<double>(after - before) / 50;
  };
  EXPECT_NEAR(count([&] {
                const BranchId b =
                    BeginAndPrepare("UPDATE account SET balance=balance-1 WHERE id=1");
                EXPECT_EQ(Commit(b).state, FinishState::kDone);
              }),
              2, 0.2);
  EXPECT_NEAR(count([&] {
                const BranchId b = Begin();
                (void)ExecuteLast(
                    b, {Stmt("UPDATE account SET balance=balance-1 WHERE id=1")});
                EXPECT_EQ(Commit(b).state, FinishState::kDone);
              }),
              2, 0.2);
  EXPECT_NEAR(count([&] {
                const BranchId b =
                    BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
                EXPECT_EQ(CommitOnePhase(b).outcome, OnePhase::kCommitted);
              }),
              1, 0.2);
  // Scenario 94: whatever the branch has set, and however late.
  Sql("CREATE FUNCTION lazy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
      "set_config('synchronous_commit','off',false); RETURN NULL; END $$;"
      "CREATE CONSTRAINT TRIGGER late AFTER UPDATE ON account DEFERRABLE INITIALLY "
      "DEFERRED FOR EACH ROW EXECUTE FUNCTION lazy()");
  EXPECT_NEAR(count([&] {
                const BranchId b =
                    BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
                Query(b, "SELECT set_config('synchronous_commit','off',false)");
                EXPECT_EQ(CommitOnePhase(b).outcome, OnePhase::kCommitted);
              }),
              1, 0.2);
  EXPECT_NEAR(count([&] {
                EXPECT_EQ(Prepare(BeginAndRun("SELECT * FROM account")).vote,
                          Vote::kReadOnly);
              }),
              0, 0.2);
  UseServerAsItIs(&SharedServer());
}

// --- evidence and the watermark ---

TEST_F(VerbTest, ForgetBelow_DropsEvidenceBelowAndKeepsTheRest) {
  std::vector<BranchId> branches;
  for (int i = 0; i < 5; ++i) {
    branches.push_back(BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1"));
    EXPECT_EQ(CommitOnePhase(branches.back()).outcome, OnePhase::kCommitted);
  }
  // Rows of another resource, another cluster or another group are not deleted.
  Sql("INSERT INTO concordat.branches SELECT 'bank-b',cluster,gtid_group,gtid_term,"
      "gtid_sequence,incarnation,number,how FROM concordat.branches LIMIT 1;"
      "INSERT INTO concordat.branches SELECT resource,cluster+1,gtid_group,gtid_term,"
      "gtid_sequence,incarnation,number,how FROM concordat.branches WHERE "
      "resource='bank-a' LIMIT 1;"
      "INSERT INTO concordat.branches SELECT resource,cluster,gtid_group+1,gtid_term,"
      "gtid_sequence,incarnation,number,how FROM concordat.branches WHERE "
      "resource='bank-a' LIMIT 1");
  manager().ForgetBelow(branches[3].gtid);
  EXPECT_TRUE(Eventually([&] { return EvidenceRows() == "5"; })) << EvidenceRows();
  EXPECT_EQ(LookUp(branches[2]), Evidence::kNone);
  EXPECT_EQ(LookUp(branches[3]), Evidence::kCommittedAlone);
  EXPECT_EQ(LookUp(branches[4]), Evidence::kCommittedAlone);
}

TEST_F(VerbTest, ForgetBelow_ManyGoInBatches) {
  const BranchId branch = NextBranch();
  Sql("INSERT INTO concordat.branches SELECT 'bank-a'," +
      std::to_string(static_cast<int64_t>(kCluster.value())) +
      ",1,6,i,1,i,'prepared' FROM generate_series(1,5001) i");
  manager().ForgetBelow(branch.gtid);
  EXPECT_TRUE(Eventually([&] { return EvidenceRows() == "0"; })) << EvidenceRows();
}

}  // namespace
}  // namespace concordat::participant
