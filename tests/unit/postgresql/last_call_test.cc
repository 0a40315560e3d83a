// Calls that also prepare their branch (unsolicited votes).
#include <gtest/gtest.h>

#include <string>

#include "tests/unit/postgresql/support.h"
// Of the above:
#include "tests/support/database_tests/last_call_tests.h"

namespace concordat::participant {
namespace {

// PREPARE TRANSACTION reports a serialization failure. The transaction may be run again.
TEST_F(LastCallTest, Serializable_FailureToPrepareIsAConflict) {
  const BranchId one = Begin("serializable");
  const BranchId two = Begin("serializable");
  for (const BranchId& branch : {one, two}) {
    (void)Query(branch, "SELECT sum(balance) FROM account WHERE id<3");
  }
  const wire::ExecuteReply first =
      ExecuteLast(one, {Stmt("UPDATE account SET balance=balance-60 WHERE id=1")});
  EXPECT_TRUE(HasVoted(first)) << first.result.message;
  const wire::ExecuteReply second =
      ExecuteLast(two, {Stmt("UPDATE account SET balance=balance-60 WHERE id=2")});
  EXPECT_EQ(second.result.code, Code::CONFLICT) << second.result.message;
  EXPECT_EQ(Commit(one).state, FinishState::kDone);
  EXPECT_EQ(Execute(two, "SELECT 1").result.code, Code::BRANCH_GONE);
}

}  // namespace
}  // namespace concordat::participant
