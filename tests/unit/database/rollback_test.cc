// A Rollback that comes while a call runs: in whatever order and way the call and the
// cancel request are answered, everybody is answered once, and with the truth.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/unit/database/fake_database.h"

namespace concordat::participant::database {
namespace {

using fake::BatchResult;

class CanceledCallTest : public ::testing::Test {
 protected:
  CanceledCallTest() : thread_(*rpc::LoopThread::Start()) {
    On([this] {
      PoolOptions options;
      options.max_connections = 1;
      options.wait = Duration::Seconds(1);
      pool_ = std::make_unique<fake::Work::Pool>(
          thread_->loop(), fake::Connection::Config(), options, &counters_);
      work_ = std::make_unique<fake::Work>(&options_, ClusterId(1), pool_.get(),
                                           &settler_, &count_, &counters_);
    });
  }
  ~CanceledCallTest() override {
    EXPECT_EQ(count_, 0u) << "the branch is still here";
    On([this] {
      pool_->Close("the test is over");
      work_.reset();
      pool_.reset();
    });
  }
  void On(const std::function<void()>& step) { thread_->RunSync(step); }

  // The call is under way, and a Rollback has come.
  void BeginCall(bool last) {
    id_.resource = "bank";
    id_.number = ++last_number_;
    count_ = 1;
    executed_ = {};
    rolled_back_ = again_ = {};
    settler_.ended = 0;
    request_.__set_prepare(last);
    On([this] {
      work_->Start(id_, "begin");
      work_->Execute(id_, request_, [this](wire::ExecuteReply r) {
        EXPECT_FALSE(executed_.has_value());
        executed_ = r.result.code;
      });
    });
    On([] {});  // the connection comes at the end of the first
    ASSERT_TRUE(fake::Connection::last()->busy());
  }
  void RollBack(std::optional<FinishResult>* result) {
    On([this, result] {
      work_->Rollback(id_, [result](FinishResult r) {
        EXPECT_FALSE(result->has_value()) << "answered twice";
        *result = std::move(r);
      });
    });
  }
  void BeginAndRollBack(bool last) {
    BeginCall(last);
    RollBack(&rolled_back_);
    EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
    EXPECT_FALSE(rolled_back_.has_value());
  }
  void AnswerCall(BatchResult r) {
    On([r] { fake::Connection::last()->Answer(r); });
  }
  void AnswerCancel(bool sent) {
    On([this, sent] { std::exchange(settler_.cancel, nullptr)(sent); });
  }
  // The call, and the cancel request, in this order or the other one.
  void AnswerBoth(BatchResult r, bool sent, bool call_first) {
    if (call_first) AnswerCall(r);
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerCancel(sent);
    if (!call_first) {
      EXPECT_FALSE(rolled_back_.has_value());
      AnswerCall(r);
    }
  }
  void ExpectRollback() {
    ASSERT_TRUE(fake::Connection::last()->busy());
    EXPECT_EQ(fake::Connection::last()->sent(), "rollback");
    EXPECT_FALSE(rolled_back_.has_value());
    AnswerCall({});
  }
  void ExpectFoundOut() {
    ASSERT_TRUE(settler_.find_out) << "nobody asks what became of the branch";
    EXPECT_FALSE(rolled_back_.has_value());
    On([this] { std::exchange(settler_.find_out, nullptr)(Evidence::kNone); });
  }
  void ExpectDone() {
    ASSERT_TRUE(rolled_back_.has_value());
    EXPECT_EQ(rolled_back_->state, FinishState::kDone);
    EXPECT_EQ(count_, 0u);
  }

  std::unique_ptr<rpc::LoopThread> thread_;
  const fake::Options options_;
  fake::Counters counters_;
  fake::Settler settler_;
  std::atomic<uint32_t> count_{0};
  std::unique_ptr<fake::Work::Pool> pool_;
  std::unique_ptr<fake::Work> work_;
  BranchId id_;
  uint64_t last_number_ = 0;
  wire::ExecuteRequest request_;
  std::optional<wire::Code::type> executed_;
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

TEST_F(CanceledCallTest, Scenario13_CallHasPrepared_TheSettlerRollsBack) {
  for (const bool call_first : {true, false}) {
    BeginAndRollBack(/*last=*/true);
    AnswerBoth({}, /*sent=*/true, call_first);
    ExpectDone();
    EXPECT_EQ(settler_.ended, 1);
  }
}

TEST_F(CanceledCallTest, Scenario13_CallIsLostAndMayHavePrepared_FoundOut) {
  for (const bool sent : {true, false}) {
    for (const bool call_first : {true, false}) {
      if (!sent && !call_first) continue;
      for (const bool lost : {true, false}) {
        BeginAndRollBack(/*last=*/true);
        AnswerBoth({.lost = lost, .failed = true, .may_have_prepared = true}, sent,
                   call_first);
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

// The participant asks again; neither of the two takes the other's answer away.
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
      BeginCall(/*last=*/true);
      AnswerCall({.failed = true});
      EXPECT_EQ(fake::Connection::last()->sent(), "undo");
      RollBack(&rolled_back_);
      EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
      AnswerBoth({.lost = lost}, /*sent=*/true, call_first);
      if (!lost) ExpectRollback();
      ExpectDone();
    }
  }
}

}  // namespace
}  // namespace concordat::participant::database
