// A Rollback that comes while a call runs: in whatever order and way the call and the
// cancel request are answered, everybody is answered once, and with the truth.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "participant/resources/database/branch_executor.h"
#include "tests/unit/database/fake_dialect.h"

namespace concordat::participant::database {
namespace {

class CanceledCallTest : public ::testing::Test {
 protected:
  CanceledCallTest() : thread_(*rpc::LoopThread::Start()) {
    options_.max_result_bytes = 1000;
    On([this] {
      rpc::EventLoop* const loop = thread_->loop();
      dialect_.Open(loop, {ClusterId(1), "bank"}, nullptr, &counters_);
      PoolOptions options;
      options.max_connections = 1;
      options.wait = Duration::Seconds(10);
      work_pool_ = std::make_unique<Pool>(
          loop, [this] { return dialect_.NewSession(SessionUse::kWork); }, options);
      settle_pool_ = std::make_unique<Pool>(
          loop, [this] { return dialect_.NewSession(SessionUse::kSettle); }, options);
      resolver_ = std::make_unique<InDoubtResolver>(loop, &dialect_, settle_pool_.get(),
                                                    work_pool_.get(),
                                                    Duration::Seconds(10), &counters_);
      executor_ = std::make_unique<BranchExecutor>(&options_, &dialect_, work_pool_.get(),
                                                   resolver_.get(), &count_, &counters_);
    });
  }
  ~CanceledCallTest() override {
    EXPECT_EQ(count_, 0u) << "the branch is still here";
    On([this] {
      resolver_->StopRetrying();
      work_pool_->Close("the test is over");
      settle_pool_->Close("the test is over");
      executor_.reset();
      resolver_.reset();
      work_pool_.reset();
      settle_pool_.reset();
      dialect_.Close();
    });
  }
  // Returns when all that follows from it is done, too.
  void On(const std::function<void()>& step) {
    thread_->RunSync(step);
    thread_->RunSync([] {});  // a connection comes at the end of the first
  }
  std::shared_ptr<FakeSession> Work() { return dialect_.session(SessionUse::kWork); }
  std::shared_ptr<FakeSession> Settle() { return dialect_.session(SessionUse::kSettle); }

  // The call is under way, and a Rollback has come.
  void BeginCall(bool last) {
    id_.resource = "bank";
    id_.number = ++last_number_;
    count_ = 1;
    executed_ = {};
    rolled_back_ = again_ = {};
    request_.__set_prepare(last);
    request_.__set_sql({1, wire::SqlStatement()});
    On([this] {
      executor_->Start(id_, "begin");
      executor_->Execute(id_, request_, [this](wire::ExecuteReply r) {
        EXPECT_FALSE(executed_.has_value());
        executed_ = r.result.code;
      });
    });
    ASSERT_TRUE(Work()->busy());
  }
  void RollBack(std::optional<FinishResult>* result) {
    On([this, result] {
      executor_->Rollback(id_, [result](FinishResult r) {
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
  void AnswerCall(const FakeAnswer& answer) {
    On([this, answer] { Work()->Answer(answer); });
  }
  // What the resolver has sent last.
  void AnswerSettle(const std::string& batch, const FakeAnswer& answer) {
    ASSERT_NE(Settle(), nullptr);
    ASSERT_TRUE(Settle()->busy());
    ASSERT_EQ(Settle()->sent(), batch);
    On([this, answer] { Settle()->Answer(answer); });
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
    // A session that is lost is looked after.
    if (Settle()->busy()) AnswerSettle("session?", {});
  }

  std::unique_ptr<rpc::LoopThread> thread_;
  DatabaseOptions options_;
  Counters counters_;
  FakeDialect dialect_;
  std::atomic<uint32_t> count_{0};
  std::unique_ptr<Pool> work_pool_;
  std::unique_ptr<Pool> settle_pool_;
  std::unique_ptr<InDoubtResolver> resolver_;
  std::unique_ptr<BranchExecutor> executor_;
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
      EXPECT_EQ(Work()->sent(), "rollback");
      RollBack(&rolled_back_);
      EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
      AnswerBoth({.lost = lost}, /*sent=*/true, call_first);
      if (!lost) ExpectRollback();
      ExpectDone();
    }
  }
}

// Another run may go well, when the server is there again.
TEST_F(CanceledCallTest, Scenario101_ConnectionLostWhileACallIsUndone_BranchGone) {
  BeginCall(/*last=*/false);
  AnswerCall({.failed = true});
  EXPECT_EQ(Work()->sent(), "rollback");
  AnswerCall({.lost = true});
  EXPECT_EQ(executed_, wire::Code::BRANCH_GONE);
}

}  // namespace
}  // namespace concordat::participant::database
