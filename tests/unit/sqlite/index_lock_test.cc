// Unique keys that are not simply some columns: partial indexes, indexes on expressions,
// generated columns, keys whose collation is not that of their columns. Whatever votes
// PREPARED can be committed.
#include "absl/strings/str_cat.h"
#include "tests/unit/sqlite/lock_fixture.h"

namespace concordat::participant {
namespace {

using IndexLockTest = LockFixture;

constexpr const char* kPeople =
    "CREATE TABLE person(id INTEGER PRIMARY KEY, email TEXT, deleted INT);"
    "CREATE UNIQUE INDEX u ON person(email) WHERE deleted=0;"
    "INSERT INTO person VALUES(1,'a@x',1),(2,'a@x',1),(3,'b@x',0);";

TEST_F(IndexLockTest, PartialIndex_SameTupleInsertedTwice_SecondWaits) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a, active);"
      "CREATE UNIQUE INDEX i ON t(a) WHERE active;");
  ExpectWaits("INSERT INTO t VALUES(1,3,1)", "INSERT INTO t VALUES(2,3,1)",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, Scenario92_TwoRowsEnterAPartialIndexByItsPredicate_SecondWaits) {
  Open(kPeople);
  ExpectWaits("UPDATE person SET deleted=0 WHERE id=1",
              "UPDATE person SET deleted=0 WHERE id=2", wire::Code::CONDITION_FAILED);
  EXPECT_EQ(Query("SELECT id FROM person WHERE deleted=0 ORDER BY id"), "1|3");
}

TEST_F(IndexLockTest, Scenario92_InsertAgainstARowThatEntersByItsPredicate_Waits) {
  Open(kPeople);
  ExpectWaits("UPDATE person SET deleted=0 WHERE id=1",
              "INSERT INTO person VALUES(9,'a@x',0)", wire::Code::CONDITION_FAILED);
  ExpectWaits("INSERT INTO person VALUES(10,'c@x',0)",
              "UPDATE person SET email='c@x', deleted=0 WHERE id=2",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, Scenario92_TupleThatLeftByThePredicate_IsNotTakenBeforeTheEnd) {
  Open(kPeople);
  // When the first branch is rolled back, its place in the index must be free.
  ExpectWaits("UPDATE person SET deleted=1 WHERE id=3",
              "INSERT OR REPLACE INTO person VALUES(11,'b@x',0)");
  EXPECT_EQ(Query("SELECT id FROM person WHERE deleted=0"), "11");
}

TEST_F(IndexLockTest, PartialIndex_RowsOutsideOfIt_DoNotWait) {
  Open(kPeople);
  ExpectDoesNotWait("INSERT INTO person VALUES(20,'z@x',1)",
                    "INSERT INTO person VALUES(21,'z@x',1)");
  ExpectDoesNotWait("UPDATE person SET deleted=2 WHERE id=1",
                    "UPDATE person SET deleted=2 WHERE id=2");
  ExpectDoesNotWait("UPDATE person SET deleted=0 WHERE id=1",
                    "UPDATE person SET email='q@x', deleted=0 WHERE id=2");
}

// The predicate compares with the column's affinity: '0' is stored as 0.
TEST_F(IndexLockTest, PartialIndex_PredicateIsEvaluatedAsTheFileDoes) {
  Open(kPeople);
  ExpectWaits("INSERT INTO person VALUES(30,'t@x','0')",
              "INSERT INTO person VALUES(31,'t@x',0.0)", wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, IndexOnAnExpression_LocksItsTuples) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a, s TEXT COLLATE NOCASE);"
      "CREATE UNIQUE INDEX i ON t(a*a);"
      "CREATE UNIQUE INDEX j ON t(substr(s,1,2), length(s)) WHERE s<>'';");
  ExpectWaits("INSERT INTO t VALUES(1,3,'')", "INSERT INTO t VALUES(2,-3,'')",
              wire::Code::CONDITION_FAILED);
  ExpectWaits("INSERT INTO t VALUES(3,5,'abc')", "INSERT INTO t VALUES(4,6,'abd')",
              wire::Code::CONDITION_FAILED);
  ExpectDoesNotWait("INSERT INTO t VALUES(5,7,'xyz')", "INSERT INTO t VALUES(6,8,'xy')");
  ExpectDoesNotWait("INSERT INTO t VALUES(7,NULL,'')", "INSERT INTO t VALUES(8,NULL,'')");
}

TEST_F(IndexLockTest, IndexOnAnExpression_RowThatIsUpdatedIntoATuple_IsWaitedFor) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b);"
      "CREATE UNIQUE INDEX i ON t(a+b); INSERT INTO t VALUES(1,1,1),(2,10,10);");
  ExpectWaits("UPDATE t SET b=4 WHERE id=1", "UPDATE t SET a=-5 WHERE id=2",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, UniqueGeneratedColumn_IsLockedByItsValue) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, sq INT AS (a*a) STORED UNIQUE);"
      "CREATE UNIQUE INDEX i ON t(sq+1) WHERE sq>10;");
  ExpectWaits("INSERT INTO t(id,a) VALUES(1,4)", "INSERT INTO t(id,a) VALUES(2,-4)",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, PartialIndexOfATableWithoutRowid_IsLocked) {
  Open(
      "CREATE TABLE w(k TEXT PRIMARY KEY, a, on_ INT) WITHOUT ROWID;"
      "CREATE UNIQUE INDEX i ON w(a) WHERE on_; INSERT INTO w "
      "VALUES('x',1,0),('y',1,0);");
  ExpectWaits("UPDATE w SET on_=1 WHERE k='x'", "UPDATE w SET on_=1 WHERE k='y'",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, OldRowThatMayHaveADefault_LocksTheTable) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT); INSERT INTO t VALUES(1,5),(2,5);"
      "ALTER TABLE t ADD COLUMN gone INT DEFAULT 1;"
      "CREATE UNIQUE INDEX i ON t(a) WHERE gone=0;");
  ExpectWaits("UPDATE t SET gone=0 WHERE id=1", "UPDATE t SET gone=0 WHERE id=2",
              wire::Code::CONDITION_FAILED);
}

// When the old row is read before it is written, it shows NULL where the file has the
// default: it would seem to be in the index already.
TEST_F(IndexLockTest, OldRowThatSeemsToBeInTheIndex_LocksTheTable) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT); INSERT INTO t VALUES(1,5),(2,5);"
      "ALTER TABLE t ADD COLUMN gone INT DEFAULT 1;"
      "CREATE UNIQUE INDEX i ON t(a) WHERE gone IS NULL;");
  ExpectWaits("UPDATE t SET gone=NULL WHERE id=1", "UPDATE t SET gone=NULL WHERE id=2",
              wire::Code::CONDITION_FAILED);
}

// The key is given up without any value of it being seen.
TEST_F(IndexLockTest, ParentsKeyThatIsADefault_IsHeldWhenNullTakesItsPlace) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, a INT); INSERT INTO p VALUES(1,1);"
      "ALTER TABLE p ADD COLUMN k TEXT DEFAULT 'x'; CREATE UNIQUE INDEX u ON p(k);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, pk TEXT REFERENCES p(k));");
  ExpectWaits("UPDATE p SET k=NULL WHERE id=1", "INSERT INTO c VALUES(1,'x')",
              wire::Code::CONDITION_FAILED);
}

TEST_F(IndexLockTest, PartialIndexWithoutCase_TuplesThatCompareEqual_Wait) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, email TEXT, deleted INT);"
      "CREATE UNIQUE INDEX i ON t(email COLLATE NOCASE) WHERE deleted=0;");
  ExpectWaits("INSERT INTO t VALUES(1,'ann@x',0)", "INSERT INTO t VALUES(2,'ANN@x',0)",
              wire::Code::CONDITION_FAILED);
}

// The prepared branch has no lock on a tuple of an index that did not exist.
TEST_F(IndexLockTest, IndexMadeUnderAPreparedBranch_OthersWaitForItsEnd) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, a INT, gone INT);"
      "CREATE UNIQUE INDEX i ON t(a) WHERE gone=1;");
  int row = 0;
  for (const char* change : {"DROP INDEX i; CREATE UNIQUE INDEX i ON t(a) WHERE gone=0",
                             "DROP INDEX i; CREATE UNIQUE INDEX j ON t(a)"}) {
    ++row;
    const auto insert = [row](int id) {
      return absl::StrCat("INSERT INTO t VALUES(", id, ",", row, ",0)");
    };
    const BranchId a = Begin();
    Run(a, insert(row));
    ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
    Query(change);
    const BranchId b = Begin(older_++);
    PendingCall waiting = call_->Send(b, {Sql(insert(100 + row))});
    EXPECT_FALSE(waiting.IsDone()) << change;
    EXPECT_EQ(call_->Commit(a).state, FinishState::kDone);
    EXPECT_EQ(waiting.reply.get().result.code, wire::Code::CONDITION_FAILED) << change;
    call_->Rollback(b);
  }
}

TEST_F(IndexLockTest, IndexThatDependsOnTheHiddenRowid_TableIsRefused) {
  Open(
      "CREATE TABLE t(k TEXT PRIMARY KEY, a); CREATE UNIQUE INDEX i ON t(a) WHERE "
      "rowid>1;");
  const wire::ExecuteReply reply = Try(Begin(), "INSERT INTO t VALUES('a',1)");
  EXPECT_EQ(reply.result.code, wire::Code::INVALID);
  EXPECT_NE(reply.result.message.find("hidden rowid"), std::string::npos)
      << reply.result.message;
}

TEST_F(IndexLockTest, UniqueOnConflictReplace_TakesWhatItRunsInto) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, u TEXT UNIQUE ON CONFLICT REPLACE, x);"
      "INSERT INTO t VALUES(1,'a',1),(2,'b',2);");
  Commit("INSERT INTO t VALUES(3,'a',3)");
  EXPECT_EQ(Query("SELECT * FROM t"), "2,b,2|3,a,3");
  ExpectWaits("INSERT INTO t VALUES(4,'c',4)", "INSERT INTO t VALUES(5,'c',5)");
  EXPECT_EQ(Query("SELECT * FROM t"), "2,b,2|3,a,3|5,c,5");
}

// The key distinguishes 'a' and 'A', the column does not.
TEST_F(IndexLockTest, Scenario92_KeyThatIsFinerThanItsColumn_ChangesOneRow) {
  Open(
      "CREATE TABLE t(a TEXT COLLATE NOCASE, x INT, PRIMARY KEY(a COLLATE BINARY));"
      "INSERT INTO t VALUES('a',1),('A',1),('b',1),('B',1);");
  Commit("UPDATE t SET x=2 WHERE a='a' COLLATE BINARY");
  Commit("DELETE FROM t WHERE a='B' COLLATE BINARY");
  const BranchId alone = Begin();
  Run(alone, "UPDATE t SET x=3 WHERE a='A' COLLATE BINARY");
  EXPECT_EQ(call_->CommitOnePhase(alone).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Query("SELECT * FROM t ORDER BY a COLLATE BINARY"), "A,3|a,2|b,1");
}

TEST_F(IndexLockTest, Scenario92_KeyThatIsCoarserThanItsColumn_FindsItsRow) {
  Open(
      "CREATE TABLE t(a TEXT, x INT, PRIMARY KEY(a COLLATE NOCASE)) WITHOUT ROWID;"
      "INSERT INTO t VALUES('Ann',1);");
  ExpectWaits("INSERT INTO t VALUES('Bob',1)", "INSERT INTO t VALUES('BOB',1)",
              wire::Code::CONDITION_FAILED);
  ExpectWaits("UPDATE t SET x=2 WHERE a='Ann'", "UPDATE t SET x=3 WHERE a='Ann'",
              wire::Code::OK);
  Commit("UPDATE t SET a='aNN' WHERE a='Ann'");
  EXPECT_EQ(Query("SELECT * FROM t WHERE a<>'Bob'"), "aNN,3");
}

// SQLite looks up a parent in an index that compares as the parent's column does.
TEST_F(IndexLockTest, ParentWithASecondFinerIndex_IsLockedByTheRightOne) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE);"
      "CREATE UNIQUE INDEX coarse ON p(name);"
      "CREATE UNIQUE INDEX fine ON p(name COLLATE BINARY);"
      "CREATE UNIQUE INDEX some ON p(name COLLATE BINARY) WHERE id>100;"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p TEXT REFERENCES p(name));"
      "INSERT INTO p VALUES(1,'Ann');");
  ExpectWaits("INSERT INTO c VALUES(1,'ANN')", "UPDATE p SET name='Bob' WHERE id=1",
              wire::Code::CONDITION_FAILED);
}

// What a CHECK may depend on has changed when the branch is replayed.
TEST_F(IndexLockTest, CheckThatIsNotOfTheRowAlone_DoesNotKeepABranchFromCommitting) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, x, CHECK(last_insert_rowid()=0));");
  const BranchId id = Begin();
  Run(id, "INSERT INTO t VALUES(5,1)");
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  const FinishResult r = call_->Commit(id);
  EXPECT_EQ(r.state, FinishState::kDone) << r.detail;
}

}  // namespace
}  // namespace concordat::participant
