// Statements: their parameters and rows, which of them are refused, and what an error
// does to the branch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;
using wire::Code;

class StatementTest : public MariadbTest {
 protected:
  StatementTest() { Open(); }
  // Selects in a branch of its own.
  std::string Select(std::string sql, std::vector<wire::Value> parameters = {}) {
    const BranchId branch = Begin();
    std::string rows = Query(branch, std::move(sql), std::move(parameters));
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    return rows;
  }
};

// --- values ---

TEST_F(StatementTest, Parameters_TakeTheTypeOfTheirPlace) {
  Sql("CREATE TABLE v(i int, b bigint, u bigint unsigned, d double, n decimal(40,9), "
      "t text, y varbinary(20), o bool, dt datetime(6), j json, bits bit(9), yr year)");
  const BranchId branch = Begin();
  Query(branch, "INSERT INTO v VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        {Int(-1), Int(std::numeric_limits<int64_t>::min()), Txt("18446744073709551615"),
         Real(0.1), Txt("1234567890123456789012345678901.123456789"),
         Txt("zwölf'\";\\ 😀"), Blob(std::string("\0\xff'\\", 4)), Int(1),
         Txt("2026-01-02 03:04:05.000006"), Txt("{\"a\": [1]}"), Int(257), Int(2026)});
  EXPECT_EQ(Query(branch, "SELECT * FROM v"),
            "-1,-9223372036854775808,'18446744073709551615',0.1,"
            "'1234567890123456789012345678901.123456789','zwölf'\";\\ 😀',x'00ff275c',1,"
            "'2026-01-02 03:04:05.000006','{\"a\": [1]}',257,2026");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// Texts never reach the server as SQL, whatever its sql_mode is.
TEST_F(StatementTest, Parameters_CannotEndTheirLiteral) {
  server().Exec("SET GLOBAL sql_mode='ANSI_QUOTES,NO_BACKSLASH_ESCAPES'");
  Open();
  for (const std::string text : {"'; DROP TABLE account; -- ", "\\'; COMMIT; -- ", "\\",
                                 "' OR 1=1", "?", "*/ 1 /*", ""}) {
    EXPECT_EQ(Select("SELECT ?, ?, LENGTH(?)", {Txt(text), Int(1), Txt(text)}),
              "'" + text + "',1," + std::to_string(text.size()));
  }
  const BranchId branch = Begin();
  Query(branch, "INSERT INTO account VALUES (?,?)", {Txt("11"), Txt("5")});
  EXPECT_EQ(Execute(branch, "INSERT INTO account VALUES (?,?)",
                    {Txt("12); DROP TABLE account; -- "), Int(5)})
                .result.code,
            Code::INVALID)
      << "strict mode: a text that is no number";
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT COUNT(*) FROM account"), "10");
  server().Exec("SET GLOBAL sql_mode=DEFAULT");
}

TEST_F(StatementTest, Null_GoesBothWays) {
  EXPECT_EQ(Select("SELECT ?, ? IS NULL", {Null(), Null()}), "NULL,1");
}

TEST_F(StatementTest, Reals_KeepEachBit) {
  const BranchId branch = Begin();
  Sql("CREATE TABLE r(a double, b double, c double, d double)");
  Query(branch, "INSERT INTO r VALUES (?,?,?,?)",
        {Real(0.1 + 0.2), Real(std::numeric_limits<double>::max()),
         Real(std::numeric_limits<double>::min()), Real(-0.0)});
  const wire::ExecuteReply reply = Execute(branch, "SELECT * FROM r");
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  const auto& values = reply.sql[0].rows[0].values;
  EXPECT_EQ(values[0].real, 0.1 + 0.2);
  EXPECT_EQ(values[1].real, std::numeric_limits<double>::max());
  EXPECT_EQ(values[2].real, std::numeric_limits<double>::min());
  EXPECT_EQ(values[3].real, 0.0);
  EXPECT_EQ(Execute(branch, "SELECT ?", {Real(std::nan(""))}).result.code, Code::INVALID);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, LargeValues_GoThrough) {
  const std::string big(300 << 10, 'x');
  const BranchId branch = Begin();
  const wire::ExecuteReply reply = Execute(branch, "SELECT ?, ?", {Txt(big), Blob(big)});
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_EQ(reply.sql[0].rows[0].values[0].text, big);
  EXPECT_EQ(reply.sql[0].rows[0].values[1].blob, big);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, Changed_IsCountedAndColumnsAreNamed) {
  Sql("CREATE PROCEDURE look() BEGIN SELECT 4 AS four; SELECT 5; END");
  const BranchId branch = Begin();
  const wire::ExecuteReply reply =
      Execute(branch, {Stmt("UPDATE account SET balance=balance+1 WHERE id<=?", {Int(4)}),
                       Stmt("DELETE FROM account WHERE id=1000"),
                       Stmt("SELECT id AS who, balance FROM account WHERE id=1"),
                       Stmt("DELETE FROM account WHERE id=2 RETURNING id")});
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  ASSERT_EQ(reply.sql.size(), 4u);
  EXPECT_EQ(reply.sql[0].changed, 4);
  EXPECT_EQ(reply.sql[1].changed, 0);
  EXPECT_FALSE(reply.sql[2].__isset.changed);
  EXPECT_EQ(reply.sql[2].columns, (std::vector<std::string>{"who", "balance"}));
  EXPECT_EQ(Show(reply.sql[2]), "1,101");
  EXPECT_EQ(Show(reply.sql[3]), "2");
  EXPECT_EQ(reply.sql[3].changed, 1) << "rows that are returned";
  // As in the other databases, a row that is found counts as changed.
  EXPECT_EQ(Execute(branch, "UPDATE account SET id=id WHERE id<=3").sql[0].changed, 2);
  EXPECT_EQ(Query(branch, "CALL look()"), "4") << "the first rows of a procedure";
  EXPECT_EQ(Query(branch, "SELECT 6"), "6");
  EXPECT_EQ(Execute(branch, {Stmt("CALL look()"), Stmt("SELECT 1")}).result.code,
            Code::INVALID);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, TooManyRows_AreRefusedAndTheCallIsUndone) {
  MariadbOptions options = Options();
  options.max_result_bytes = 1000;
  Open(options);
  const BranchId branch = Begin();
  Query(branch, "UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Execute(branch, {Stmt("UPDATE account SET balance=2 WHERE id=2"),
                             Stmt("SELECT a.id FROM account a, account b, account c")})
                .result.code,
            Code::INVALID);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id<=2 ORDER BY id"),
            "1;100");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// --- what is refused ---

TEST_F(StatementTest, StatementsThatWouldEndOrLeaveTheBranch_AreRefused) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  for (const char* sql : {"COMMIT",
                          "commit and chain",
                          "/* x */ ROLLBACK",
                          "-- c\nBEGIN",
                          "# c\nBEGIN",
                          "START TRANSACTION",
                          "SAVEPOINT a",
                          "RELEASE SAVEPOINT a",
                          "XA END 'a'",
                          "CREATE TABLE x(i int)",
                          "CREATE TEMPORARY TABLE x(i int)",
                          "TRUNCATE account",
                          "DROP TABLE account",
                          "ALTER TABLE account ADD x int",
                          "ANALYZE TABLE account",
                          "LOCK TABLES account WRITE",
                          "FLUSH TABLES",
                          "SET autocommit=1",
                          "USE mysql",
                          "PREPARE p FROM 'SELECT 1'",
                          "EXECUTE c1",
                          "EXECUTE IMMEDIATE 'COMMIT'",
                          "HANDLER account OPEN",
                          "LOAD DATA INFILE 'x' INTO TABLE account",
                          "/*!50000 COMMIT */",
                          "/*M! COMMIT */",
                          "IF 1 THEN SELECT 1; END IF",
                          "UPDATE account SET balance=2 WHERE id=1; COMMIT",
                          "SELECT 1; SELECT 2",
                          "",
                          ";"}) {
    const wire::ExecuteReply reply = Execute(branch, sql);
    EXPECT_EQ(reply.result.code, Code::INVALID) << sql << ": " << reply.result.message;
    EXPECT_FALSE(reply.result.message.empty()) << sql;
  }
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, CommitInsideAProcedure_FailsByTheServersWord) {
  Sql("CREATE PROCEDURE sneak() COMMIT");
  Sql("CREATE PROCEDURE create_one() CREATE TABLE sneaked(i int)");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  for (const char* sql : {"CALL sneak()", "CALL create_one()"}) {
    EXPECT_EQ(Execute(branch, sql).result.code, Code::INVALID) << sql;
  }
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
}

// The table is created after the start, or in another database, so that the start-up
// check cannot see it.
TEST_F(StatementTest, TableThatCannotRollBack_EndsTheBranchAndSaysWhatStays) {
  Sql("CREATE TABLE aria(i int) ENGINE=Aria");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const wire::ExecuteReply reply = Execute(branch, "INSERT INTO aria VALUES (1)");
  EXPECT_EQ(reply.result.code, Code::RESOURCE_ERROR);
  EXPECT_THAT(reply.result.message, HasSubstr("ENGINE=InnoDB"));
  EXPECT_EQ(Prepare(branch).vote, Vote::kLost);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
}

// The server reports the write only after the rows.
TEST_F(StatementTest, ReturningIntoATableThatCannotRollBack_IsNotPrepared) {
  Sql("CREATE TABLE aria(i int) ENGINE=Aria");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Query(branch, "INSERT INTO aria VALUES (1) RETURNING i"), "1");
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kRefused);
  EXPECT_THAT(result.detail, HasSubstr("ENGINE=InnoDB"));
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
}

// SHOW and EXPLAIN may run functions too.
TEST_F(StatementTest, ShowThatWrites_IsNotTakenForReadOnly) {
  Sql("CREATE FUNCTION pay() RETURNS int BEGIN UPDATE account SET balance=balance-1 "
      "WHERE "
      "id=1; RETURN 1; END");
  const BranchId branch = Begin();
  (void)Query(branch, "SHOW TABLES WHERE pay()=1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_NE(Sql("SELECT balance FROM account WHERE id=1"), "100");
}

// The largest memory of this process since ForgetPeakMemory.
uint64_t PeakMemoryKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoull(line.substr(6));
  }
  return 0;
}
void ForgetPeakMemory() { std::ofstream("/proc/self/clear_refs") << "5"; }

// There are 200 MB of rows, and the process stays small.
TEST_F(StatementTest, Scenario96_MoreThanMemoryHolds_StoppedWhileItArrives) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  ForgetPeakMemory();
  const uint64_t before = PeakMemoryKiB();
  const wire::ExecuteReply reply =
      Execute(branch, "SELECT REPEAT('x',1000) FROM seq_1_to_200000");
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_THAT(reply.result.message, HasSubstr("max_result_bytes (786432)"));
  EXPECT_LT(PeakMemoryKiB() - before, 30'000u);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
}

// --- errors: the call is undone, the branch lives on ---

TEST_F(StatementTest, AnErrorInTheFirstCall_LeavesAnEmptyLiveBranch) {
  const BranchId branch = Begin();
  EXPECT_EQ(Execute(branch, {Stmt("UPDATE account SET balance=1 WHERE id=1"),
                             Stmt("SELECT no_such_column FROM account")})
                .result.code,
            Code::INVALID);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "100");
  Query(branch, "UPDATE account SET balance=3 WHERE id=3");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account WHERE id IN (1,3)"), "103");
}

TEST_F(StatementTest, AnErrorInALaterCall_UndoesThatCallOnly) {
  Sql("CREATE TABLE child(parent int, FOREIGN KEY (parent) REFERENCES account(id));"
      "CREATE PROCEDURE refuse() SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT='no'");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  struct {
    const char* sql;
    Code::type code;
  } const cases[] = {
      {"UPDATE account SET balance=-1 WHERE id=2", Code::CONDITION_FAILED},
      {"INSERT INTO account VALUES (1,1)", Code::CONDITION_FAILED},
      {"INSERT INTO child VALUES (99)", Code::CONDITION_FAILED},
      {"INSERT INTO account VALUES (50,NULL)", Code::CONDITION_FAILED},
      {"UPDATE account SET balance=18446744073709551615", Code::INVALID},
      {"SELEC 1", Code::INVALID},
      {"SELECT * FROM nowhere", Code::INVALID},
      {"SELECT ?", Code::INVALID},  // no parameter was given
  };
  for (const auto& c : cases) {
    const wire::ExecuteReply reply =
        Execute(branch, {Stmt("UPDATE account SET balance=50 WHERE id=3"), Stmt(c.sql)});
    EXPECT_EQ(reply.result.code, c.code) << c.sql << ": " << reply.result.message;
  }
  EXPECT_EQ(Execute(branch, "CALL refuse()").result.code, Code::CONDITION_FAILED);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id<=3 ORDER BY id"),
            "1;100;100");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "1");
}

TEST_F(StatementTest, AStatementThatRunsTooLong_EndsTheBranch) {
  MariadbOptions options = Options();
  options.statement_time = Duration::Seconds(1);
  Open(options);
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Execute(branch,
                    "SELECT COUNT(*) FROM account a, account b, account c, "
                    "account d, account e, account f, account g, account h, "
                    "account i WHERE a.id+b.id+c.id+d.id+e.id+f.id+g.id+h.id+i.id"
                    "=RAND()")
                .result.code,
            Code::TIMED_OUT);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
}

TEST_F(StatementTest, TablesChangeUnderKeptStatements_TheyGoOn) {
  MariadbOptions options = Options();
  options.max_connections = 1;
  Open(options);
  EXPECT_EQ(Select("SELECT * FROM account WHERE id=1"), "1,100");
  Sql("ALTER TABLE account ADD COLUMN note varchar(9) DEFAULT 'n'");
  EXPECT_EQ(Select("SELECT * FROM account WHERE id=1"), "1,100,'n'");
}

TEST_F(StatementTest, MoreStatementsThanAreKept_AllWork) {
  const BranchId branch = Begin();
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    ASSERT_EQ(Query(branch, "SELECT " + n), n);
  }
  EXPECT_EQ(Query(branch, "SELECT 7"), "7");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// --- isolation and conflicts ---

TEST_F(StatementTest, Isolation_IsTheBranchsOrElseTheResources) {
  MariadbOptions options = Options();
  options.default_isolation = "read-committed";
  Open(options);
  for (const auto& [asked, sees] : {std::pair<const char*, const char*>{"", "50"},
                                    {"read-committed", "50"},
                                    {"repeatable-read", "100"}}) {
    const BranchId branch = Begin(asked);
    EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "100");
    Sql("UPDATE account SET balance=50 WHERE id=1");
    EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), sees) << asked;
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    Sql("UPDATE account SET balance=100 WHERE id=1");
  }
  StartOptions unknown;
  unknown.isolation = "chaos";
  EXPECT_TRUE(absl::IsInvalidArgument(manager().Start(NextBranch(), unknown)));
}

// Write skew: each reads what the other changes. InnoDB's serializable reads lock.
TEST_F(StatementTest, Serializable_WriteSkewDoesNotCommitTwice) {
  const BranchId a = Begin("serializable");
  const BranchId b = Begin("serializable");
  Query(a, "SELECT sum(balance) FROM account");
  Query(b, "SELECT sum(balance) FROM account");
  const auto one = ExecuteLater(a, {Stmt("UPDATE account SET balance=0 WHERE id=1")});
  const auto two = ExecuteLater(b, {Stmt("UPDATE account SET balance=0 WHERE id=2")});
  const bool first = one->reply.Get().result.code == Code::OK;
  const bool second = two->reply.Get().result.code == Code::OK;
  EXPECT_NE(first, second);
  EXPECT_EQ(CommitOnePhase(first ? a : b).outcome, OnePhase::kCommitted);
}

TEST_F(StatementTest, Scenario34_LockTimeout_ConflictAndTheBranchIsOver) {
  MariadbOptions options = Options();
  options.lock_wait = Duration::Seconds(1);
  Open(options);
  const BranchId holder = BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  EXPECT_EQ(Execute(branch, "UPDATE account SET balance=2 WHERE id=1").result.code,
            Code::CONFLICT);
  EXPECT_EQ(Prepare(branch).vote, Vote::kLost);
  EXPECT_EQ(Rollback(holder).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), "1000");
}

TEST_F(StatementTest, Scenario34_Deadlock_OneConflictsAndTheOtherGoesOn) {
  const BranchId a = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const BranchId b = BeginAndRun("UPDATE account SET balance=2 WHERE id=2");
  const auto waiting = ExecuteLater(a, {Stmt("UPDATE account SET balance=1 WHERE id=2")});
  const auto closing = ExecuteLater(b, {Stmt("UPDATE account SET balance=2 WHERE id=1")});
  const Code::type first = waiting->reply.Get().result.code;
  const Code::type second = closing->reply.Get().result.code;
  EXPECT_NE(first == Code::CONFLICT, second == Code::CONFLICT);
  EXPECT_NE(first == Code::OK, second == Code::OK);
  EXPECT_EQ(Prepare(first == Code::OK ? a : b).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(first == Code::OK ? a : b).state, FinishState::kDone);
  EXPECT_EQ(Prepare(first == Code::OK ? b : a).vote, Vote::kLost);
  // The session of the branch that has lost can be used again.
  const uint64_t connects = manager().Stats().connects;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Commit(BeginAndPrepare("UPDATE account SET balance=3 WHERE id=1")).state,
              FinishState::kDone);
  }
  EXPECT_EQ(manager().Stats().connects, connects);
}

TEST_F(StatementTest, RollbackWhileACallWaitsForALock_BothAreAnsweredAtOnce) {
  const BranchId holder = BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  const auto call =
      ExecuteLater(branch, {Stmt("UPDATE account SET balance=2 WHERE id=1")});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(150)));
  const double begin = testing::NowSeconds();
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_LT(testing::NowSeconds() - begin, 2.0);
  EXPECT_EQ(Rollback(holder).state, FinishState::kDone);
  // The session is used again, and no late KILL hits the next branch.
  const uint64_t connects = manager().Stats().connects;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Rollback(BeginAndRun("UPDATE account SET balance=1 WHERE id=2")).state,
              FinishState::kDone);
  }
  EXPECT_EQ(manager().Stats().connects, connects);
}

}  // namespace
}  // namespace concordat::participant
