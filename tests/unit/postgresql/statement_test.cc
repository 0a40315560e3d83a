// Statements: their parameters and rows, which of them are refused, and what an error
// does to the branch.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

using wire::Code;

class StatementTest : public PostgresqlTest {
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
  Sql("CREATE TABLE v(i int, b bigint, s smallint, d float8, r real, n numeric, t text, "
      "y bytea, o bool, ts timestamptz, j jsonb, u uuid)");
  const BranchId branch = Begin();
  Query(branch, "INSERT INTO v VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
        {Int(-1), Int(std::numeric_limits<int64_t>::min()), Int(7), Real(0.1), Real(2.5),
         Txt("12345678901234567890.123456789"), Txt("zwölf'\";\\"),
         Blob(std::string("\0\xff'\\", 4)), Int(1), Txt("2026-01-02 03:04:05+00"),
         Txt("{\"a\": [1]}"), Txt("00000000-0000-0000-0000-00000000000f")});
  EXPECT_EQ(Query(branch, "SELECT i,b,s,d,r,n,t,y,o,j,u FROM v"),
            "-1,-9223372036854775808,7,0.1,2.5,'12345678901234567890.123456789',"
            "'zwölf'\";\\',x'00ff275c',1,'{\"a\": [1]}',"
            "'00000000-0000-0000-0000-00000000000f'");
  EXPECT_EQ(Query(branch, "SELECT extract(epoch FROM ts)::int8 FROM v"), "1767323045");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, Null_GoesBothWays) {
  EXPECT_EQ(
      Select("SELECT $1::int, $2::text, $3::bytea IS NULL", {Null(), Null(), Null()}),
      "NULL,NULL,1");
}

TEST_F(StatementTest, Reals_KeepEachBit) {
  const double awkward = 0.1 + 0.2;
  const BranchId branch = Begin();
  const wire::ExecuteReply reply =
      Execute(branch, "SELECT $1::float8, $2::float8, $3::float8, $4::float8",
              {Real(awkward), Real(std::numeric_limits<double>::infinity()),
               Real(std::numeric_limits<double>::denorm_min()), Real(-0.0)});
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  const auto& values = reply.sql[0].rows[0].values;
  EXPECT_EQ(values[0].real, awkward);
  EXPECT_EQ(values[1].real, std::numeric_limits<double>::infinity());
  EXPECT_EQ(values[2].real, std::numeric_limits<double>::denorm_min());
  EXPECT_TRUE(std::signbit(values[3].real));
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, LargeValues_GoThrough) {
  const std::string big(300 << 10, 'x');
  const BranchId branch = Begin();
  const wire::ExecuteReply reply =
      Execute(branch, "SELECT $1::text, $2::bytea", {Txt(big), Blob(big)});
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_EQ(reply.sql[0].rows[0].values[0].text, big);
  EXPECT_EQ(reply.sql[0].rows[0].values[1].blob, big);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, Changed_IsCountedAndColumnsAreNamed) {
  const BranchId branch = Begin();
  const wire::ExecuteReply reply = Execute(
      branch, {Stmt("UPDATE account SET balance=balance+1 WHERE id<=$1", {Int(4)}),
               Stmt("DELETE FROM account WHERE id=1000"),
               Stmt("SELECT id AS who, balance FROM account WHERE id=1"),
               Stmt("UPDATE account SET balance=0 WHERE id=2 RETURNING id")});
  ASSERT_EQ(reply.result.code, Code::OK) << reply.result.message;
  ASSERT_EQ(reply.sql.size(), 4u);
  EXPECT_EQ(reply.sql[0].changed, 4);
  EXPECT_EQ(reply.sql[1].changed, 0);
  EXPECT_TRUE(reply.sql[1].__isset.changed);
  EXPECT_FALSE(reply.sql[2].__isset.changed);
  EXPECT_EQ(reply.sql[2].columns, (std::vector<std::string>{"who", "balance"}));
  EXPECT_EQ(Show(reply.sql[2]), "1,101");
  EXPECT_EQ(Show(reply.sql[3]), "2");
  EXPECT_EQ(reply.sql[3].changed, 1);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, TextWithNul_IsRefusedAndTheBranchLivesOn) {
  const BranchId branch = Begin();
  EXPECT_EQ(Execute(branch, "SELECT $1::text", {Txt(std::string("a\0b", 3))}).result.code,
            Code::INVALID);
  EXPECT_EQ(Query(branch, "SELECT 1"), "1");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, TooManyRows_AreRefusedAndTheCallIsUndone) {
  DatabaseOptions options = Options();
  options.max_result_bytes = 1000;
  Open(options);
  const BranchId branch = Begin();
  Query(branch, "UPDATE account SET balance=1 WHERE id=1");
  const wire::ExecuteReply reply =
      Execute(branch, {Stmt("UPDATE account SET balance=2 WHERE id=2"),
                       Stmt("SELECT * FROM generate_series(1,1000)")});
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id<=2 ORDER BY id"),
            "1;100");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, MoreRowsOrValuesThanAnAnswerHolds_AreRefused) {
  const BranchId branch = Begin();
  for (const char* sql : {"SELECT 1 FROM generate_series(1,16001)",
                          "SELECT 1, 2, 3, 4 FROM generate_series(1,8000)"}) {
    EXPECT_EQ(Execute(branch, sql).result.code, Code::INVALID) << sql;
  }
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// The largest memory of this process since ForgetPeakMemory, in KiB.
int64_t PeakMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::atoll(line.c_str() + 6);
  }
  return 0;
}
void ForgetPeakMemory() { std::ofstream("/proc/self/clear_refs") << "5"; }

TEST_F(StatementTest, Scenario96_MoreRowsThanMemoryHolds_StoppedWhileTheyArrive) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  ForgetPeakMemory();
  const int64_t before = PeakMemory();
  for (int i = 0; i < 3; ++i) {
    const wire::ExecuteReply reply = Execute(
        branch, {Stmt("UPDATE account SET balance=2 WHERE id=2"),
                 Stmt("SELECT repeat('x',1000) FROM generate_series(1,3000000)")});
    EXPECT_EQ(reply.result.code, Code::INVALID);
    EXPECT_NE(reply.result.message.find("max_result_bytes (786432)"), std::string::npos)
        << reply.result.message;
    // The interruption does not reach the next statement.
    EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id<=2 ORDER BY id"),
              "1;100");
  }
  EXPECT_LT(PeakMemory() - before, 200 << 10);
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// A row has 57 MiB, of which 16 are read. A sanitizer and the allocator may add as much
// again.
TEST_F(StatementTest, Scenario96_OneRowLargerThanMemory_CostsTheConnection) {
  const BranchId branch = Begin();
  constexpr char kHuge[] = "SELECT repeat('x',60000000)";
  ForgetPeakMemory();
  const int64_t before = PeakMemory();
  const wire::ExecuteReply first = Execute(branch, kHuge);
  EXPECT_LT(PeakMemory() - before, 40 << 10);
  EXPECT_EQ(first.result.code, Code::INVALID);
  EXPECT_NE(first.result.message.find("16 MiB"), std::string::npos)
      << first.result.message;
  Query(branch, "UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Execute(branch, kHuge).result.code, Code::RESOURCE_ERROR);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
}

// A row that is below the limit is read to its end, in many pieces, and the session goes
// on.
TEST_F(StatementTest, Scenario96_LongRow_TooManyBytesAndTheConnectionLives) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const wire::ExecuteReply reply = Execute(branch, "SELECT repeat('x',15000000)");
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_NE(reply.result.message.find("max_result_bytes"), std::string::npos)
      << reply.result.message;
  EXPECT_EQ(Execute(branch, "SELECT repeat('x',700000)").result.code, Code::OK);
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, Scenario96_TooManyRowsInTheLastCall_NothingIsPreparedOrItIsSaid) {
  const BranchId branch = Begin();
  const wire::ExecuteReply reply = ExecuteLast(
      branch, {Stmt("UPDATE account SET balance=2 WHERE id=2"),
               Stmt("SELECT repeat('x',1000) FROM generate_series(1,1000000)")});
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_EQ(Prepared().size(), reply.prepared ? 1u : 0u);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

// --- what is refused ---

TEST_F(StatementTest, StatementsThatWouldEndOrLeaveTheBranch_AreRefused) {
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  for (const char* sql : {"COMMIT",
                          "commit and chain",
                          " ;; END",
                          "/* x /* y */ */ ROLLBACK",
                          "ABORT",
                          "-- c\nBEGIN",
                          "START TRANSACTION",
                          "SAVEPOINT a",
                          "RELEASE a",
                          "PREPARE TRANSACTION 'x'",
                          "COMMIT PREPARED 'x'",
                          "ROLLBACK PREPARED 'x'",
                          "LISTEN x",
                          "NOTIFY x",
                          "SELECT PG_NOTIFY('x','y')",
                          "UNLISTEN *",
                          "CREATE TEMP TABLE x(i int)",
                          "CREATE LOCAL TEMPORARY TABLE x(i int)",
                          "CREATE OR REPLACE TEMP VIEW x AS SELECT 1",
                          "COPY account TO STDOUT",
                          "COPY account FROM STDIN",
                          "SET search_path=x",
                          "SET SESSION CHARACTERISTICS AS "
                          "TRANSACTION READ ONLY",
                          "RESET ALL",
                          "DISCARD ALL",
                          "PREPARE p AS SELECT 1",
                          "EXECUTE p",
                          "DEALLOCATE ALL",
                          "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
                          "SET LOCAL synchronous_commit=off",
                          "UPDATE account SET balance=2 WHERE id=1; COMMIT",
                          "SELECT 1; SELECT 2",
                          "",
                          ";"}) {
    const wire::ExecuteReply reply = Execute(branch, sql);
    EXPECT_EQ(reply.result.code, Code::INVALID) << sql;
    EXPECT_FALSE(reply.result.message.empty()) << sql;
  }
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, CommitInsideAFunctionOrBlock_FailsByTheServersWord) {
  Sql("CREATE PROCEDURE sneak() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  for (const char* sql :
       {"CALL sneak()", "DO $$ BEGIN COMMIT; END $$", "DO $$ BEGIN ROLLBACK; END $$"}) {
    EXPECT_EQ(Execute(branch, sql).result.code, Code::INVALID) << sql;
  }
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "1");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, SelectIntoTemporary_IsRefusedAtPrepare) {
  const BranchId branch = BeginAndRun("SELECT 1 AS a INTO TEMP hidden");
  const PrepareResult result = Prepare(branch);
  EXPECT_EQ(result.vote, Vote::kRefused);
  EXPECT_NE(result.detail.find("temporary"), std::string::npos) << result.detail;
}

TEST_F(StatementTest, SessionSettings_DoNotReachTheNextBranch) {
  DatabaseOptions options = Options();
  options.max_connections = 1;
  Open(options);
  BranchId branch = BeginAndRun("SELECT set_config('work_mem','1MB',false)");
  EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kReadOnly);
  branch = BeginAndRun("SET LOCAL work_mem='2MB'");
  EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kReadOnly);
  branch = Begin();
  EXPECT_EQ(Query(branch, "SHOW work_mem"), "'4MB'");
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(StatementTest, KvOperations_AreRefused) {
  const BranchId branch = Begin();
  Call call;
  call.request.__set_kv({wire::KvOperation()});
  manager().Execute(branch, call.request, call.reply.callback());
  EXPECT_EQ(call.reply.Get().result.code, Code::INVALID);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
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
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  struct {
    const char* sql;
    Code::type code;
  } const cases[] = {
      {"UPDATE account SET balance=-1 WHERE id=2", Code::CONDITION_FAILED},
      {"INSERT INTO account VALUES (1,1)", Code::CONDITION_FAILED},
      {"DO $$ BEGIN RAISE 'no'; END $$", Code::CONDITION_FAILED},
      {"SELECT 1/0", Code::INVALID},
      {"SELEC 1", Code::INVALID},
      {"SELECT * FROM nowhere", Code::INVALID},
      {"SELECT $1::int", Code::INVALID},  // no parameter was given
      {"VACUUM", Code::INVALID},
  };
  for (const auto& c : cases) {
    const wire::ExecuteReply reply =
        Execute(branch, {Stmt("UPDATE account SET balance=50 WHERE id=3"), Stmt(c.sql)});
    EXPECT_EQ(reply.result.code, c.code) << c.sql << ": " << reply.result.message;
  }
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id<=3 ORDER BY id"),
            "1;100;100");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "1");
}

TEST_F(StatementTest, AStatementThatRunsTooLong_EndsTheBranch) {
  DatabaseOptions options = Options();
  options.statement_time = Duration::Millis(100);
  Open(options);
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Execute(branch, "SELECT pg_sleep(10)").result.code, Code::TIMED_OUT);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
}

// A time-out has the same SQLSTATE, but no time was over here.
TEST_F(StatementTest, Scenario101_InterruptedBySomebody_IsNotOutOfTime) {
  Open();
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const auto call = ExecuteLater(branch, {Stmt("SELECT pg_sleep(60)")});
  EXPECT_TRUE(Eventually([&] {
    return Sql("SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE "
               "wait_event='PgSleep' AND datname=current_database()") == "1";
  }));
  EXPECT_EQ(call->reply.Get().result.code, Code::RESOURCE_ERROR);
}

// The server keeps the plans of statements. After a change of the table the error must
// not come again and again.
TEST_F(StatementTest, TablesChangeUnderKeptStatements_TheNextTrySucceeds) {
  DatabaseOptions options = Options();
  options.max_connections = 1;
  Open(options);
  EXPECT_EQ(Select("SELECT * FROM account WHERE id=1"), "1,100");
  Sql("ALTER TABLE account ADD COLUMN note text DEFAULT 'n'");
  const BranchId branch = Begin();
  const wire::ExecuteReply reply = Execute(branch, "SELECT * FROM account WHERE id=1");
  EXPECT_EQ(reply.result.code, Code::CONFLICT);
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
  DatabaseOptions options = Options();
  options.default_isolation = "repeatable-read";
  Open(options);
  for (const auto& [asked, got] :
       {std::pair<const char*, const char*>{"", "'repeatable read'"},
        {"read-committed", "'read committed'"},
        {"repeatable-read", "'repeatable read'"},
        {"serializable", "'serializable'"}}) {
    const BranchId branch = Begin(asked);
    EXPECT_EQ(Query(branch, "SHOW transaction_isolation"), got);
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
  StartOptions unknown;
  unknown.isolation = "chaos";
  EXPECT_TRUE(absl::IsInvalidArgument(manager().Start(NextBranch(), unknown)));
}

TEST_F(StatementTest, RepeatableRead_AnUpdateOfWhatOthersChanged_Conflicts) {
  const BranchId branch = Begin("repeatable-read");
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "100");
  Sql("UPDATE account SET balance=50 WHERE id=1");
  EXPECT_EQ(Query(branch, "SELECT balance FROM account WHERE id=1"), "100");
  EXPECT_EQ(
      Execute(branch, "UPDATE account SET balance=balance-1 WHERE id=1").result.code,
      Code::CONFLICT);
  EXPECT_EQ(Execute(branch, "SELECT 1").result.code, Code::BRANCH_GONE);
}

// Write skew: each reads what the other changes.
TEST_F(StatementTest, Serializable_WriteSkewDoesNotCommitTwice) {
  const BranchId a = Begin("serializable");
  const BranchId b = Begin("serializable");
  Query(a, "SELECT sum(balance) FROM account");
  Query(b, "SELECT sum(balance) FROM account");
  Query(a, "UPDATE account SET balance=0 WHERE id=1");
  Query(b, "UPDATE account SET balance=0 WHERE id=2");
  const PrepareResult first = Prepare(a);
  const PrepareResult second = Prepare(b);
  EXPECT_EQ(first.vote, Vote::kPrepared) << first.detail;
  EXPECT_EQ(second.vote, Vote::kConflict) << second.detail;
  EXPECT_EQ(Commit(a).state, FinishState::kDone);
}

TEST_F(StatementTest, Scenario34_LockTimeout_ConflictAndTheBranchIsOver) {
  DatabaseOptions options = Options();
  options.lock_wait = Duration::Millis(100);
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
  const BranchId& winner = first == Code::OK ? a : b;
  EXPECT_EQ(Prepare(winner).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(winner).state, FinishState::kDone);
  EXPECT_EQ(Prepare(first == Code::OK ? b : a).vote, Vote::kLost);
}

TEST_F(StatementTest, RollbackWhileACallWaitsForALock_BothAreAnsweredAtOnce) {
  const BranchId holder = BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1");
  const BranchId branch = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
  const auto call =
      ExecuteLater(branch, {Stmt("UPDATE account SET balance=2 WHERE id=1")});
  EXPECT_TRUE(Eventually([&] {
    return Sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type='Lock'") ==
           "1";
  }));
  const double begin = testing::NowSeconds();
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_LT(testing::NowSeconds() - begin, 2.0);
  EXPECT_EQ(Rollback(holder).state, FinishState::kDone);
  // The session is used again, and no late cancel hits the next branch.
  const uint64_t connects = manager().Stats().connects;
  for (int i = 0; i < 20; ++i) {
    const BranchId next = BeginAndRun("UPDATE account SET balance=1 WHERE id=2");
    EXPECT_EQ(Rollback(next).state, FinishState::kDone);
  }
  EXPECT_EQ(manager().Stats().connects, connects);
}

}  // namespace
}  // namespace concordat::participant
