// What statements may do in a branch, and how they end when they may not.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr const char* kSchema =
    "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL"
    " CHECK(balance>=0), owner TEXT UNIQUE);"
    "INSERT INTO account VALUES(1,100,'ann'),(2,200,'bob');"
    "CREATE TABLE heap(a, b);"
    "INSERT INTO heap VALUES(1,2);"
    "CREATE VIRTUAL TABLE words USING fts5(text);"
    "CREATE TABLE shown(id INTEGER PRIMARY KEY, a INT, twice INT AS (a*2) VIRTUAL);"
    "CREATE TABLE kept(id INTEGER PRIMARY KEY, a INT, twice INT AS (a*2) STORED UNIQUE);"
    "CREATE TABLE named(name TEXT PRIMARY KEY, x);"
    "CREATE TABLE everything(id INTEGER PRIMARY KEY, i, r REAL, t TEXT, b BLOB, n);"
    "CREATE VIEW rich AS SELECT * FROM account WHERE balance>150;"
    "CREATE TABLE heap_log(entry);"
    "CREATE TABLE logged(id INTEGER PRIMARY KEY);"
    "CREATE TRIGGER log_it AFTER INSERT ON logged BEGIN"
    " INSERT INTO heap_log VALUES(new.id); END;";

class StatementTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    Open(kSchema);
    id_ = Begin();
  }
  // The statement is refused with a text that says why; the branch stays active.
  void ExpectRefused(const std::string& sql, const std::string& why) {
    const wire::ExecuteReply reply = Try(id_, sql);
    EXPECT_EQ(reply.result.code, wire::Code::INVALID) << sql;
    EXPECT_NE(reply.result.message.find(why), std::string::npos)
        << sql << ": " << reply.result.message;
    EXPECT_EQ(Try(id_, "SELECT 1").result.code, wire::Code::OK);
  }
  BranchId id_;
};

TEST_F(StatementTest, Values_OfEveryType_GoInAndComeBack) {
  const std::string blob("\0\1\xff", 3);
  const std::string text("a\0b", 3);
  Run(id_, "INSERT INTO everything VALUES(?,?,?,?,?,?)",
      {Int(1), Int(INT64_MIN), Real(0.1), Text(text), Blob(blob), wire::Value()});
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id_).state, FinishState::kDone);
  const auto result = Run(Begin(), "SELECT i,r,t,b,n FROM everything")[0];
  EXPECT_EQ(result.columns, (std::vector<std::string>{"i", "r", "t", "b", "n"}));
  const auto& values = result.rows.at(0).values;
  EXPECT_EQ(values[0].integer, INT64_MIN);
  EXPECT_EQ(values[1].real, 0.1);
  EXPECT_EQ(values[2].text, text);
  EXPECT_EQ(values[3].blob, blob);
  EXPECT_EQ(values[4], wire::Value());
}

TEST_F(StatementTest, EmptyTextAndBlob_StayWhatTheyAre) {
  Run(id_, "INSERT INTO everything(id,t,b) VALUES(1,?,?)", {Text(""), Blob("")});
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id_).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT typeof(t),typeof(b),length(t),length(b) FROM everything"),
            "text,blob,0,0");
}

TEST_F(StatementTest, SeveralStatements_AreOneCallAllOrNothing) {
  wire::ExecuteReply reply =
      call_->Execute(id_, {Sql("UPDATE account SET balance=balance-50 WHERE id=1"),
                           Sql("SELECT balance FROM account WHERE id=1"),
                           Sql("UPDATE account SET balance=balance-60 WHERE id=1")});
  EXPECT_EQ(reply.result.code, wire::Code::CONDITION_FAILED);
  EXPECT_NE(reply.result.message.find("statement 3"), std::string::npos);
  EXPECT_NE(reply.result.message.find("CHECK"), std::string::npos);
  EXPECT_FALSE(reply.__isset.sql);
  EXPECT_EQ(
      Run(id_, "SELECT balance FROM account WHERE id=1")[0].rows[0].values[0].integer,
      100);
  EXPECT_EQ(call_->Prepare(id_).vote, Vote::kReadOnly);
}

TEST_F(StatementTest, Changed_CountsRowsOfEachStatement) {
  const wire::ExecuteReply reply =
      call_->Execute(id_, {Sql("UPDATE account SET balance=balance+1"),
                           Sql("DELETE FROM account WHERE id=77"),
                           Sql("INSERT INTO account VALUES(5,1,'eve') RETURNING id")});
  EXPECT_EQ(reply.sql[0].changed, 2);
  EXPECT_EQ(reply.sql[1].changed, 0);
  EXPECT_EQ(reply.sql[2].changed, 1);
  EXPECT_EQ(reply.sql[2].rows[0].values[0].integer, 5);
}

TEST_F(StatementTest, UniqueCollision_UndoesTheCallAndTheBranchLivesOn) {
  Run(id_, "UPDATE account SET balance=1 WHERE id=1");
  EXPECT_EQ(Try(id_, "UPDATE account SET owner='bob' WHERE id=1").result.code,
            wire::Code::CONDITION_FAILED);
  // In SQLite, OR FAIL keeps its first rows; a call is undone completely.
  EXPECT_EQ(
      Try(id_, "INSERT OR FAIL INTO account VALUES(8,1,'x'),(9,1,'bob')").result.code,
      wire::Code::CONDITION_FAILED);
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id_).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT * FROM account"), "1,1,ann|2,200,bob");
}

TEST_F(StatementTest, OrRollback_EndsTheBranch) {
  Run(id_, "UPDATE account SET balance=1 WHERE id=1");
  const BranchId other = Begin();
  Run(other, "UPDATE account SET balance=2 WHERE id=2");
  EXPECT_EQ(Try(id_, "INSERT OR ROLLBACK INTO account VALUES(1,1,'x')").result.code,
            wire::Code::RESOURCE_ERROR);
  EXPECT_EQ(Try(id_, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(call_->Prepare(other).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(other).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT * FROM account"), "1,100,ann|2,2,bob");
}

TEST_F(StatementTest, SchemaChangesAndConnectionState_AreRefused) {
  ExpectRefused("CREATE TABLE t(a PRIMARY KEY)", "changes of the schema");
  ExpectRefused("CREATE TEMP TABLE t(a PRIMARY KEY)", "changes of the schema");
  ExpectRefused("CREATE INDEX i ON account(balance)", "changes of the schema");
  ExpectRefused("CREATE VIEW v AS SELECT 1", "changes of the schema");
  ExpectRefused("CREATE TRIGGER t AFTER INSERT ON account BEGIN SELECT 1; END",
                "changes of the schema");
  ExpectRefused("DROP TABLE account", "changes of the schema");
  ExpectRefused("ALTER TABLE account ADD COLUMN x", "changes of the schema");
  ExpectRefused("ALTER TABLE account RENAME TO y", "changes of the schema");
  ExpectRefused("REINDEX", "changes of the schema");
  ExpectRefused("ANALYZE", "changes of the schema");
  ExpectRefused("PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys");
  ExpectRefused("PRAGMA table_info(account)", "PRAGMA table_info");
  ExpectRefused("ATTACH 'x.db' AS x", "ATTACH");
  ExpectRefused("DETACH main", "ATTACH");
  ExpectRefused("VACUUM", "VACUUM");
  ExpectRefused("BEGIN", "the coordinator ends it");
  ExpectRefused("COMMIT", "the coordinator ends it");
  ExpectRefused("ROLLBACK", "the coordinator ends it");
  ExpectRefused("SAVEPOINT s", "the coordinator ends it");
  ExpectRefused("RELEASE s", "the coordinator ends it");
  ExpectRefused("SELECT load_extension('x')", "load_extension");
  ExpectRefused("SELECT changes()", "changes() is refused");
  ExpectRefused("SELECT total_changes()", "total_changes() is refused");
}

TEST_F(StatementTest, SyntaxAndParameters_AreChecked) {
  ExpectRefused("SELEKT 1", "syntax error");
  ExpectRefused("", "empty statement");
  ExpectRefused("-- nothing", "empty statement");
  ExpectRefused("SELECT 1; SELECT 2", "one statement at a time");
  ExpectRefused("SELECT * FROM missing", "no such table");
  ExpectRefused("SELECT ?", "1 parameters, 0 were given");
  EXPECT_EQ(Try(id_, "SELECT 1; -- a comment").result.code, wire::Code::OK);
  EXPECT_EQ(Try(id_, "SELECT ?", {Int(1), Int(2)}).result.code, wire::Code::INVALID);
  EXPECT_EQ(call_->Execute(id_, {}).result.code, wire::Code::INVALID);
}

TEST_F(StatementTest, OurTables_AreNotForUsers) {
  for (const char* table :
       {"concordat_meta", "concordat_branches", "Concordat_Evidence"}) {
    ExpectRefused(std::string("SELECT * FROM ") + table, "Concordat's own");
    ExpectRefused(std::string("DELETE FROM ") + table, "Concordat's own");
  }
  ExpectRefused("INSERT INTO concordat_meta VALUES('a','b')", "Concordat's own");
  ExpectRefused("UPDATE concordat_meta SET value='x'", "Concordat's own");
  ExpectRefused("DELETE FROM sqlite_schema", "");
  ExpectRefused("INSERT INTO heap SELECT * FROM concordat_meta", "");
  Run(id_, "SELECT name FROM sqlite_schema");
}

TEST_F(StatementTest, TableWithoutPrimaryKey_IsReadButNotWritten) {
  EXPECT_EQ(Run(id_, "SELECT * FROM heap")[0].rows.size(), 1u);
  ExpectRefused("INSERT INTO heap VALUES(3,4)", "table heap has no PRIMARY KEY");
  ExpectRefused("UPDATE heap SET a=1", "table heap has no PRIMARY KEY");
  ExpectRefused("DELETE FROM heap", "table heap has no PRIMARY KEY");
  // This is reached by a trigger, too.
  ExpectRefused("INSERT INTO logged VALUES(1)", "table heap_log has no PRIMARY KEY");
  EXPECT_EQ(call_->Prepare(id_).vote, Vote::kReadOnly);
}

TEST_F(StatementTest, VirtualTableAndItsShadows_AreReadButNotWritten) {
  Run(id_, "SELECT * FROM words WHERE words MATCH 'x'");
  for (int i = 0; i < 3; ++i) {  // the first at the writer, then at a reader
    EXPECT_EQ(Run(Begin(), "SELECT value FROM json_each('[1,2,3]')")[0].rows.size(), 3u);
    EXPECT_EQ(Run(Begin(), "SELECT * FROM words WHERE words MATCH 'x'")[0].rows.size(),
              0u);
  }
  ExpectRefused("INSERT INTO words VALUES('hello')", "virtual table");
  ExpectRefused("DELETE FROM words_content", "");
}

TEST_F(StatementTest, VirtualGeneratedColumn_IsRefusedStoredOneIsKept) {
  ExpectRefused("INSERT INTO shown(id,a) VALUES(1,2)", "VIRTUAL generated column twice");
  Run(id_, "INSERT INTO kept(id,a) VALUES(1,2),(2,3)");
  Run(id_, "UPDATE kept SET a=a+10");
  Run(id_, "DELETE FROM kept WHERE id=2");
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id_).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT * FROM kept"), "1,12,24");
}

TEST_F(StatementTest, NullPrimaryKey_IsRefused) {
  ExpectRefused("INSERT INTO named VALUES(NULL,1)", "NULL in its PRIMARY KEY");
  Run(id_, "INSERT INTO named VALUES('a',1)");
  ExpectRefused("UPDATE named SET name=NULL", "NULL in its PRIMARY KEY");
}

TEST_F(StatementTest, NullPrimaryKeyInTheFile_IsNotTouched) {
  Query("INSERT INTO named VALUES(NULL,1)");
  ExpectRefused("DELETE FROM named", "NULL in its PRIMARY KEY");
}

TEST_F(StatementTest, View_IsReadable) {
  EXPECT_EQ(Run(id_, "SELECT id FROM rich")[0].rows.size(), 1u);
  ExpectRefused("DELETE FROM rich", "view");
}

TEST_F(StatementTest, LastInsertRowid_IsTheBranchsOwn) {
  Run(id_, "INSERT INTO account VALUES(50,1,'x')");
  const BranchId other = Begin();
  Run(other, "INSERT INTO account VALUES(60,1,'y')");
  EXPECT_EQ(Run(id_, "SELECT last_insert_rowid()")[0].rows[0].values[0].integer, 50);
  EXPECT_EQ(Run(other, "SELECT last_insert_rowid()")[0].rows[0].values[0].integer, 60);
}

TEST_F(StatementTest, EndlessStatement_IsStoppedAndTheBranchIsOver) {
  rm_.reset();
  options_.statement_time = Duration::Millis(100);
  options_.schema_sql.clear();
  Open();
  const std::string endless =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) ";
  for (const std::string& sql :
       {endless + "SELECT count(*) FROM n",
        endless + "INSERT INTO account SELECT i+1000, 1, i FROM n"}) {
    for (int round = 0; round < 2; ++round) {  // at the writer, then at a reader
      const BranchId id = Begin();
      EXPECT_EQ(Try(id, sql).result.code, wire::Code::TIMED_OUT);
      EXPECT_EQ(Try(id, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
    }
  }
  Commit("UPDATE account SET balance=7 WHERE id=1");
  EXPECT_EQ(Query("SELECT * FROM account"), "1,7,ann|2,200,bob");
}

TEST_F(StatementTest, TooManyRowsOrChanges_AreRefused) {
  rm_.reset();
  options_.max_result_bytes = 1000;
  options_.max_branch_bytes = 1000;
  options_.schema_sql.clear();
  Open();
  id_ = Begin();
  const std::string many =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) ";
  ExpectRefused(many + "SELECT i FROM n", "max_result_bytes");
  ExpectRefused(many + "INSERT INTO account SELECT i+1000, 1, i FROM n",
                "max_branch_bytes");
  EXPECT_EQ(call_->Prepare(id_).vote, Vote::kReadOnly);
}

// A frame limits the number of elements too.
TEST_F(StatementTest, MoreRowsOrValuesThanAnAnswerHolds_AreRefused) {
  const std::string many =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<16001) ";
  ExpectRefused(many + "SELECT i FROM n", "16000 rows");
  ExpectRefused(many + "SELECT i, i, i, i FROM n LIMIT 8000", "30000 values");
}

TEST_F(StatementTest, SchemaChangedByAnotherProgram_IsFollowed) {
  Run(id_, "UPDATE account SET balance=5 WHERE id=1");
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  Query(
      "CREATE TABLE fresh(id INTEGER PRIMARY KEY, x);"
      "ALTER TABLE account ADD COLUMN note TEXT DEFAULT 'none'");
  Commit("INSERT INTO fresh VALUES(1,2)");
  Commit("UPDATE account SET note='seen' WHERE id=2");
  // The branch was prepared before the column was there.
  EXPECT_EQ(call_->Commit(id_).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT id,balance,note FROM account"), "1,5,none|2,200,seen");
}

TEST_F(StatementTest, ColumnRenamedUnderAPreparedBranch_IsAnAlarm) {
  Run(id_, "UPDATE account SET balance=5 WHERE id=1");
  ASSERT_EQ(call_->Prepare(id_).vote, Vote::kPrepared);
  Query("ALTER TABLE account RENAME COLUMN balance TO amount");
  const FinishResult r = call_->Commit(id_);
  EXPECT_EQ(r.state, FinishState::kRetry);
  EXPECT_NE(r.detail.find("columns of table account"), std::string::npos) << r.detail;
  Query("ALTER TABLE account RENAME COLUMN amount TO balance");
  EXPECT_EQ(call_->Commit(id_).state, FinishState::kDone);
}

}  // namespace
}  // namespace concordat::participant
