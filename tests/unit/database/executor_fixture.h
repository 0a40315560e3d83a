// A branch executor and an in-doubt resolver, with a database whose answers the test
// gives.
#ifndef TESTS_UNIT_DATABASE_EXECUTOR_FIXTURE_H_
#define TESTS_UNIT_DATABASE_EXECUTOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "participant/resources/database/branch_executor.h"
#include "tests/unit/database/fake_dialect.h"

namespace concordat::participant::database {

class ExecutorTest : public ::testing::Test {
 protected:
  explicit ExecutorTest(bool prepared_stays = false)
      : thread_(*rpc::LoopThread::Start()), dialect_(prepared_stays) {
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
  ~ExecutorTest() override {
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
  // Runs the step on the loop. Returns when everything that follows from it is done.
  void On(const std::function<void()>& step) {
    thread_->RunSync(step);
    thread_->RunSync([] {});  // a new connection is ready at the end of the first one
  }
  std::shared_ptr<FakeSession> Work() { return dialect_.session(SessionUse::kWork); }
  std::shared_ptr<FakeSession> Settle() { return dialect_.session(SessionUse::kSettle); }

  // A branch whose first call is under way.
  void BeginCall(bool last) {
    id_.resource = "bank";
    id_.number = ++last_number_;
    count_ = 1;
    executed_ = {};
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
  void AnswerCall(const FakeAnswer& answer) {
    On([this, answer] { Work()->Answer(answer); });
  }
  // Answers the batch that the resolver has sent last, which must have that name.
  void AnswerSettle(const std::string& batch, const FakeAnswer& answer) {
    ASSERT_NE(Settle(), nullptr);
    ASSERT_TRUE(Settle()->busy());
    ASSERT_EQ(Settle()->sent(), batch);
    On([this, answer] { Settle()->Answer(answer); });
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
};

}  // namespace concordat::participant::database

#endif  // TESTS_UNIT_DATABASE_EXECUTOR_FIXTURE_H_
