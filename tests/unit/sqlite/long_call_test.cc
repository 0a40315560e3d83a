// Long calls: others' prepares and commits do not wait for them, and they end at the
// caller's deadline. A call that would never end stands for a long one, so nothing here
// depends on the speed of the machine.
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr const char* kEndless =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) ";

class LongCallTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    options_.statement_time = Duration::Seconds(3600);
    options_.lock_wait = Duration::Seconds(3600);
  }
  PendingCall SendEndless(const BranchId& id, const std::string& what) {
    return call_->Send(id, {Sql(kEndless + what)});
  }
  PendingCall SendWithDeadline(const BranchId& id, const std::string& sql, int32_t ms) {
    PendingCall call;
    call.request = std::make_unique<wire::ExecuteRequest>(participant::Call({Sql(sql)}));
    call.request->context.__set_deadline_ms(ms);
    auto promise = std::make_shared<std::promise<wire::ExecuteReply>>();
    call.reply = promise->get_future();
    rm_->Execute(id, *call.request, [promise](wire::ExecuteReply reply) {
      promise->set_value(std::move(reply));
    });
    return call;
  }
  // Whole transactions of others run while the long call goes on.
  void ExpectOthersGoOn(const PendingCall& endless) {
    for (int i = 0; i < 3; ++i) {
      Commit("UPDATE account SET balance=balance+1 WHERE id=1");
      const BranchId alone = Begin();
      Run(alone, "UPDATE account SET balance=balance+1 WHERE id=2");
      EXPECT_EQ(call_->CommitOnePhase(alone).outcome, OnePhase::kCommitted);
      EXPECT_EQ(Run(Begin(), "SELECT count(*) FROM account")[0].rows.size(), 1u);
    }
    EXPECT_FALSE(endless.IsDone());
  }
  void ExpectRolledBack(const BranchId& id, PendingCall* endless) {
    EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
    EXPECT_EQ(endless->reply.get().result.code, wire::Code::BRANCH_GONE);
  }
};

TEST_F(LongCallTest, Scenario100_EndlessWrite_OthersPrepareAndCommit) {
  Open(kAccounts);
  const BranchId id = Begin();
  PendingCall endless = SendEndless(id,
                                    "UPDATE account SET balance=(SELECT max(i) FROM n)"
                                    " WHERE id=3");
  ExpectOthersGoOn(endless);
  ExpectRolledBack(id, &endless);
  Commit("UPDATE account SET balance=0 WHERE id=3");
}

TEST_F(LongCallTest, Scenario100_EndlessWriteAfterOtherWork_OthersPrepareAndCommit) {
  Open(kAccounts);
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=7 WHERE id=3");
  PendingCall endless = SendEndless(id, "SELECT max(i) FROM n");
  ExpectOthersGoOn(endless);
  ExpectRolledBack(id, &endless);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=3"), "300");
}

// A query in a branch without changes goes on in parallel to the writer, from its
// snapshot.
TEST_F(LongCallTest, Scenario100_EndlessQuery_RunsBesideTheWriter) {
  Open(kAccounts);
  for (const char* isolation : {"read-committed", "serializable"}) {
    const BranchId id = Begin(next_++, isolation);
    PendingCall endless = SendEndless(id, "SELECT max(i) FROM n");
    ExpectOthersGoOn(endless);
    ExpectRolledBack(id, &endless);
  }
}

TEST_F(LongCallTest, Close_StopsAnEndlessQueryAndAnEndlessWrite) {
  Open(kAccounts);
  PendingCall query = SendEndless(Begin(), "SELECT max(i) FROM n");
  PendingCall write = SendEndless(Begin(),
                                  "UPDATE account SET balance=(SELECT max(i)"
                                  " FROM n)");
  Run(Begin(), "SELECT 1");
  rm_.reset();
  EXPECT_EQ(query.reply.get().result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(write.reply.get().result.code, wire::Code::BRANCH_GONE);
}

TEST_F(LongCallTest, Scenario100_LongQueryThatIsSerializable_LocksWhatItReads) {
  Open(kAccounts);
  const BranchId id = Begin(1, "serializable");
  PendingCall endless = SendEndless(id,
                                    "SELECT max(i), (SELECT sum(balance) FROM account)"
                                    " FROM n");
  // While this call runs in the writer it is stopped for that one; then it has its locks.
  const BranchId reader = Begin();
  Run(reader, "SELECT 1");
  const BranchId writer = Begin();
  PendingCall waits = call_->Send(writer, {Sql("DELETE FROM account")});
  EXPECT_FALSE(waits.IsDone());
  ExpectRolledBack(writer, &waits);
  ExpectRolledBack(id, &endless);
}

TEST_F(LongCallTest,
       Scenario100_WriteThatIsStoppedAgainAndAgain_IsToldSoAndTheBranchLives) {
  options_.lock_wait = Duration::Millis(400);
  Open(kAccounts);
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=7 WHERE id=3");
  PendingCall endless = SendEndless(id,
                                    "UPDATE account SET balance=(SELECT max(i) FROM n)"
                                    " WHERE id=2");
  while (!endless.IsDone()) Commit("UPDATE account SET balance=balance+1 WHERE id=1");
  const wire::ExecuteReply reply = endless.reply.get();
  EXPECT_EQ(reply.result.code, wire::Code::OVERLOADED);
  EXPECT_NE(reply.result.message.find("while others are at work"), std::string::npos)
      << reply.result.message;
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(id).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id>1"), "200|7");
}

// Two long calls do not stop each other without end.
TEST_F(LongCallTest, TwoLongWrites_BothEnd) {
  Open(kAccounts);
  const std::string lasts =
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n"
      " WHERE i<300000) UPDATE account SET balance="
      "(SELECT max(i) FROM n) WHERE id=";
  const BranchId a = Begin();
  const BranchId b = Begin();
  PendingCall first = call_->Send(a, {Sql(lasts + "1")});
  PendingCall second = call_->Send(b, {Sql(lasts + "2")});
  EXPECT_EQ(first.reply.get().result.code, wire::Code::OK);
  EXPECT_EQ(second.reply.get().result.code, wire::Code::OK);
}

TEST_F(LongCallTest, DeadlineOfTheCaller_StopsAWriteAndFreesItsRows) {
  Open(kAccounts);
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=7 WHERE id=3");
  PendingCall call = SendWithDeadline(
      id, std::string(kEndless) + "UPDATE account SET balance=(SELECT max(i) FROM n)",
      200);
  const wire::ExecuteReply reply = call.reply.get();
  EXPECT_EQ(reply.result.code, wire::Code::TIMED_OUT);
  EXPECT_NE(reply.result.message.find("deadline"), std::string::npos)
      << reply.result.message;
  Commit("UPDATE account SET balance=8 WHERE id=3");
}

TEST_F(LongCallTest, DeadlineOfTheCaller_EndsAWaitForALockToo) {
  Open(kAccounts);
  const BranchId holder = Begin();
  Run(holder, "UPDATE account SET balance=7 WHERE id=3");
  PendingCall call = SendWithDeadline(Begin(), "DELETE FROM account WHERE id=3", 200);
  const wire::ExecuteReply reply = call.reply.get();
  EXPECT_EQ(reply.result.code, wire::Code::TIMED_OUT);
  EXPECT_NE(reply.result.message.find("deadline"), std::string::npos)
      << reply.result.message;
}

TEST_F(LongCallTest, Scenario96_EndlessRows_AreStoppedAtTheLimitWhileTheyArrive) {
  Open(kAccounts);
  for (const char* row : {"i", "hex(zeroblob(100000))", "zeroblob(50000000)"}) {
    const BranchId id = Begin();
    const auto reply = Try(id, std::string(kEndless) + "SELECT " + row + " FROM n");
    EXPECT_EQ(reply.result.code, wire::Code::INVALID) << row;
    EXPECT_NE(reply.result.message.find("max_result_bytes"), std::string::npos)
        << reply.result.message;
    EXPECT_EQ(call_->Prepare(id).vote, Vote::kReadOnly);
  }
}

TEST_F(LongCallTest, Scenario96_ValueLongerThanABranchMayWrite_IsRefused) {
  options_.max_branch_bytes = 2 << 20;
  Open(kAccounts);
  const auto reply = Try(Begin(), "SELECT length(hex(zeroblob(2000000)))");
  EXPECT_EQ(reply.result.code, wire::Code::INVALID);
  EXPECT_NE(reply.result.message.find("too big"), std::string::npos)
      << reply.result.message;
}

// As in all resources: the number of rows that the statement found, whether they have
// changed or not.
TEST_F(LongCallTest, Changed_CountsTheRowsFound) {
  Open(kAccounts);
  const BranchId id = Begin();
  const auto changed = [&](const std::string& sql) { return Run(id, sql)[0].changed; };
  EXPECT_EQ(changed("UPDATE account SET balance=balance"), 3);
  EXPECT_EQ(changed("UPDATE account SET balance=0 WHERE id=99"), 0);
  EXPECT_EQ(changed("INSERT INTO account VALUES(4,1),(5,1) RETURNING id"), 2);
  EXPECT_EQ(changed("INSERT OR IGNORE INTO account VALUES(4,1)"), 0);
  EXPECT_EQ(changed("INSERT INTO account VALUES(4,1) ON CONFLICT DO UPDATE SET "
                    "balance=2"),
            1);
  EXPECT_EQ(changed("DELETE FROM account"), 5);
  EXPECT_TRUE(Run(id, "DELETE FROM account RETURNING id")[0].__isset.changed);
  EXPECT_FALSE(Run(id, "SELECT 1")[0].__isset.changed);
}

}  // namespace
}  // namespace concordat::participant
