// Which branch waits for which, and which one loses: rows, unique tuples, parent keys,
// tables.
#include "tests/unit/sqlite/lock_fixture.h"

namespace concordat::participant {
namespace {

using LockTest = LockFixture;

TEST_F(LockTest, SameRow_SecondWaitsAndSeesTheFirstOnesResult) {
  Open(kAccounts);
  ExpectWaits("UPDATE account SET balance=balance-60 WHERE id=1",
              "UPDATE account SET balance=balance-60 WHERE id=1 AND balance>=60");
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "40");
}

TEST_F(LockTest, DifferentRows_DoNotWait) {
  Open(kAccounts);
  ExpectDoesNotWait("UPDATE account SET balance=balance-60 WHERE id=1",
                    "UPDATE account SET balance=balance-60 WHERE id=2");
  EXPECT_EQ(Query("SELECT * FROM account"), "1,40|2,140|3,300");
}

TEST_F(LockTest, SameNewPrimaryKey_SecondWaitsAndThenCollides) {
  Open(kAccounts);
  ExpectWaits("INSERT INTO account VALUES(7,1)", "INSERT INTO account VALUES(7,2)",
              wire::Code::CONDITION_FAILED);
}

TEST_F(LockTest, RowidHandedOutTwice_SecondWaitsAndGetsTheNext) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,'a');");
  ExpectWaits("INSERT INTO t(x) VALUES('b')", "INSERT INTO t(x) VALUES('c')");
  EXPECT_EQ(Query("SELECT * FROM t"), "1,a|2,b|3,c");
}

TEST_F(LockTest, HiddenRowid_IsNoReasonToWait) {
  Open("CREATE TABLE t(name TEXT PRIMARY KEY, x);");
  ExpectDoesNotWait("INSERT INTO t VALUES('b',1)", "INSERT INTO t VALUES('c',2)");
  EXPECT_EQ(Query("SELECT * FROM t ORDER BY name"), "b,1|c,2");
}

TEST_F(LockTest, SameUniqueTuple_SecondWaitsAndThenCollides) {
  Open("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b, UNIQUE(a,b));");
  ExpectWaits("INSERT INTO t VALUES(1,'x',1)", "INSERT INTO t VALUES(2,'x',1)",
              wire::Code::CONDITION_FAILED);
  ExpectDoesNotWait("INSERT INTO t VALUES(3,'x',NULL)",
                    "INSERT INTO t VALUES(4,'x',NULL)");
}

TEST_F(LockTest, UniqueTuplesThatOnlyCompareEqual_Wait) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, n UNIQUE, c TEXT UNIQUE COLLATE NOCASE,"
      " r TEXT COLLATE RTRIM UNIQUE);");
  ExpectWaits("INSERT INTO t VALUES(1,5,'a','a')", "INSERT INTO t VALUES(2,5.0,'b','b')",
              wire::Code::CONDITION_FAILED);
  ExpectWaits("INSERT INTO t VALUES(3,7,'Abc','c')",
              "INSERT INTO t VALUES(4,8,'aBC','d')", wire::Code::CONDITION_FAILED);
  ExpectWaits("INSERT INTO t VALUES(5,9,'e','e  ')", "INSERT INTO t VALUES(6,10,'f','e')",
              wire::Code::CONDITION_FAILED);
}

TEST_F(LockTest, UniqueTupleThatWasGivenUp_IsNotTakenBeforeTheEnd) {
  Open(
      "CREATE TABLE t(id INTEGER PRIMARY KEY, u UNIQUE);"
      "INSERT INTO t VALUES(1,'a'),(2,'b');");
  ExpectWaits("UPDATE t SET u='c' WHERE id=1", "INSERT OR REPLACE INTO t VALUES(3,'a')");
  EXPECT_EQ(Query("SELECT * FROM t"), "1,c|2,b|3,a");
}

TEST_F(LockTest, ParentOfANewChild_CannotGoBeforeTheChildsBranchEnds) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, x);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);"
      "INSERT INTO p VALUES(1,0),(2,0);");
  ExpectWaits("INSERT INTO c VALUES(1,1)", "DELETE FROM p WHERE id=1",
              wire::Code::CONDITION_FAILED);
  ExpectWaits("DELETE FROM p WHERE id=2", "INSERT INTO c VALUES(2,2)",
              wire::Code::CONDITION_FAILED);
  EXPECT_EQ(Query("PRAGMA foreign_key_check"), "");
}

TEST_F(LockTest, ChildrenOfOneParentAndItsOtherColumns_DoNotWait) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, x);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);"
      "INSERT INTO p VALUES(1,0);");
  ExpectDoesNotWait("INSERT INTO c VALUES(1,1)", "INSERT INTO c VALUES(2,1)");
  ExpectDoesNotWait("INSERT INTO c VALUES(3,1)", "UPDATE p SET x=x+1 WHERE id=1");
}

TEST_F(LockTest, ParentKeyOfAnotherType_LocksTheParentTable) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, x);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p TEXT REFERENCES p);"
      "INSERT INTO p VALUES(1,0);");
  ExpectWaits("INSERT INTO c VALUES(1,'1')", "DELETE FROM p WHERE id=1",
              wire::Code::CONDITION_FAILED);
}

TEST_F(LockTest, ParentByAUniqueKeyWithoutCase_IsTheSameKey) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p TEXT REFERENCES p(name));"
      "INSERT INTO p VALUES(1,'Ann');");
  ExpectWaits("INSERT INTO c VALUES(1,'ANN')", "UPDATE p SET name='Bob' WHERE id=1",
              wire::Code::CONDITION_FAILED);
}

TEST_F(LockTest, LocksOfUniqueTuplesAndParents_AreHeldAgainAfterARestart) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p, u UNIQUE);"
      "INSERT INTO p VALUES(1);");
  const BranchId a = Begin();
  Run(a, "INSERT INTO c VALUES(1,1,'x')");
  ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
  ASSERT_EQ(Reopen(), std::vector<BranchId>{a});
  PendingCall unique = call_->Send(Begin(), {Sql("INSERT INTO c VALUES(2,NULL,'x')")});
  PendingCall parent = call_->Send(Begin(), {Sql("DELETE FROM p WHERE id=1")});
  EXPECT_FALSE(unique.IsDone());
  EXPECT_FALSE(parent.IsDone());
  ASSERT_EQ(call_->Commit(a).state, FinishState::kDone);
  EXPECT_EQ(unique.reply.get().result.code, wire::Code::CONDITION_FAILED);
  EXPECT_EQ(parent.reply.get().result.code, wire::Code::CONDITION_FAILED);
}

// The second would wait for the end of the transaction, which waits for the second.
TEST_F(LockTest, Scenario102_LockOfABranchOfTheSameTransaction_IsRefusedAtOnce) {
  options_.lock_wait = Duration::Seconds(3600);
  Open(kAccounts);
  const BranchId first = MakeBranch(5, 1);
  const BranchId second = MakeBranch(5, 2);
  for (const BranchId& id : {first, second}) {
    StartOptions options;
    options.age = id.gtid;
    ASSERT_TRUE(rm_->Start(id, options).ok());
  }
  Run(second, "UPDATE account SET balance=0 WHERE id=1");
  const wire::ExecuteReply reply = Try(first, "DELETE FROM account WHERE id=1");
  EXPECT_EQ(reply.result.code, wire::Code::CONFLICT);
  EXPECT_NE(reply.result.message.find("same transaction"), std::string::npos);
  EXPECT_EQ(Try(first, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
  ASSERT_EQ(call_->Prepare(second).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(second).state, FinishState::kDone);
}

// The order is that of a KV shard, whatever group a gtid has: otherwise each of two
// transactions could be the older one at one resource.
TEST_F(LockTest, Age_IsTheTermAndTheSequenceBeforeTheGroup) {
  Open(kAccounts);
  BranchId young = MakeBranch(20);
  young.gtid.group = GroupId(1);
  BranchId old = MakeBranch(10);
  old.gtid.group = GroupId(2);
  for (const BranchId& id : {young, old}) {
    StartOptions options;
    options.age = id.gtid;
    ASSERT_TRUE(rm_->Start(id, options).ok());
  }
  Run(young, "UPDATE account SET balance=1 WHERE id=1");
  Run(old, "UPDATE account SET balance=balance+1 WHERE id=1");
  EXPECT_EQ(Try(young, "SELECT 1").result.code, wire::Code::CONFLICT);
}

TEST_F(LockTest, OlderBranch_TakesTheLockOfAYoungerActiveOne) {
  Open(kAccounts);
  const BranchId young = Begin(20);
  Run(young, "UPDATE account SET balance=1 WHERE id=1");
  const BranchId old = Begin(10);
  Run(old, "UPDATE account SET balance=balance+1 WHERE id=1");
  EXPECT_EQ(Try(young, "SELECT 1").result.code, wire::Code::CONFLICT);
  EXPECT_EQ(Try(young, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
  ASSERT_EQ(call_->CommitOnePhase(old).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "101");
}

TEST_F(LockTest, WoundedBranch_IsRefusedAtPrepareAndRolledBackInOnePhase) {
  Open(kAccounts);
  for (const bool one_phase : {false, true}) {
    const BranchId young = Begin();
    Run(young, "UPDATE account SET balance=1 WHERE id=1");
    const BranchId old = Begin(older_++);
    Run(old, "UPDATE account SET balance=2 WHERE id=1");
    if (one_phase) {
      EXPECT_EQ(call_->CommitOnePhase(young).outcome, OnePhase::kConflict);
    } else {
      EXPECT_EQ(call_->Prepare(young).vote, Vote::kConflict);
    }
    call_->Rollback(old);
  }
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "100");
}

TEST_F(LockTest, YoungerBranch_WaitsForAnOlderActiveOne) {
  Open(kAccounts);
  const BranchId old = Begin(10);
  Run(old, "UPDATE account SET balance=balance-1 WHERE id=1");
  const BranchId young = Begin(20);
  PendingCall waiting =
      call_->Send(young, {Sql("UPDATE account SET balance=balance-1 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  call_->Rollback(old);
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::OK);
}

TEST_F(LockTest, TwoBranchesInOppositeOrder_OneLosesNobodyHangs) {
  Open(kAccounts);
  const BranchId old = Begin(10);
  const BranchId young = Begin(20);
  Run(old, "UPDATE account SET balance=balance-1 WHERE id=1");
  Run(young, "UPDATE account SET balance=balance-1 WHERE id=2");
  PendingCall waiting =
      call_->Send(young, {Sql("UPDATE account SET balance=balance+1 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  Run(old, "UPDATE account SET balance=balance+1 WHERE id=2");
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::CONFLICT);
  ASSERT_EQ(call_->CommitOnePhase(old).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Query("SELECT * FROM account"), "1,99|2,201|3,300");
}

TEST_F(LockTest, WaitForAPreparedBranch_EndsWithAConflictAfterLockWait) {
  options_.lock_wait = Duration::Millis(50);
  Open(kAccounts);
  const BranchId a = Begin();
  Run(a, "UPDATE account SET balance=0 WHERE id=1");
  ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
  const BranchId b = Begin(1);
  Run(b, "UPDATE account SET balance=0 WHERE id=2");
  EXPECT_EQ(Try(b, "UPDATE account SET balance=0 WHERE id=1").result.code,
            wire::Code::CONFLICT);
  EXPECT_EQ(Try(b, "SELECT 1").result.code, wire::Code::BRANCH_GONE);
  // What b held is free again.
  Commit("UPDATE account SET balance=5 WHERE id=2");
}

TEST_F(LockTest, RollbackWhileExecuteWaits_AnswersItBranchGone) {
  Open(kAccounts);
  const BranchId a = Begin();
  Run(a, "UPDATE account SET balance=0 WHERE id=1");
  const BranchId b = Begin();
  PendingCall waiting = call_->Send(b, {Sql("UPDATE account SET balance=9 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  EXPECT_EQ(call_->Rollback(b).state, FinishState::kDone);
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(call_->CommitOnePhase(a).outcome, OnePhase::kCommitted);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "0");
}

TEST_F(LockTest, ManyWaiters_AllGetTheirTurn) {
  Open(kAccounts);
  const BranchId first = Begin();
  Run(first, "UPDATE account SET balance=balance+1 WHERE id=1");
  std::vector<BranchId> ids;
  std::vector<PendingCall> calls;
  for (int i = 0; i < 20; ++i) {
    ids.push_back(Begin());
    calls.push_back(call_->Send(
        ids.back(), {Sql("UPDATE account SET balance=balance+1 WHERE id=1")}));
  }
  ASSERT_EQ(call_->CommitOnePhase(first).outcome, OnePhase::kCommitted);
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].reply.get().result.code, wire::Code::OK);
    ASSERT_EQ(call_->CommitOnePhase(ids[i]).outcome, OnePhase::kCommitted);
  }
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "121");
}

TEST_F(LockTest, ReadersOfAParentKey_AreAllWokenWhenItsHolderEnds) {
  Open(
      "CREATE TABLE p(id INTEGER PRIMARY KEY, u UNIQUE);"
      "CREATE TABLE c(id INTEGER PRIMARY KEY, p INTEGER REFERENCES p(u));"
      "INSERT INTO p VALUES(1,5);");
  const BranchId a = Begin();
  Run(a, "DELETE FROM p WHERE id=1");
  std::vector<PendingCall> calls;
  for (int i = 0; i < 5; ++i) {
    calls.push_back(call_->Send(Begin(), {Sql("INSERT INTO c VALUES(?,5)", {Int(i)})}));
  }
  EXPECT_FALSE(calls.back().IsDone());
  call_->Rollback(a);
  for (PendingCall& call : calls) {
    EXPECT_EQ(call.reply.get().result.code, wire::Code::OK);
  }
}

TEST_F(LockTest, ReadCommitted_ReadsWhatIsCommittedAndNeverWaits) {
  Open(kAccounts);
  const BranchId a = Begin();
  Run(a, "UPDATE account SET balance=0 WHERE id=1");
  ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
  for (int i = 0; i < 3; ++i) {  // the first at the writer, then at a reader
    EXPECT_EQ(Run(Begin(), "SELECT balance FROM account WHERE id=1")[0]
                  .rows[0]
                  .values[0]
                  .integer,
              100);
  }
  const BranchId reader = Begin();
  Run(reader, "SELECT balance FROM account WHERE id=1");
  ASSERT_EQ(call_->Commit(a).state, FinishState::kDone);
  EXPECT_EQ(
      Run(reader, "SELECT balance FROM account WHERE id=1")[0].rows[0].values[0].integer,
      0);
}

TEST_F(LockTest, Serializable_ReadOfAWrittenTableWaits) {
  Open(kAccounts);
  const BranchId a = Begin();
  Run(a, "UPDATE account SET balance=0 WHERE id=1");
  ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
  const BranchId reader = Begin(2000, "serializable");
  PendingCall waiting = call_->Send(reader, {Sql("SELECT sum(balance) FROM account")});
  EXPECT_FALSE(waiting.IsDone());
  ASSERT_EQ(call_->Commit(a).state, FinishState::kDone);
  EXPECT_EQ(waiting.reply.get().sql[0].rows[0].values[0].integer, 500);
}

TEST_F(LockTest, Serializable_WriterWaitsForAnOlderReaderUntilItsPrepare) {
  Open(kAccounts);
  const BranchId reader = Begin(1, "serializable");
  Run(reader, "SELECT sum(balance) FROM account");
  const BranchId writer = Begin();
  PendingCall waiting =
      call_->Send(writer, {Sql("UPDATE account SET balance=0 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  EXPECT_EQ(call_->Prepare(reader).vote, Vote::kReadOnly);
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::OK);
}

TEST_F(LockTest, Serializable_ReaderThatWritesLater_StillKeepsWritersOut) {
  Open(kAccounts);
  const BranchId reader = Begin(1, "serializable");
  Run(reader, "SELECT sum(balance) FROM account");
  Run(reader, "INSERT INTO account VALUES(9,900)");
  const BranchId writer = Begin();
  PendingCall waiting =
      call_->Send(writer, {Sql("UPDATE account SET balance=0 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  EXPECT_EQ(call_->CommitOnePhase(reader).outcome, OnePhase::kCommitted);
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::OK);
}

TEST_F(LockTest, Serializable_WriteSkewIsImpossible) {
  // Two branches each check that the sum allows a debit from the other one's row.
  for (const std::string isolation : {"serializable", "read-committed"}) {
    rm_.reset();
    path_ = folder_.File(isolation);
    Open(kAccounts);
    const std::string debit =
        "UPDATE account SET balance=balance-400 WHERE id=? AND"
        " (SELECT sum(balance) FROM account)>=400";
    const BranchId a = Begin(10, isolation);
    const BranchId b = Begin(20, isolation);
    PendingCall one = call_->Send(a, {Sql(debit, {Int(1)})});
    ASSERT_EQ(one.reply.get().result.code, wire::Code::OK);
    PendingCall two = call_->Send(b, {Sql(debit, {Int(2)})});
    const bool waited = !two.IsDone();
    EXPECT_EQ(waited, isolation == "serializable");
    ASSERT_EQ(call_->CommitOnePhase(a).outcome, OnePhase::kCommitted);
    EXPECT_EQ(two.reply.get().result.code, wire::Code::OK);
    ASSERT_EQ(call_->CommitOnePhase(b).outcome, OnePhase::kCommitted);
    // Serializable prevents what read-committed may allow.
    EXPECT_EQ(Query("SELECT sum(balance) FROM account"),
              isolation == "serializable" ? "200" : "-200");
  }
}

TEST_F(LockTest, UpdateThatChangesNothing_LocksTheRow) {
  Open(kAccounts);
  const BranchId a = Begin(10);
  EXPECT_EQ(Run(a, "UPDATE account SET id=id WHERE id=1 RETURNING balance")[0]
                .rows[0]
                .values[0]
                .integer,
            100);
  PendingCall waiting =
      call_->Send(Begin(20), {Sql("UPDATE account SET balance=0 WHERE id=1")});
  EXPECT_FALSE(waiting.IsDone());
  Run(a, "UPDATE account SET balance=99 WHERE id=1");
  ASSERT_EQ(call_->CommitOnePhase(a).outcome, OnePhase::kCommitted);
  EXPECT_EQ(waiting.reply.get().result.code, wire::Code::OK);
}

}  // namespace
}  // namespace concordat::participant
