// Another program writes to the file during a branch. Before the vote the branch can be
// refused; a branch that has voted can only be kept waiting.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class ForeignWriteTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    Open(kSchema);
  }
  static constexpr const char* kSchema =
      "CREATE TABLE IF NOT EXISTS account(id INTEGER PRIMARY KEY, owner TEXT, "
      "balance INTEGER NOT NULL);"
      "INSERT OR IGNORE INTO account VALUES(1,'a',100),(2,'b',200),(3,'c',300);"
      "CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, x);";

  // A branch changes account 1, and another program does `foreign`. The branch may
  // neither vote yes nor commit in one phase, and the reason contains `why`.
  void ExpectRefused(const std::string& foreign, const std::string& why) {
    const BranchId two_phase = Begin();
    Run(two_phase, "UPDATE account SET balance=balance-10 WHERE id=1");
    const BranchId one_phase = Begin();
    Run(one_phase, "UPDATE account SET owner='z', balance=balance-10 WHERE id=2");
    Query(foreign);
    const PrepareResult vote = call_->Prepare(two_phase);
    EXPECT_EQ(vote.vote, Vote::kRefused) << foreign;
    EXPECT_NE(vote.detail.find(why), std::string::npos) << vote.detail;
    const OnePhaseResult alone = call_->CommitOnePhase(one_phase);
    EXPECT_EQ(alone.outcome, OnePhase::kRefused) << foreign;
    EXPECT_NE(alone.detail.find(why), std::string::npos) << alone.detail;
    EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
    // None of their locks are held.
    const BranchId next = Begin();
    Run(next, "DELETE FROM account");
    EXPECT_EQ(call_->Rollback(next).state, FinishState::kDone);
  }
};

TEST_F(ForeignWriteTest, ColumnRenamedBeforePrepare_IsRefused) {
  ExpectRefused("ALTER TABLE account RENAME COLUMN balance TO amount",
                "columns of table account");
}

TEST_F(ForeignWriteTest, TableDroppedBeforePrepare_IsRefused) {
  ExpectRefused("DROP TABLE account; CREATE TABLE account(id INTEGER PRIMARY KEY)",
                "account");
}

TEST_F(ForeignWriteTest, UniqueIndexMadeBeforePrepare_IsRefused) {
  ExpectRefused("CREATE UNIQUE INDEX i ON account(owner)", "unique keys");
}

TEST_F(ForeignWriteTest, RowsChangedBeforePrepare_IsRefused) {
  ExpectRefused("UPDATE account SET balance=1 WHERE id<3", "not as the branch left it");
}

TEST_F(ForeignWriteTest, RowsDeletedBeforePrepare_IsRefused) {
  ExpectRefused("DELETE FROM account", "not as the branch left it");
}

TEST_F(ForeignWriteTest, KeyTakenBeforePrepare_IsRefused) {
  const BranchId id = Begin();
  Run(id, "INSERT INTO log VALUES(1,'mine')");
  Query("INSERT INTO log VALUES(1,'theirs')");
  const PrepareResult vote = call_->Prepare(id);
  EXPECT_EQ(vote.vote, Vote::kRefused);
  EXPECT_NE(vote.detail.find("collides"), std::string::npos) << vote.detail;
  EXPECT_EQ(Query("SELECT * FROM log"), "1,theirs");
}

TEST_F(ForeignWriteTest, OtherRowsAndTablesChanged_IsNoReason) {
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=balance-10 WHERE id=1");
  Query(
      "UPDATE account SET balance=7 WHERE id=3; INSERT INTO log VALUES(5,5);"
      "CREATE TABLE fresh(x); CREATE INDEX plain ON account(balance);"
      "ALTER TABLE account ADD COLUMN note TEXT");
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "100");
  ASSERT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT balance FROM account ORDER BY id"), "90|200|7");
}

// The index is made after the branch has voted: the branch has no locks in it.
TEST_F(ForeignWriteTest, UniqueIndexMadeAfterTheVote_NobodyTakesTheBranchsTuple) {
  const BranchId id = Begin();
  Run(id, "INSERT INTO account VALUES(4,'d',1)");
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  Query("CREATE UNIQUE INDEX i ON account(owner)");
  for (const bool restarted : {false, true}) {
    if (restarted) {
      ASSERT_EQ(Reopen(), std::vector<BranchId>{id});
    }
    const BranchId other = Begin(restarted ? 2 : 1);
    PendingCall waits = call_->Send(other, {Sql("INSERT INTO account VALUES(5,'d',1)")});
    EXPECT_FALSE(waits.IsDone()) << "restarted " << restarted;
    EXPECT_EQ(call_->Rollback(other).state, FinishState::kDone);
    EXPECT_EQ(waits.reply.get().result.code, wire::Code::BRANCH_GONE);
  }
  ASSERT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT * FROM account WHERE id>3"), "4,d,1");
}

}  // namespace
}  // namespace concordat::participant
