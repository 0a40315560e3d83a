// Checks in one line which branch waits for which.
#ifndef TESTS_UNIT_SQLITE_LOCK_FIXTURE_H_
#define TESTS_UNIT_SQLITE_LOCK_FIXTURE_H_

#include <string>

#include "tests/unit/sqlite/support.h"

namespace concordat::participant {

class LockFixture : public SqliteFixture {
 protected:
  // Runs two branches. The first prepares after `first`; the second, older or not, must
  // wait with `second` until the first has ended. Then both are committed.
  void ExpectWaits(const std::string& first, const std::string& second,
                   wire::Code::type then = wire::Code::OK) {
    const BranchId a = Begin();
    Run(a, first);
    ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
    const BranchId b = Begin(older_++);
    PendingCall waiting = call_->Send(b, {Sql(second)});
    EXPECT_FALSE(waiting.IsDone()) << second << " did not wait for " << first;
    ASSERT_EQ(call_->Commit(a).state, FinishState::kDone);
    EXPECT_EQ(waiting.reply.get().result.code, then) << second;
    if (then == wire::Code::OK) {
      const Vote vote = call_->Prepare(b).vote;
      ASSERT_NE(vote, Vote::kRefused);
      if (vote == Vote::kPrepared) {
        ASSERT_EQ(call_->Commit(b).state, FinishState::kDone);
      }
    } else {
      call_->Rollback(b);
    }
  }
  void ExpectDoesNotWait(const std::string& first, const std::string& second) {
    const BranchId a = Begin();
    Run(a, first);
    ASSERT_EQ(call_->Prepare(a).vote, Vote::kPrepared);
    const BranchId b = Begin();
    PendingCall other = call_->Send(b, {Sql(second)});
    EXPECT_EQ(other.reply.get().result.code, wire::Code::OK) << second;
    ASSERT_EQ(call_->Prepare(b).vote, Vote::kPrepared);
    // In the other order.
    FinishResult r = call_->Commit(b);
    ASSERT_EQ(r.state, FinishState::kDone) << r.detail;
    r = call_->Commit(a);
    ASSERT_EQ(r.state, FinishState::kDone) << r.detail;
  }
  uint64_t older_ = 1;
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_SQLITE_LOCK_FIXTURE_H_
