// Calls in every order, after the end, and on every thread: a status, never a crash, and
// never a commit that misses work.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"

namespace concordat::client {
namespace {

// One call, and what it came to: a status, or that of a result.
struct Call {
  std::string name;
  bool ends = false;  // the transaction, when it is not joined
  std::function<absl::Status(Transaction*, Client*)> make;
};

absl::Status TextStatus(const std::string& text) {
  return text.empty() ? absl::FailedPreconditionError("no text") : absl::OkStatus();
}

std::vector<Call> AllCalls() {
  const BranchId foreign{Gtid{GroupId(1), Term(1), 1}, "bank-a", Incarnation(5), 6};
  return {
      {"Kv", false,
       [](Transaction* t, Client*) { return t->Kv("bank-a", {Add("a", 1)}).status(); }},
      {"Sql", false,
       [](Transaction* t, Client*) { return t->Sql("bank-a", Sql("x")).status(); }},
      {"AtCommit", false,
       [](Transaction* t, Client*) {
         return t->AtCommit("bank-b", std::vector{Add("b", 1)});
       }},
      {"Share", false, [](Transaction* t, Client*) { return TextStatus(t->Share()); }},
      {"Merge", false,
       [](Transaction* t, Client*) {
         return t->Merge(EncodeContext({ClusterId(), t->gtid(), {}}));
       }},
      {"CarryBack", false,
       [](Transaction* t, Client*) {
         (void)t->CarryBack();
         return absl::OkStatus();
       }},
      {"Enlist", false, [](Transaction* t, Client*) { return t->Enlist(); }},
      {"StartApplicationManaged", false,
       [](Transaction* t, Client*) {
         return t->StartApplicationManaged("bank-a", Duration::Seconds(5), "").status();
       }},
      {"gtid", false,
       [](Transaction* t, Client*) {
         return t->gtid().is_none() ? absl::InternalError("no gtid") : absl::OkStatus();
       }},
      {"Ask", false,
       [](Transaction* t, Client* client) {
         (void)client->Ask(t->gtid());
         return absl::OkStatus();
       }},
      {"Commit", true, [](Transaction* t, Client*) { return t->Commit().work; }},
      {"Rollback", true, [](Transaction* t, Client*) { return t->Rollback("why").work; }},
  };
}

class Scenario99 : public ::testing::Test {
 protected:
  Transaction Begun() {
    auto transaction = client_->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status();
    return std::move(*transaction);
  }
  // Whether the call is allowed at any time.
  static bool IsAlwaysAllowed(const Call& call) {
    return call.name == "gtid" || call.name == "Ask" || call.name == "CarryBack";
  }

  Banks banks_;
  Client* client_ = banks_.client();
};

TEST_F(Scenario99, EveryPairOfCalls_GivesAStatus) {
  for (const Call& first : AllCalls()) {
    for (const Call& second : AllCalls()) {
      SCOPED_TRACE(first.name + ", " + second.name);
      Transaction t = Begun();
      ASSERT_TRUE(t.Kv("bank-a", {Add("before", 1)}).ok());
      (void)first.make(&t, client_);
      const absl::Status status = second.make(&t, client_);
      if (first.ends && !IsAlwaysAllowed(second)) {
        EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
      }
    }
  }
}

TEST_F(Scenario99, EveryPairOfCallsInAJoinedTransaction_GivesAStatus) {
  for (const Call& first : AllCalls()) {
    for (const Call& second : AllCalls()) {
      SCOPED_TRACE(first.name + ", " + second.name);
      Transaction t = Begun();
      auto joined = client_->Join(t.Share());
      ASSERT_TRUE(joined.ok());
      (void)first.make(&*joined, client_);
      const absl::Status status = second.make(&*joined, client_);
      if ((first.name == "Rollback" && !IsAlwaysAllowed(second)) ||
          second.name == "Commit" || second.name == "AtCommit") {
        EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
      }
      (void)t.Merge(joined->CarryBack());  // so that its branches are rolled back too
    }
  }
}

TEST_F(Scenario99, SecondEnd_SaysHowItHasEnded) {
  Transaction committed = Begun();
  ASSERT_TRUE(committed.Kv("bank-a", {Add("alice", 1)}).ok());
  ASSERT_TRUE(committed.Commit().committed());
  for (const CommitResult& again : {committed.Commit(), committed.Rollback()}) {
    EXPECT_TRUE(again.committed()) << again;
    EXPECT_TRUE(absl::IsFailedPrecondition(again.work)) << again.work;
  }
  Transaction rolled_back = Begun();
  ASSERT_TRUE(rolled_back.Kv("bank-a", {Add("alice", 1)}).ok());
  (void)rolled_back.Rollback("why");
  for (const CommitResult& again : {rolled_back.Commit(), rolled_back.Rollback()}) {
    EXPECT_EQ(again.outcome, Outcome::kAborted) << again;
    EXPECT_TRUE(absl::IsFailedPrecondition(again.work)) << again.work;
  }
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 1);
}

TEST_F(Scenario99, ObjectThatWasMovedFrom_GivesAStatus) {
  Transaction from = Begun();
  Transaction to = std::move(from);
  for (const Call& call : AllCalls()) {
    SCOPED_TRACE(call.name);
    const absl::Status status = call.make(&from, client_);
    if (!IsAlwaysAllowed(call)) {
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    }
  }
  ASSERT_TRUE(to.Kv("bank-a", {Add("alice", 1)}).ok());
  EXPECT_TRUE(to.Commit().committed());
}

TEST_F(Scenario99, CommitAfterTheTimeLimit_Aborts) {
  TransactionOptions options;
  options.time_limit = Duration::Millis(1);
  auto t = client_->Begin(options);
  ASSERT_TRUE(t.ok()) << t.status();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const CommitResult result = t->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kTimedOut);
}

// What is carried back after a rollback names no branches that could be waited for.
TEST_F(Scenario99, CarryBackAfterRollback_SaysThatTheWorkIsLost) {
  Transaction t = Begun();
  auto joined = client_->Join(t.Share());
  ASSERT_TRUE(joined.ok()) << joined.status();
  ASSERT_TRUE(joined->Kv("bank-b", {Add("gil", 1)}).ok());
  (void)joined->Rollback("no");
  EXPECT_TRUE(absl::IsUnavailable(t.Merge(joined->CarryBack())));
  EXPECT_EQ(t.Commit().outcome, Outcome::kAborted);
}

// On the client's own loop a call would wait for itself.
TEST_F(Scenario99, BlockingCallOnTheLoopsThread_GivesAStatus) {
  Transaction t = Begun();
  LoopHandle loop(client_->async()->loop());
  const auto done = Await<bool>(&loop, [&](auto setter) {
    for (const Call& call : AllCalls()) {
      SCOPED_TRACE(call.name);
      const absl::Status status = call.make(&t, client_);
      if (!IsAlwaysAllowed(call)) {
        EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
      }
    }
    EXPECT_TRUE(absl::IsFailedPrecondition(client_->Begin().status()));
    EXPECT_TRUE(absl::IsFailedPrecondition(client_->Join("x").status()));
    const CommitResult run = client_->Run([](Transaction&) { return absl::OkStatus(); });
    EXPECT_EQ(run.outcome, Outcome::kAborted);
    EXPECT_TRUE(absl::IsFailedPrecondition(run.work)) << run.work;
    setter->Set(true);
  });
  EXPECT_TRUE(done.ok()) << done.status;
  ASSERT_TRUE(t.Kv("bank-a", {Add("alice", 1)}).ok());
  EXPECT_TRUE(t.Commit().committed()) << "nothing of that has touched it";
}

TEST_F(Scenario99, TransactionThatOutlivesItsClient_GivesAStatus) {
  auto banks = std::make_unique<Banks>();
  auto begun = banks->client()->Begin();
  ASSERT_TRUE(begun.ok());
  std::optional<Transaction> t(std::move(*begun));
  banks.reset();
  for (const Call& call : AllCalls()) {
    if (call.name == "Ask") continue;  // a call of the client
    SCOPED_TRACE(call.name);
    const absl::Status status = call.make(&*t, nullptr);
    if (!IsAlwaysAllowed(call)) {
      EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    }
  }
  t.reset();
}

// --- the asynchronous interface ---

class Scenario99Async : public Scenario99 {
 protected:
  AsyncClient::TransactionPtr BegunAsync() {
    LoopHandle loop(client_->async()->loop());
    using Begun = absl::StatusOr<AsyncClient::TransactionPtr>;
    auto begun = Await<Begun>(&loop, [this](auto setter) {
      client_->async()->Begin({}, [setter](Begun b) { setter->Set(std::move(b)); });
    });
    return **begun.value;
  }
  static wire::ExecuteRequest AddOne(const std::string& account) {
    wire::ExecuteRequest work;
    work.__isset.kv = true;
    work.kv = {Add(account, 1)};
    return work;
  }
  // Runs on the loop, and waits for the result.
  template <class Start>
  CommitResult OnLoop(Start start) {
    LoopHandle loop(client_->async()->loop());
    auto result = Await<CommitResult>(&loop, [&](auto setter) {
      start([setter](const CommitResult& r) { setter->Set(r); });
    });
    return *result.value;
  }
};

// A first call has no branch id yet when commit is asked for.
TEST_F(Scenario99Async, CommitWhileCallsAreUnderWay_HasTheirWork) {
  for (const std::vector<std::string>& banks :
       {std::vector<std::string>{"bank-a"},
        std::vector<std::string>{"bank-a", "bank-b"}}) {
    auto t = BegunAsync();
    const CommitResult result = OnLoop([&](AsyncTransaction::CommitCallback done) {
      for (const std::string& bank : banks) {
        t->Execute(bank, AddOne("alice"), [](const wire::ExecuteReply&) {});
      }
      t->Commit(std::move(done));
    });
    EXPECT_TRUE(result.committed()) << result;
  }
  EXPECT_EQ(banks_.Balance("bank-a", "alice"), 2);
  EXPECT_EQ(banks_.Balance("bank-b", "alice"), 1);
}

// The other way round: a branch elsewhere is complete, the first one's is not.
TEST_F(Scenario99Async, CommitWhileOneOfTwoIsUnderWay_HasBoth) {
  auto t = BegunAsync();
  const CommitResult result = OnLoop([&](AsyncTransaction::CommitCallback done) {
    auto shared = std::make_shared<AsyncTransaction::CommitCallback>(std::move(done));
    t->Execute("bank-b", AddOne("bob"), [t, shared](const wire::ExecuteReply& reply) {
      EXPECT_EQ(reply.result.code, wire::Code::OK);
      t->Execute("bank-a", AddOne("bob"), [](const wire::ExecuteReply&) {});
      t->Commit(std::move(*shared));
    });
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(banks_.Balance("bank-a", "bob"), 1);
  EXPECT_EQ(banks_.Balance("bank-b", "bob"), 1);
}

TEST_F(Scenario99Async, WorkAfterCommitWasAskedFor_IsRefused) {
  auto t = BegunAsync();
  std::optional<wire::Code::type> late;
  std::optional<Outcome> second;
  const CommitResult result = OnLoop([&](AsyncTransaction::CommitCallback done) {
    t->Execute("bank-a", AddOne("carol"), [](const wire::ExecuteReply&) {});
    t->Commit(std::move(done));
    t->Execute("bank-b", AddOne("carol"),
               [&](const wire::ExecuteReply& reply) { late = reply.result.code; });
    t->Commit([&](const CommitResult& r) { second = r.outcome; });
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(late, wire::Code::CONDITION_FAILED);
  EXPECT_EQ(second, Outcome::kUnknown);
  EXPECT_EQ(banks_.Balance("bank-b", "carol"), 0);
}

TEST_F(Scenario99Async, TwoCallsAtOneResourceAtOnce_TheSecondIsRefused) {
  auto t = BegunAsync();
  std::optional<wire::Code::type> second;
  const CommitResult result = OnLoop([&](AsyncTransaction::CommitCallback done) {
    t->Execute("bank-a", AddOne("dave"), [](const wire::ExecuteReply&) {});
    t->Execute("bank-a", AddOne("dave"),
               [&](const wire::ExecuteReply& reply) { second = reply.result.code; });
    t->Commit(std::move(done));
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(second, wire::Code::CONDITION_FAILED);
  EXPECT_EQ(banks_.Balance("bank-a", "dave"), 1);
}

// What a service hands over must be whole: the branch of a first call that is under way
// has no name yet.
TEST_F(Scenario99Async, EnlistOrCarryBackWhileACallIsUnderWay_HandsNothingOver) {
  auto caller = BegunAsync();
  for (const bool enlists : {true, false}) {
    std::string context;
    AsyncClient::TransactionPtr joined;
    std::optional<absl::Status> enlisted;
    const CommitResult called = OnLoop([&](AsyncTransaction::CommitCallback done) {
      client_->async()->Join(
          caller->Share(), [&, done = std::move(done)](auto result) mutable {
            joined = *result;
            auto shared =
                std::make_shared<AsyncTransaction::CommitCallback>(std::move(done));
            joined->Execute("bank-a", AddOne("fay"),
                            [shared](const wire::ExecuteReply&) { (*shared)({}); });
            if (enlists) {
              joined->Enlist([&](const absl::Status& s) { enlisted = s; });
            } else {
              context = joined->CarryBack();
            }
          });
    });
    if (enlists) {
      ASSERT_TRUE(enlisted.has_value());
      EXPECT_TRUE(absl::IsFailedPrecondition(*enlisted)) << *enlisted;
    } else {
      const CommitResult merged = OnLoop([&](AsyncTransaction::CommitCallback done) {
        CommitResult result;
        result.work = caller->Merge(context);
        done(result);
      });
      EXPECT_TRUE(absl::IsUnavailable(merged.work)) << merged.work;
    }
    (void)OnLoop([&](AsyncTransaction::CommitCallback done) {
      joined->Abandon();
      joined.reset();
      done({});
    });
  }
  const CommitResult ended = OnLoop([&](AsyncTransaction::CommitCallback done) {
    caller->Rollback("the service's work is not whole", std::move(done));
  });
  EXPECT_EQ(ended.outcome, Outcome::kAborted);
}

// The branch's name comes after the rollback; its locks must not stay.
TEST_F(Scenario99Async, RollbackWhileACallIsUnderWay_LeavesNoLock) {
  auto t = BegunAsync();
  const CommitResult result = OnLoop([&](AsyncTransaction::CommitCallback done) {
    t->Execute("bank-a", AddOne("erin"), [](const wire::ExecuteReply&) {});
    t->Rollback("changed its mind", std::move(done));
  });
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  RunOptions once;
  once.max_attempts = 1;
  once.transaction.time_limit = Duration::Seconds(10);  // less than the idle time-out
  const CommitResult next = client_->Run(
      [](Transaction& other) { return other.Kv("bank-a", {Add("erin", 5)}).status(); },
      once);
  EXPECT_TRUE(next.committed()) << next;
  EXPECT_EQ(banks_.Balance("bank-a", "erin"), 5);
}

}  // namespace
}  // namespace concordat::client
