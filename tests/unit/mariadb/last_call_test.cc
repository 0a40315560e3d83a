// Calls that also prepare their branch (unsolicited votes).
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/mariadb/support.h"
// Of the above:
#include "tests/support/database_tests/last_call_tests.h"

namespace concordat::participant {
namespace {

TEST_F(LastCallTest, WritesThatCannotBeRolledBack_EndTheBranchAndSayWhatStays) {
  Sql("CREATE TABLE notes(t varchar(20)) ENGINE=Aria");
  const BranchId branch = BeginAndRun(kUpdate);
  const wire::ExecuteReply reply =
      ExecuteLast(branch, {Stmt("INSERT INTO notes VALUES ('stays')")});
  EXPECT_EQ(reply.result.code, Code::RESOURCE_ERROR);
  EXPECT_FALSE(HasVoted(reply));
  EXPECT_TRUE(Prepared().empty());
  EXPECT_EQ(Balance(1), "100");
  Sql("DROP TABLE notes");
}

// The results of statements after a CALL would be hard to tell from its own.
TEST_F(LastCallTest, Procedure_IsNotPreparedWithItsCall) {
  Sql("CREATE PROCEDURE take() MODIFIES SQL DATA UPDATE account SET balance=balance-1");
  const BranchId branch = BeginAndRun(kUpdate);
  const wire::ExecuteReply reply = ExecuteLast(branch, {Stmt("CALL take()")});
  EXPECT_EQ(reply.result.code, Code::OK) << reply.result.message;
  EXPECT_FALSE(HasVoted(reply));
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

}  // namespace
}  // namespace concordat::participant
