// A test that is the same for every database: the answer to a commit in one phase is lost
// and the client never asks again (scenario 98). Lost is the database's fixture, whose
// server can be killed.
#ifndef TESTS_SUPPORT_DATABASE_TESTS_LOST_ALONE_H_
#define TESTS_SUPPORT_DATABASE_TESTS_LOST_ALONE_H_

#include <gtest/gtest.h>

#include "tests/support/manager_calls.h"

namespace concordat::participant {

template <class Lost, class Options>
class LostAlone : public Lost {
 protected:
  // Scans often, and admits one branch.
  [[nodiscard]] Options OnePlace() const {
    Options options = Lost::Options();
    options.settle_patience = Duration::Millis(200);
    options.scan_interval = Duration::Millis(50);
    options.max_branches = 1;
    return options;
  }
  // Expects that the only branch, whose client was told UNKNOWN, is removed without
  // anybody asking.
  void ExpectLetGo(const BranchId& branch, Evidence evidence) {
    BranchId next;
    EXPECT_TRUE(Eventually([&] {
      next = this->NextBranch();
      return this->manager().Start(next, {}).ok();
    })) << "the place of the lost branch is not free";
    EXPECT_EQ(this->LookUp(branch), evidence);
    EXPECT_EQ(this->Rollback(next).state, FinishState::kDone);
  }
  void ExpectHeld() { EXPECT_FALSE(this->manager().Start(this->NextBranch(), {}).ok()); }
};

}  // namespace concordat::participant

#endif  // TESTS_SUPPORT_DATABASE_TESTS_LOST_ALONE_H_
