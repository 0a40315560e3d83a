// A Rollback comes while a call runs. In whatever order and way the call and the cancel
// request are answered, every caller gets one answer, and that is true.
#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "tests/unit/database/executor_fixture.h"

namespace concordat::participant::database {
namespace {

class CanceledCallTest : public ExecutorTest {
 protected:
  void RollBack(std::optional<FinishResult>* result) {
    On([this, result] {
      executor_->Rollback(id_, [result](FinishResult r) {
        EXPECT_FALSE(result->has_value()) << "answered twice";
        *result = std::move(r);
      });
    });
  }
  // The call is under way, and a Rollback has come.
  void BeginAndRollBack(bool last) {
    rolled_back_ = again_ = {};
    BeginCall(last);
    RollBack(&rolled_back_);
    EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
    EXPECT_FALSE(rolled_back_.has_value());
  }
  void AnswerCancel(bool sent) { AnswerSettle("cancel", {.failed = !sent}); }
  // The call, and the cancel request, in this order or the other one.
  void AnswerBoth(const FakeAnswer& r, bool sent, bool call_first) {
    if (call_first) AnswerCall(r);
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerCancel(sent);
    if (!call_first) {
      EXPECT_FALSE(rolled_back_.has_value());
      AnswerCall(r);
    }
  }
  void ExpectRollback() {
    ASSERT_TRUE(Work()->busy());
    EXPECT_EQ(Work()->sent(), "rollback");
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerCall({});
  }
  void ExpectFoundOut() {
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerSettle("session?", {});
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerSettle("evidence?", {});
  }
  void ExpectDone() {
    ASSERT_TRUE(rolled_back_.has_value());
    EXPECT_EQ(rolled_back_->state, FinishState::kDone);
    EXPECT_EQ(count_, 0u);
    // If the session was lost, the server is asked about it.
    if (Settle()->busy()) AnswerSettle("session?", {});
  }

  std::optional<FinishResult> rolled_back_, again_;
};

TEST_F(CanceledCallTest, Scenario13_CallEnds_RolledBackOnceBothAreAnswered) {
  for (const bool sent : {true, false}) {
    for (const bool call_first : {true, false}) {
      if (!sent && !call_first) continue;  // closes the connection: below
      for (const bool failed : {true, false}) {
        BeginAndRollBack(/*last=*/false);
        AnswerBoth({.failed = failed}, sent, call_first);
        ExpectRollback();
        ExpectDone();
      }
    }
  }
}

TEST_F(CanceledCallTest, Scenario13_CallHasPrepared_TheResolverRollsBack) {
  for (const bool call_first : {true, false}) {
    BeginAndRollBack(/*last=*/true);
    AnswerBoth({}, /*sent=*/true, call_first);
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerSettle("rollback prepared", {});
    ExpectDone();
  }
}

TEST_F(CanceledCallTest, Scenario13_CallIsLostAndMayHavePrepared_FoundOut) {
  for (const bool sent : {true, false}) {
    for (const bool call_first : {true, false}) {
      if (!sent && !call_first) continue;
      for (const bool lost : {true, false}) {
        BeginAndRollBack(/*last=*/true);
        AnswerBoth({.lost = lost, .failed_last = true}, sent, call_first);
        ExpectFoundOut();
        ExpectDone();
      }
    }
  }
}

TEST_F(CanceledCallTest, Scenario13_CallIsLostAndDoesNotPrepare_Done) {
  for (const bool call_first : {true, false}) {
    BeginAndRollBack(/*last=*/false);
    AnswerBoth({.lost = true}, /*sent=*/true, call_first);
    ExpectDone();
  }
}

TEST_F(CanceledCallTest, Scenario13_CancelCannotBeSent_TheConnectionIsClosed) {
  BeginAndRollBack(/*last=*/false);
  AnswerCancel(false);
  ExpectDone();
  BeginAndRollBack(/*last=*/true);
  AnswerCancel(false);
  ExpectFoundOut();
  ExpectDone();
}

// The participant repeats the Rollback. Both are answered.
TEST_F(CanceledCallTest, Scenario13_SecondRollbackMeanwhile_IsToTryAgain) {
  for (const bool last : {true, false}) {
    BeginAndRollBack(last);
    RollBack(&again_);
    ASSERT_TRUE(again_.has_value());
    EXPECT_EQ(again_->state, FinishState::kRetry);
    AnswerBoth({.lost = last}, /*sent=*/true, /*call_first=*/true);
    again_ = {};
    RollBack(&again_);
    ASSERT_TRUE(last ? again_.has_value() : !again_.has_value());
    if (last) {
      EXPECT_EQ(again_->state, FinishState::kRetry);
      ExpectFoundOut();
    } else {
      ExpectRollback();
      ASSERT_TRUE(again_.has_value());
      EXPECT_EQ(again_->state, FinishState::kDone);
    }
    ExpectDone();
  }
}

// The failed call is being undone when the Rollback comes.
TEST_F(CanceledCallTest, Scenario13_RollbackWhileACallIsUndone_RolledBackOnce) {
  for (const bool call_first : {true, false}) {
    for (const bool lost : {true, false}) {
      rolled_back_ = {};
      BeginCall(/*last=*/true);
      AnswerCall({.failed = true});
      EXPECT_EQ(Work()->sent(), "rollback");
      RollBack(&rolled_back_);
      EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
      AnswerBoth({.lost = lost}, /*sent=*/true, call_first);
      if (!lost) ExpectRollback();
      ExpectDone();
    }
  }
}

// Another attempt may succeed when the server can be reached again.
TEST_F(CanceledCallTest, Scenario101_ConnectionLostWhileACallIsUndone_BranchGone) {
  BeginCall(/*last=*/false);
  AnswerCall({.failed = true});
  EXPECT_EQ(Work()->sent(), "rollback");
  AnswerCall({.lost = true});
  EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
}

}  // namespace
}  // namespace concordat::participant::database
