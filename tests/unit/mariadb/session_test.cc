// A session is used by one branch after another. What a branch leaves in its session is
// gone before the next one, and it cannot change what is Concordat's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;
using wire::Code;

// There is one connection for branches at work, of a user with the rights that the
// documentation names.
class SessionTest : public MariadbTest {
 protected:
  SessionTest() {
    Sql(absl::StrCat("CREATE USER app@localhost; GRANT ALL ON `", Database(),
                     "`.* TO app@localhost; GRANT concordat_rm TO app@localhost"));
    MariadbOptions options = Options();
    options.max_connections = 1;
    std::string url = Url();
    url.replace(url.find("root@"), 5, "app@");
    const absl::Status status = TryOpenAt(url, options).status();
    EXPECT_TRUE(status.ok()) << status;
  }
  ~SessionTest() override {
    Close();
    Sql("DROP USER app@localhost");
  }

  // Runs `sql` in a branch of its own, which ends in one of three ways.
  void RunAndEnd(const std::string& sql, int way) {
    const BranchId branch = Begin();
    EXPECT_EQ(Execute(branch, sql).result.code, Code::OK) << sql;
    Query(branch, "UPDATE account SET balance=balance WHERE id=10");
    if (way == 0) {
      EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    } else if (way == 1) {
      EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kCommitted);
    } else {
      EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
      EXPECT_EQ(Commit(branch).state, FinishState::kDone);
    }
  }
  std::string Look(const std::string& sql) {
    const BranchId branch = Begin();
    std::string rows = Query(branch, sql);
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    return rows;
  }
};

TEST_F(SessionTest, Scenario95_WhatACallLeaves_IsGoneBeforeTheNextBranch) {
  Sql("CREATE PROCEDURE shadow() CREATE TEMPORARY TABLE account AS SELECT 1 AS id, 7 AS "
      "balance;"
      "CREATE FUNCTION shadow_f() RETURNS int BEGIN CREATE TEMPORARY TABLE account(id "
      "int, "
      "balance int); INSERT INTO account VALUES (1,7); RETURN 1; END;"
      "CREATE PROCEDURE unchecked() SET foreign_key_checks=0, unique_checks=0, "
      "sql_mode='', time_zone='+05:00', tx_isolation='SERIALIZABLE';"
      "CREATE FUNCTION unchecked_f() RETURNS int BEGIN SET foreign_key_checks=0; RETURN "
      "1; "
      "END;"
      "CREATE PROCEDURE prepares() PREPARE c99 FROM 'SELECT 1';"
      "CREATE FUNCTION locks_f() RETURNS int RETURN GET_LOCK('left',0);"
      "CREATE FUNCTION variable_f() RETURNS int BEGIN SET @left=1; RETURN 1; END;"
      "CREATE TABLE trigger_t(i int);"
      "CREATE TRIGGER unchecked_t AFTER INSERT ON trigger_t FOR EACH ROW SET "
      "foreign_key_checks=0;"
      "CREATE TABLE ids(i int AUTO_INCREMENT PRIMARY KEY)");
  const char settings[] =
      "SELECT @@foreign_key_checks,@@unique_checks,@@sql_mode<>'',@@time_zone,"
      "@@tx_isolation,@@autocommit,@@character_set_client,CURRENT_ROLE(),"
      "LAST_INSERT_ID(),IS_USED_LOCK('left'),(SELECT balance FROM account WHERE id=1)";
  const std::string session = Look("SELECT CONNECTION_ID()");
  const std::string fresh = Look(settings);
  EXPECT_THAT(fresh, HasSubstr("1,1,1,'SYSTEM'"));
  for (const char* sql :
       {"CALL shadow()", "SELECT shadow_f()", "CALL unchecked()", "SELECT unchecked_f()",
        "UPDATE account SET balance=balance WHERE unchecked_f()=1", "CALL prepares()",
        "SELECT locks_f()", "SELECT variable_f()", "SELECT @left:=5",
        "INSERT INTO trigger_t VALUES (1)", "INSERT INTO ids VALUES ()",
        "INSERT INTO ids VALUES () RETURNING i", "SELECT LAST_INSERT_ID(77)",
        "SELECT GET_LOCK('left',0)", "DO unchecked_f()"}) {
    for (const int way : {0, 1, 2}) {
      RunAndEnd(sql, way);
      EXPECT_EQ(Look(settings), fresh) << sql << ", ended in way " << way;
      EXPECT_EQ(Look("SELECT @left"), "NULL") << sql << ", ended in way " << way;
    }
  }
  EXPECT_EQ(Look("SELECT CONNECTION_ID()"), session) << "it was never closed";
}

// A function or a trigger may set what changes the meaning of statements, or what they
// promise. One of them first tells the server to report no changes.
TEST_F(SessionTest, Scenario94_SettingsChangedInAFunction_AreSetBackBeforeTheNextBranch) {
  Sql("CREATE FUNCTION set_f() RETURNS int BEGIN SET check_constraint_checks=0, "
      "sql_select_limit=1, timestamp=1, max_statement_time=77, completion_type=2, "
      "sql_safe_updates=1, innodb_lock_wait_timeout=77, lock_wait_timeout=77, "
      "auto_increment_increment=7, max_error_count=0, default_storage_engine=Aria; "
      "RETURN 1; END;"
      "CREATE FUNCTION blind_f() RETURNS int BEGIN SET session_track_state_change=0; "
      "SET session_track_transaction_info='OFF'; SET foreign_key_checks=0, "
      "check_constraint_checks=0; RETURN 1; END;"
      "CREATE FUNCTION winks_f() RETURNS int BEGIN SET session_track_state_change=0; "
      "SET foreign_key_checks=0; SET session_track_state_change=1; RETURN 1; END;"
      "CREATE PROCEDURE blind() SET session_track_state_change=0, unique_checks=0;"
      "CREATE TABLE trigger_t(i int);"
      "CREATE TRIGGER blind_t AFTER INSERT ON trigger_t FOR EACH ROW SET @x=blind_f();");
  const char settings[] =
      "SELECT @@check_constraint_checks,@@sql_select_limit,@@max_statement_time,"
      "@@completion_type,@@sql_safe_updates,@@innodb_lock_wait_timeout,"
      "@@lock_wait_timeout,@@auto_increment_increment,@@max_error_count,"
      "@@default_storage_engine,@@foreign_key_checks,@@unique_checks,"
      "@@session_track_state_change,@@session_track_transaction_info,"
      "YEAR(NOW())>2000";
  const std::string fresh = Look(settings);
  for (const char* sql :
       {"SELECT set_f()", "DO set_f()", "SELECT blind_f()", "DO blind_f()",
        "UPDATE account SET balance=balance WHERE blind_f()=1 AND id=1",
        "SELECT winks_f()", "CALL blind()", "INSERT INTO trigger_t VALUES (1)",
        "INSERT INTO trigger_t VALUES (1) RETURNING i"}) {
    for (const int way : {0, 1, 2}) {
      RunAndEnd(sql, way);
      EXPECT_EQ(Look(settings), fresh) << sql << ", ended in way " << way;
    }
  }
}

// A first call that fails is undone, and its session is used by other branches.
TEST_F(SessionTest, Scenario95_WhatAFailedFirstCallLeaves_IsGoneBeforeTheNextBranch) {
  Sql("CREATE FUNCTION fails_f() RETURNS int BEGIN DO GET_LOCK('left',0); SET "
      "foreign_key_checks=0; SIGNAL SQLSTATE '45000'; RETURN 1; END");
  const char settings[] = "SELECT @@foreign_key_checks,IS_USED_LOCK('left')";
  for (const char* sql : {"SELECT fails_f()", "SELECT GET_LOCK('left',0)"}) {
    const BranchId branch = Begin();
    EXPECT_NE(Execute(branch, {Stmt(sql), Stmt("SELECT no_such_column")}).result.code,
              Code::OK);
    EXPECT_EQ(Look(settings), "1,NULL") << sql;
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
}

// A branch that only changes rows pays nothing for this.
TEST_F(SessionTest, BranchThatChangesRowsOnly_KeepsItsSessionAsItIs) {
  for (int i = 0; i < 5; ++i) {
    const BranchId branch = Begin();
    Query(branch, "SELECT balance FROM account WHERE id=1");
    Query(branch, "UPDATE account SET balance=balance-1 WHERE id=1");
    EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  }
  EXPECT_EQ(manager().Stats().resets, 0u);
}

TEST_F(SessionTest, Scenario97_WhatIsConcordats_IsOutOfReachByRights) {
  Sql("CREATE TABLE concordat_orders(i int)");
  const BranchId branch = Begin();
  for (const char* sql :
       {"UPDATE concordat.generations SET generation=0",
        "DELETE FROM `concordat` . `branches`", "SELECT * FROM concordat . branches",
        "DELETE FROM concordat.sessions",
        "INSERT INTO CONCORDAT.branches VALUES ('x',1,1,1,1,1,1,'alone')",
        "SELECT LOAD_FILE('/etc/passwd') INTO OUTFILE '/tmp/x'"}) {
    const wire::ExecuteReply reply = Execute(branch, sql);
    EXPECT_EQ(reply.result.code, Code::INVALID) << sql;
    EXPECT_THAT(reply.result.message, HasSubstr("denied")) << sql;
  }
  Query(branch, "INSERT INTO concordat_orders VALUES (1)");
  EXPECT_EQ(Query(branch, "SELECT COUNT(*) FROM concordat_orders"), "1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(EvidenceRows(), "1");
}

// The session has the rights only while it has the role, also when our own statement
// fails.
TEST_F(SessionTest, Scenario97_EvidenceThatCannotBeWritten_LeavesNoRightsBehind) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  Sql(absl::StrCat("INSERT INTO concordat.branches VALUES ('", Resource(), "',",
                   kCluster.value(), ",1,7,", branch.gtid.sequence, ",",
                   branch.incarnation.value(), ",", branch.number, ",'prepared')"));
  EXPECT_EQ(Prepare(branch).vote, Vote::kRefused);
  EXPECT_EQ(Look("SELECT CURRENT_ROLE()"), "NULL");
}

// Nothing depends on the user locks of such a session.
TEST_F(SessionTest, Scenario97_SessionThatGivesUpAllLocks_IsStillFoundAndEnded) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  Query(branch, "SELECT RELEASE_ALL_LOCKS()");
  const std::string id = WorkSession();
  std::string url = Url();
  const auto next = MakeMariadb(url, Options());
  Later<absl::StatusOr<std::vector<BranchId>>> recovered;
  next->Recover(kCluster, recovered.callback());
  EXPECT_TRUE(recovered.Get().ok());
  EXPECT_EQ(Sql(absl::StrCat(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE id=", id)),
            "0");
  next->Close();
}

TEST_F(SessionTest, StatementsOfLaterCalls_AreKeptToo) {
  const auto run = [this] {
    const BranchId branch = Begin();
    Query(branch, "SELECT balance FROM account WHERE id=1");
    Query(branch, "SELECT balance FROM account WHERE id=2");
    Query(branch, "UPDATE account SET balance=balance WHERE id=3");
    EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kCommitted);
  };
  const auto prepared = [this] {
    return Sql(
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE "
        "VARIABLE_NAME='COM_PREPARE_SQL'");
  };
  run();
  run();
  const std::string before = prepared();
  run();
  EXPECT_EQ(prepared(), before);
  EXPECT_EQ(manager().Stats().resets, 0u);
}

}  // namespace
}  // namespace concordat::participant
