// A test that is the same for every database: COMMIT and ROLLBACK come after the end of
// their branch (scenario 17), when its connection is used by the next one. Lost is the
// database's fixture; kUpdate takes 5 from an account that has 100.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_LATE_MESSAGES_H_
#define TESTS_SUPPORT_DATABASE_TESTS_LATE_MESSAGES_H_

#include <gtest/gtest.h>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

template <class Lost, class Options>
class LateMessages : public Lost {
 protected:
  void ComeLate() {
    Options options = Lost::Options();
    options.max_connections = 1;
    options.settle_connections = 1;
    this->Open(options);
    const BranchId committed = this->BeginAndPrepare(Lost::kUpdate);
    EXPECT_EQ(this->Commit(committed).state, FinishState::kDone);
    const BranchId rolled_back = this->BeginAndPrepare(Lost::kUpdate);
    EXPECT_EQ(this->Rollback(rolled_back).state, FinishState::kDone);
    const BranchId next = this->BeginAndRun(Lost::kUpdate);
    EXPECT_EQ(this->Commit(committed).state, FinishState::kDone);
    EXPECT_EQ(this->Rollback(rolled_back).state, FinishState::kDone);
    EXPECT_EQ(this->Rollback(committed).state, FinishState::kHeuristicCommit);
    this->Query(next, "SELECT 1");
    EXPECT_EQ(this->Prepare(next).vote, Vote::kPrepared);
    EXPECT_EQ(this->Commit(committed).state, FinishState::kDone);
    EXPECT_EQ(this->Rollback(rolled_back).state, FinishState::kDone);
    EXPECT_EQ(this->LookUp(next), Evidence::kPrepared);
    EXPECT_EQ(this->Commit(next).state, FinishState::kDone);
    EXPECT_EQ(this->Balance(), "90");
  }
};

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_LATE_MESSAGES_H_
