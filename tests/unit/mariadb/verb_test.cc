// The verbs with a server that works: what they do, and what they cost.
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/mariadb/support.h"
// Of the above:
#include "tests/support/database_tests/verb_tests.h"

namespace concordat::participant {
namespace {

// --- a branch that has written nothing (point 6 of the design's section 8) ---

TEST_F(VerbTest, ReadOnly_VotesSoAndLeavesNothing) {
  for (const char* sql :
       {"SELECT * FROM account", "VALUES (1)", "WITH x AS (SELECT 1) SELECT * FROM x",
        "SELECT id, COUNT(*) FROM account GROUP BY balance ORDER BY 1 DESC", "DO 1",
        "SELECT * FROM account WHERE id=3 FOR UPDATE", "SHOW TABLES",
        "EXPLAIN SELECT * FROM account"}) {
    const BranchId branch = BeginAndRun(sql);
    EXPECT_EQ(Prepare(branch).vote, Vote::kReadOnly) << sql;
    EXPECT_EQ(LookUp(branch), Evidence::kNone);
  }
  EXPECT_EQ(EvidenceRows(), "0");
}

// Statements that write although they do not look like it.
TEST_F(VerbTest, HiddenWrites_ArePrepared) {
  Sql("CREATE FUNCTION take(i int) RETURNS int BEGIN "
      "UPDATE account SET balance=balance-1 WHERE id=i; RETURN 1; END");
  Sql("CREATE VIEW taking AS SELECT take(6) AS taken");
  int id = 0;
  for (const std::string sql :
       {"SELECT take(#)", "DO take(#)", "WITH w AS (SELECT take(#)) SELECT * FROM w",
        "/* a comment */ -- another\n (SELECT take(#))", "VALUES (take(#))",
        "/* # */ SELECT taken FROM taking"}) {
    std::string text = sql;
    text.replace(text.find('#'), 1, std::to_string(++id));
    const BranchId branch = BeginAndRun("SELECT 1");
    Query(branch, text);
    EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared) << text;
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
    EXPECT_EQ(Balance(id), "99") << text;
  }
}

// What the session had written before does not count as the branch's, but is remembered.
TEST_F(VerbTest, ReadsAfterAWriteOnTheSameSession_AreReadOnly) {
  MariadbOptions options = Options();
  options.max_connections = 1;
  Open(options);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Prepare(BeginAndRun("SELECT * FROM account")).vote, Vote::kReadOnly);
    const BranchId branch = BeginAndPrepare("UPDATE account SET balance=7 WHERE id=1");
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
    EXPECT_EQ(CommitOnePhase(BeginAndRun("SELECT 1")).outcome, OnePhase::kReadOnly);
    EXPECT_EQ(Rollback(BeginAndRun("UPDATE account SET balance=9 WHERE id=1")).state,
              FinishState::kDone);
  }
}

TEST_F(CostTest, TwoPhases_ThreeRoundTrips) {
  // SET TRANSACTION, XA START, the statement; SET ROLE, INSERT, SET ROLE NONE, XA END,
  // XA PREPARE; XA COMMIT, DO RELEASE_ALL_LOCKS().
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndPrepare("UPDATE account SET balance=balance-1 WHERE id=1");
              EXPECT_EQ(Commit(b).state, FinishState::kDone);
            }),
            (Costs{3, 10}));
}

TEST_F(CostTest, PreparedByItsCall_TwoRoundTrips) {
  // The same statements in two packets.
  EXPECT_EQ(CostOf([&] {
              const BranchId b = Begin();
              (void)ExecuteLast(
                  b, {Stmt("UPDATE account SET balance=balance-1 WHERE id=1")});
              EXPECT_EQ(Commit(b).state, FinishState::kDone);
            }),
            (Costs{2, 10}));
}

TEST_F(CostTest, OnePhase_TwoRoundTrips) {
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
              EXPECT_EQ(CommitOnePhase(b).outcome, OnePhase::kCommitted);
            }),
            (Costs{2, 9}));
}

TEST_F(CostTest, ReadOnly_ThreeRoundTrips) {
  // SET TRANSACTION, XA START, the statement; the question for rows written (the answer
  // before is still good); XA END, XA COMMIT ONE PHASE, DO RELEASE_ALL_LOCKS().
  EXPECT_EQ(CostOf([&] {
              EXPECT_EQ(Prepare(BeginAndRun("SELECT * FROM account")).vote,
                        Vote::kReadOnly);
            }),
            (Costs{3, 7}));
}

TEST_F(CostTest, ASecondCall_OneRoundTripMoreAndASavepoint) {
  EXPECT_EQ(CostOf([&] {
              const BranchId b =
                  BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1");
              Query(b, "UPDATE account SET balance=balance-1 WHERE id=2");
              EXPECT_EQ(Rollback(b).state, FinishState::kDone);
            }),
            (Costs{3, 8}));
}

// The flushes that the server counts: InnoDB's writes of its log, each of which is
// flushed with innodb_flush_log_at_trx_commit=1. Its other threads write now and then
// too, so many branches are counted together.
class FlushTest : public CostTest, public ::testing::WithParamInterface<bool> {
 protected:
  double FlushesOf(const std::function<void()>& work) {
    work();
    const char* question =
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE "
        "VARIABLE_NAME='INNODB_LOG_WRITES'";
    const int64_t before = std::stoll(Sql(question));
    for (int i = 0; i < 50; ++i) work();
    return static_cast<double>(std::stoll(Sql(question)) - before) / 50;
  }
};

TEST_P(FlushTest, AsManyAsTheProtocolNeeds) {
  testing::MariadbServerOptions options;
  options.fsync = true;
  options.binlog = GetParam();
  testing::MariadbServer own(options);
  Close();
  UseServer(&own);
  Open();
  const double two = FlushesOf([&] {
    const BranchId b = BeginAndPrepare("UPDATE account SET balance=9 WHERE id=1");
    EXPECT_EQ(Commit(b).state, FinishState::kDone);
  });
  const double with_call = FlushesOf([&] {
    const BranchId b = Begin();
    (void)ExecuteLast(b, {Stmt("UPDATE account SET balance=7 WHERE id=1")});
    EXPECT_EQ(Commit(b).state, FinishState::kDone);
  });
  const double one = FlushesOf([&] {
    const BranchId b = BeginAndRun("UPDATE account SET balance=8 WHERE id=1");
    EXPECT_EQ(CommitOnePhase(b).outcome, OnePhase::kCommitted);
  });
  const double none = FlushesOf([&] {
    EXPECT_EQ(Prepare(BeginAndRun("SELECT * FROM account")).vote, Vote::kReadOnly);
  });
  std::printf("  binlog %s: InnoDB flushes its log %.2f, %.2f, %.2f times\n",
              GetParam() ? "on" : "off", two, one, none);
  EXPECT_NEAR(two, 2, 0.2);
  EXPECT_NEAR(with_call, 2, 0.2);
  // With a binary log these are the server's own prepare and the flush after the commit.
  EXPECT_NEAR(one, GetParam() ? 2 : 1, 0.2);
  EXPECT_NEAR(none, 0, 0.2);
  UseServerAsItIs(&SharedServer());
}
INSTANTIATE_TEST_SUITE_P(Binlog, FlushTest, ::testing::Bool(),
                         [](const auto& param) { return param.param ? "On" : "Off"; });

// --- evidence and the watermark ---

TEST_F(VerbTest, ForgetBelow_DropsEvidenceBelowAndKeepsTheRest) {
  std::vector<BranchId> branches;
  for (int i = 0; i < 5; ++i) {
    branches.push_back(BeginAndRun("UPDATE account SET balance=balance-1 WHERE id=1"));
    EXPECT_EQ(CommitOnePhase(branches.back()).outcome, OnePhase::kCommitted);
  }
  // Rows of another resource, another cluster or another group are not deleted.
  const std::string columns =
      ",gtid_term,gtid_sequence,incarnation,number,how FROM concordat.branches WHERE "
      "resource='" +
      Resource() + "' AND cluster=" + std::to_string(kCluster.value()) +
      " AND gtid_group=1 LIMIT 1;";
  Sql("INSERT INTO concordat.branches SELECT 'other',cluster,gtid_group" + columns +
      "INSERT INTO concordat.branches SELECT resource,cluster+1,gtid_group" + columns +
      "INSERT INTO concordat.branches SELECT resource,cluster,gtid_group+1" + columns);
  manager().ForgetBelow(branches[3].gtid);
  EXPECT_TRUE(Eventually([&] { return EvidenceRows() == "4"; })) << EvidenceRows();
  EXPECT_EQ(LookUp(branches[2]), Evidence::kNone);
  EXPECT_EQ(LookUp(branches[3]), Evidence::kCommittedAlone);
  EXPECT_EQ(LookUp(branches[4]), Evidence::kCommittedAlone);
}

TEST_F(VerbTest, ForgetBelow_ManyGoInBatches) {
  const BranchId branch = NextBranch();
  Sql("INSERT INTO concordat.branches WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
      "i+1 FROM n WHERE i<1000) SELECT '" +
      Resource() + "'," + std::to_string(kCluster.value()) +
      ",1,6,a.i+1000*b.i,1,a.i,'prepared' FROM n a, n b WHERE b.i<=5");
  manager().ForgetBelow(branch.gtid);
  EXPECT_TRUE(Eventually([&] { return EvidenceRows() == "0"; })) << EvidenceRows();
}

}  // namespace
}  // namespace concordat::participant
