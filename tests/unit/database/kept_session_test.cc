// For databases where a prepared branch stays with the session that prepared it. That
// session ends the branch, and another one does so only once that one is seen to be gone.
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "tests/unit/database/executor_fixture.h"

namespace concordat::participant::database {
namespace {

class KeptSessionTest : public ExecutorTest {
 protected:
  KeptSessionTest() : ExecutorTest(/*prepared_stays=*/true) {}
  void PrepareABranch() {
    BeginCall(/*last=*/true);
    AnswerCall({});
    EXPECT_EQ(executed_, wire::Code::OK);
  }
  void Commit() {
    On([this] {
      resolver_->End(id_, /*commit=*/true, [this](FinishResult r) {
        EXPECT_FALSE(committed_.has_value()) << "answered twice";
        committed_ = std::move(r);
      });
    });
  }
  void ExpectCommitted() {
    ASSERT_TRUE(committed_.has_value());
    EXPECT_EQ(committed_->state, FinishState::kDone);
  }
  // Waits until the resolver has sent a batch. A repetition comes after a pause.
  void AwaitSettle() {
    for (int i = 0; i < 10'000 && (Settle() == nullptr || !Settle()->busy()); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      On([] {});
    }
  }

  std::optional<FinishResult> committed_;
};

TEST_F(KeptSessionTest, Commit_IsThatSessions) {
  PrepareABranch();
  Commit();
  EXPECT_EQ(Work()->sent(), "commit here");
  EXPECT_EQ(Settle(), nullptr);
  AnswerCall({});
  ExpectCommitted();
}

TEST_F(KeptSessionTest, CommitLost_AnotherSessionCommitsWhenThatOneIsGone) {
  PrepareABranch();
  Commit();
  AnswerCall({.lost = true});
  EXPECT_FALSE(committed_.has_value());
  AwaitSettle();
  AnswerSettle("session?", {});
  EXPECT_FALSE(committed_.has_value());
  AnswerSettle("commit prepared", {});
  ExpectCommitted();
}

TEST_F(KeptSessionTest, SessionLostBefore_AnotherOneCommitsWhenItIsGone) {
  PrepareABranch();
  On([this] { Work()->Close("the test has cut the line"); });
  Commit();
  AwaitSettle();
  AnswerSettle("session?", {});
  AnswerSettle("commit prepared", {});
  ExpectCommitted();
}

// The session whose commit was not answered may still be ending the branch.
TEST_F(KeptSessionTest, CommitElsewhereLost_ThatSessionIsSeenToBeGone) {
  PrepareABranch();
  On([this] { Work()->Close("the test has cut the line"); });
  Commit();
  AwaitSettle();
  AnswerSettle("session?", {});
  AnswerSettle("commit prepared", {.lost = true});
  EXPECT_FALSE(committed_.has_value());
  AwaitSettle();
  AnswerSettle("session?", {});
  AnswerSettle("commit prepared", {});
  ExpectCommitted();
}

}  // namespace
}  // namespace concordat::participant::database
