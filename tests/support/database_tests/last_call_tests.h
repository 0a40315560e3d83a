// Tests of calls that also prepare their branch (unsolicited votes). They are the same
// for every database that has a two-phase commit itself. A database's test includes this
// file after its support.h, which defines DatabaseTest and TestedOptions.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_LAST_CALL_TESTS_H_
#define TESTS_SUPPORT_DATABASE_TESTS_LAST_CALL_TESTS_H_

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

using wire::Code;

class LastCallTest : public DatabaseTest {
 protected:
  static constexpr char kUpdate[] = "UPDATE account SET balance=balance-5 WHERE id=1";

  LastCallTest() { Open(); }
  std::string Balance(int id) {
    return Sql("SELECT balance FROM account WHERE id=" + std::to_string(id));
  }
  // Whether the reply says that the call has prepared the branch.
  static bool HasVoted(const wire::ExecuteReply& reply) {
    return reply.__isset.prepared && reply.prepared;
  }
};

TEST_F(LastCallTest, Writes_ArePreparedWithTheCall_AndCommitWhenTold) {
  const BranchId branch = Begin();
  const wire::ExecuteReply reply = ExecuteLast(branch, {Stmt(kUpdate)});
  EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_TRUE(HasVoted(reply));
  EXPECT_EQ(reply.sql.at(0).changed, 1);
  EXPECT_EQ(Prepared().size(), 1u);
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "95");
  EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
}

TEST_F(LastCallTest, SecondCall_PreparesWhatTheFirstHasWrittenToo) {
  const BranchId branch = BeginAndRun(kUpdate);
  EXPECT_TRUE(HasVoted(
      ExecuteLast(branch, {Stmt("UPDATE account SET balance=balance+5 WHERE id=2"),
                           Stmt("SELECT balance FROM account WHERE id=2")})));
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1) + " " + Balance(2), "95 105");
}

TEST_F(LastCallTest, PreparedByItsCall_RollsBackWhenTold) {
  const BranchId branch = Begin();
  EXPECT_TRUE(HasVoted(ExecuteLast(branch, {Stmt(kUpdate)})));
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(EvidenceRows(), "0");
}

// The transaction may need the branch's read locks while it works elsewhere.
TEST_F(LastCallTest, Reads_AreNotPrepared_AndVoteReadOnlyWhenAsked) {
  const BranchId branch = Begin();
  const wire::ExecuteReply reply =
      ExecuteLast(branch, {Stmt("SELECT balance FROM account WHERE id=1")});
  EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_FALSE(HasVoted(reply));
  EXPECT_EQ(Prepare(branch).vote, Vote::kReadOnly);
}

TEST_F(LastCallTest, ConditionThatDoesNotHold_IsNotPrepared_AndTheBranchLivesOn) {
  const BranchId branch = BeginAndRun(kUpdate);
  const wire::ExecuteReply reply =
      ExecuteLast(branch, {Stmt("INSERT INTO account VALUES (1, 5)")});
  EXPECT_EQ(reply.result.code, Code::CONDITION_FAILED) << reply.result.message;
  EXPECT_FALSE(HasVoted(reply));
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "95");
}

TEST_F(LastCallTest, TooManyRows_SaysSoOfAPreparedBranch_WhichRollsBackWhenTold) {
  TestedOptions options = Options();
  options.max_result_bytes = 1000;
  Open(options);
  const BranchId branch = BeginAndRun(kUpdate);
  const wire::ExecuteReply reply =
      ExecuteLast(branch, {Stmt("SELECT repeat('x', 2000)")});
  EXPECT_EQ(reply.result.code, Code::INVALID);
  EXPECT_TRUE(HasVoted(reply));
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "100");
}

TEST_F(LastCallTest, RollbackWhileItWaitsForALock_BothAreAnsweredAndNothingIsLeft) {
  const BranchId holder = BeginAndRun(kUpdate);
  const BranchId branch = Begin();
  const auto call = ExecuteLastLater(branch, {Stmt(kUpdate)});
  EXPECT_FALSE(call->reply.WaitFor(Duration::Millis(150)));
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(call->reply.Get().result.code, Code::BRANCH_GONE);
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Prepare(holder).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(holder).state, FinishState::kDone);
  EXPECT_EQ(Balance(1), "95");
}

// Whenever the Rollback comes, nothing stays prepared, nothing is lost, and the
// connections can be used again.
TEST_F(LastCallTest, Scenario13_RollbackAtAnyMoment_NothingStaysPrepared) {
  for (int i = 0; i < 100; ++i) {
    const BranchId branch = Begin();
    const auto call = ExecuteLastLater(branch, {Stmt(kUpdate)});
    std::this_thread::sleep_for(std::chrono::microseconds(i * 20));
    FinishResult result = Rollback(branch);
    while (result.state == FinishState::kRetry) result = Rollback(branch);
    EXPECT_EQ(result.state, FinishState::kDone) << result.detail;
    (void)call->reply.Get();
  }
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(1), "100");
  EXPECT_EQ(EvidenceRows(), "0");
}

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_LAST_CALL_TESTS_H_
