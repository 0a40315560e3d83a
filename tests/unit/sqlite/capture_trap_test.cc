// Where a replay could differ from the statements: triggers, foreign-key actions,
// REPLACE, AUTOINCREMENT, WITHOUT ROWID, collations, added columns.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class CaptureTrapTest : public SqliteFixture {
 protected:
  // Runs the statements in one branch, each in a call of its own, and commits it.
  void RunAndCommit(const std::vector<std::string>& statements) {
    const BranchId id = Begin();
    for (const std::string& sql : statements) Run(id, sql);
    ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
    const FinishResult r = call_->Commit(id);
    ASSERT_EQ(r.state, FinishState::kDone) << r.detail;
  }
};

TEST_F(CaptureTrapTest, Triggers_FireOnceNotAgainOnCommit) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x INT);"
      "CREATE TABLE log(id INTEGER PRIMARY KEY, entry TEXT);"
      "CREATE TABLE total(id INTEGER PRIMARY KEY, n INT); INSERT INTO total VALUES(1,0);"
      "CREATE TRIGGER a AFTER INSERT ON t BEGIN"
      " INSERT INTO log(entry) VALUES('in '||new.x);"
      " UPDATE total SET n=n+new.x; END;"
      "CREATE TRIGGER b BEFORE UPDATE ON t BEGIN"
      " INSERT INTO log(entry) VALUES('up '||old.x||'>'||new.x); END;"
      "CREATE TRIGGER c BEFORE DELETE ON t BEGIN"
      " INSERT INTO log(entry) VALUES('out '||old.x); END;");
  RunAndCommit({"INSERT INTO t VALUES(1,5),(2,6)", "UPDATE t SET x=x+1 WHERE id=1",
                "DELETE FROM t WHERE id=2"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,6");
  EXPECT_EQ(Query("SELECT * FROM log"), "1,in 5|2,in 6|3,up 5>6|4,out 6");
  EXPECT_EQ(Query("SELECT n FROM total"), "11");
}

TEST_F(CaptureTrapTest, InsteadOfTrigger_IsCapturedThroughTheView) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x INT);"
      "CREATE VIEW v AS SELECT * FROM t;"
      "CREATE TRIGGER a INSTEAD OF INSERT ON v BEGIN"
      " INSERT INTO t VALUES(new.id, new.x*2); END;");
  RunAndCommit({"INSERT INTO v VALUES(1,5)"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,10");
}

TEST_F(CaptureTrapTest, RaiseInATrigger_FailsTheCall) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x INT);"
      "CREATE TRIGGER a BEFORE INSERT ON t WHEN new.x<0 BEGIN"
      " SELECT RAISE(ABORT,'no debts'); END;");
  const BranchId id = Begin();
  const auto reply = Try(id, "INSERT INTO t VALUES(1,5),(2,-1)");
  EXPECT_EQ(reply.result.code, wire::Code::CONDITION_FAILED);
  EXPECT_NE(reply.result.message.find("no debts"), std::string::npos);
  EXPECT_EQ(call_->Prepare(id).vote, Vote::kReadOnly);
}

TEST_F(CaptureTrapTest, ForeignKeyActions_AreDoneOnce) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE CASCADE"
      " ON UPDATE CASCADE);"
      "CREATE TABLE n(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p ON DELETE SET NULL);"
      "INSERT INTO p VALUES(1),(2); INSERT INTO c VALUES(10,1),(11,1),(12,2);"
      "INSERT INTO n VALUES(20,1);");
  RunAndCommit({"DELETE FROM p WHERE id=1", "UPDATE p SET id=3 WHERE id=2"});
  EXPECT_EQ(Query("SELECT * FROM p"), "3");
  EXPECT_EQ(Query("SELECT * FROM c"), "12,3");
  EXPECT_EQ(Query("SELECT * FROM n"), "20,NULL");
}

TEST_F(CaptureTrapTest, ForeignKeyViolation_FailsTheCall) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);");
  EXPECT_EQ(Try(Begin(), "INSERT INTO c VALUES(1,5)").result.code,
            wire::Code::CONDITION_FAILED);
}

TEST_F(CaptureTrapTest, DeferredForeignKey_MustHoldAtTheEndOfEachCall) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY,"
      " p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED);");
  const BranchId id = Begin();
  const auto reply = Try(id, "INSERT INTO c VALUES(1,5)");
  EXPECT_EQ(reply.result.code, wire::Code::CONDITION_FAILED);
  EXPECT_NE(reply.result.message.find("deferred"), std::string::npos);
  EXPECT_EQ(call_
                ->Execute(id, {Sql("INSERT INTO c VALUES(1,5)"),
                               Sql("INSERT INTO p VALUES(5)")})
                .result.code,
            wire::Code::OK);
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT * FROM c"), "1,5");
}

TEST_F(CaptureTrapTest, Replace_RemovesWhatItRanInto) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE, x);"
      "INSERT INTO t VALUES(1,'a',1),(2,'b',2),(3,'c',3);");
  RunAndCommit({"REPLACE INTO t VALUES(1,'b',9)",
                "UPDATE OR REPLACE t SET u='c' WHERE id=1",
                "INSERT INTO t VALUES(1,'q',0) ON CONFLICT(id) DO UPDATE SET x=x+1",
                "INSERT OR IGNORE INTO t VALUES(1,'zz',0),(7,'z',0)"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,c,10|7,z,0");
}

TEST_F(CaptureTrapTest, DeleteOfAWholeTable_IsSeen) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES(1),(2),(3);");
  RunAndCommit({"DELETE FROM t"});
  EXPECT_EQ(Query("SELECT count(*) FROM t"), "0");
}

// The row is older than the column: it shows NULL before it is written, and after.
TEST_F(CaptureTrapTest, NullInThePlaceOfAnAddedColumnsDefault_IsWritten) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT); INSERT INTO t VALUES(1,5),(2,6);"
      "ALTER TABLE t ADD COLUMN note TEXT DEFAULT 'none';");
  RunAndCommit({"UPDATE t SET note=NULL WHERE id=1"});
  RunAndCommit({"UPDATE t SET a=7, note=NULL WHERE id=2"});
  EXPECT_EQ(Query("SELECT id, a, note IS NULL FROM t"), "1,5,1|2,7,1");
  RunAndCommit({"UPDATE t SET a=8, note=NULL WHERE id=2"});
  EXPECT_EQ(Query("SELECT id, a, note IS NULL FROM t"), "1,5,1|2,8,1");
}

TEST_F(CaptureTrapTest, UniqueValuesThatSwap_AreChangedInTheSameOrder) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, u INT UNIQUE);"
      "INSERT INTO t VALUES(1,10),(2,20);");
  RunAndCommit({"UPDATE t SET u=0 WHERE id=1", "UPDATE t SET u=10 WHERE id=2",
                "UPDATE t SET u=20 WHERE id=1"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,20|2,10");
}

TEST_F(CaptureTrapTest, PrimaryKeyThatChanges_MovesTheRow) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,'a'),(2,'b');"
      "CREATE TABLE w(a TEXT, b TEXT, x, PRIMARY KEY(b,a)) WITHOUT ROWID;"
      "INSERT INTO w VALUES('a','b',1),('c','d',2);");
  RunAndCommit({"UPDATE t SET id=id+10 WHERE id=1", "UPDATE t SET id=1, x='c' WHERE id=2",
                "UPDATE w SET a='z' WHERE a='a'", "UPDATE w SET x=x+1",
                "REPLACE INTO w VALUES('c','d',9)", "DELETE FROM w WHERE a='z'"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,c|11,a");
  EXPECT_EQ(Query("SELECT * FROM w"), "c,d,9");
}

TEST_F(CaptureTrapTest, TextPrimaryKeyWithoutCase_FindsItsRow) {
  Open(
      "CREATE TABLE t(name TEXT PRIMARY KEY COLLATE NOCASE, x);"
      "INSERT INTO t VALUES('Ann',1);");
  RunAndCommit({"UPDATE t SET name='ANN', x=2 WHERE name='ann'"});
  EXPECT_EQ(Query("SELECT * FROM t"), "ANN,2");
  RunAndCommit({"DELETE FROM t WHERE name='aNn'"});
  EXPECT_EQ(Query("SELECT count(*) FROM t"), "0");
}

TEST_F(CaptureTrapTest, Autoincrement_NeverHandsOutAnOldNumber) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, x);");
  RunAndCommit({"INSERT INTO t(x) VALUES('a'),('b')", "DELETE FROM t WHERE x='b'"});
  EXPECT_EQ(Query("SELECT seq FROM sqlite_sequence"), "2");
  RunAndCommit({"DELETE FROM t"});
  RunAndCommit({"INSERT INTO t(x) VALUES('c')"});
  EXPECT_EQ(Query("SELECT * FROM t"), "3,c");
}

TEST_F(CaptureTrapTest, ColumnAddedLater_OldRowsKeepItsDefault) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,1),(2,2),(3,3);"
      "ALTER TABLE t ADD COLUMN y INT DEFAULT 5;"
      "CREATE UNIQUE INDEX xy ON t(x,y);");
  RunAndCommit({"UPDATE t SET x=x+10 WHERE id=1", "UPDATE t SET y=y+1 WHERE id=2",
                "DELETE FROM t WHERE id=3"});
  EXPECT_EQ(Query("SELECT * FROM t"), "1,11,5|2,2,6");
}

TEST_F(CaptureTrapTest, StorageClasses_SurviveExactly) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, r REAL, n NUMERIC, any, b BLOB);");
  RunAndCommit({"INSERT INTO t VALUES(1, 5, '12', '12', x'00ff')",
                "INSERT INTO t VALUES(2, 9007199254740993, 1e300, 1.0, 'text')",
                "UPDATE t SET r=r+0.5, any=any WHERE id=1"});
  EXPECT_EQ(Query("SELECT id,r,typeof(r),n,typeof(n),any,typeof(any),typeof(b) FROM t"),
            "1,5.5,real,12,integer,12,text,blob|"
            "2,9.00719925474099e+15,real,1.0e+300,real,1.0,real,text");
}

TEST_F(CaptureTrapTest, InsertAndDeleteInOneBranch_LeavesNothing) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);");
  RunAndCommit({"INSERT INTO t VALUES(1,'a')", "DELETE FROM t",
                "INSERT INTO t VALUES(2,'a')", "DELETE FROM t"});
  EXPECT_EQ(Query("SELECT count(*) FROM t"), "0");
}

TEST_F(CaptureTrapTest, NamesThatNeedQuotes_AreQuoted) {
  Open("CREATE TABLE \"a \"\"b\"(\"the key\" INTEGER PRIMARY KEY, \"select\" TEXT);");
  RunAndCommit(
      {"INSERT INTO \"a \"\"b\" VALUES(1,'x')", "UPDATE \"a \"\"b\" SET \"select\"='y'"});
  EXPECT_EQ(Query("SELECT * FROM \"a \"\"b\""), "1,y");
}

TEST_F(CaptureTrapTest, OneLargeBranch_IsWrittenWhole) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT);");
  RunAndCommit(
      {"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE"
       " i<20000) INSERT INTO t SELECT i, hex(randomblob(50)) FROM n",
       "UPDATE t SET x=x||'!' WHERE id%2=0"});
  EXPECT_EQ(Query("SELECT count(*), sum(length(x)) FROM t"), "20000,2010000");
}

}  // namespace
}  // namespace concordat::participant
