// Many branches at once, from several threads: money is moved, but none is made or lost.
#include <atomic>
#include <thread>

#include "coordinator/base/random.h"
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr int kRows = 12;
constexpr int kThreads = 8;
constexpr int kBranchesAThread = 150;

class BankTest : public SqliteFixture {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    Open(
        "CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL"
        " CHECK(balance>=0));"
        "CREATE TABLE entry(id INTEGER PRIMARY KEY, account INTEGER NOT NULL REFERENCES"
        " account, amount INTEGER NOT NULL);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<12)"
        " INSERT INTO account SELECT i, 100 FROM n;");
  }

  // One transfer of 1..20, in two calls, with an entry for each side. True: it was
  // committed.
  bool Transfer(Random* random, uint64_t sequence) {
    const auto from = static_cast<int64_t>(1 + random->Below(kRows));
    const auto to = static_cast<int64_t>(1 + random->Below(kRows));
    const auto amount = static_cast<int64_t>(1 + random->Below(20));
    const BranchId id = MakeBranch(sequence);
    StartOptions options;
    options.age = id.gtid;
    if (!rm_->Start(id, options).ok()) return false;
    const char* entry = "INSERT INTO entry(account,amount) VALUES(?,?)";
    wire::ExecuteReply reply = call_->Execute(
        id,
        {Sql("UPDATE account SET balance=balance-? WHERE id=?", {Int(amount), Int(from)}),
         Sql(entry, {Int(from), Int(-amount)})});
    if (reply.result.code == wire::Code::OK) {
      reply = call_->Execute(id, {Sql("UPDATE account SET balance=balance+? WHERE id=?",
                                      {Int(amount), Int(to)}),
                                  Sql(entry, {Int(to), Int(amount)})});
    }
    if (reply.result.code != wire::Code::OK) {
      Note(reply);
      if (reply.result.code == wire::Code::CONDITION_FAILED) call_->Rollback(id);
      return false;
    }
    return End(random, id);
  }

  void Note(const wire::ExecuteReply& reply) {
    if (reply.result.code == wire::Code::CONFLICT ||
        reply.result.code == wire::Code::BRANCH_GONE) {
      ++conflicts_;
    } else if (reply.result.code == wire::Code::CONDITION_FAILED) {
      ++overdrafts_;
    } else {
      ADD_FAILURE() << reply.result.message;
    }
  }

  bool End(Random* random, const BranchId& id) {
    if (random->Percent(20)) {
      const OnePhaseResult r = call_->CommitOnePhase(id);
      EXPECT_NE(r.outcome, OnePhase::kUnknown) << r.detail;
      return r.outcome == OnePhase::kCommitted;
    }
    const PrepareResult vote = call_->Prepare(id);
    if (vote.vote != Vote::kPrepared) {
      EXPECT_EQ(vote.vote, Vote::kConflict) << vote.detail;
      return false;
    }
    if (random->Percent(10)) {
      EXPECT_EQ(call_->Rollback(id).state, FinishState::kDone);
      return false;
    }
    const FinishResult r = call_->Commit(id);
    EXPECT_EQ(r.state, FinishState::kDone) << r.detail;
    return true;
  }

  std::atomic<int> conflicts_{0};
  std::atomic<int> overdrafts_{0};
};

TEST_F(BankTest, ConcurrentTransfers_SumStaysAndEntriesAgree) {
  std::atomic<uint64_t> sequence{0};
  std::atomic<int> committed{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Random random(t + 1);
      for (int i = 0; i < kBranchesAThread; ++i) {
        if (Transfer(&random, ++sequence)) ++committed;
      }
    });
  }
  // Readers see only whole commits: each read has the same sum.
  std::thread reader([&] {
    while (!stop) {
      const BranchId id = MakeBranch(++sequence);
      ASSERT_TRUE(rm_->Start(id, {}).ok());
      const auto reply =
          call_->Execute(id, {Sql("SELECT (SELECT sum(balance) FROM account), "
                                  "(SELECT ifnull(sum(amount),0) FROM entry)")});
      ASSERT_EQ(reply.result.code, wire::Code::OK) << reply.result.message;
      EXPECT_EQ(reply.sql[0].rows[0].values[0].integer, kRows * 100);
      EXPECT_EQ(reply.sql[0].rows[0].values[1].integer, 0);
      EXPECT_EQ(call_->Prepare(id).vote, Vote::kReadOnly);
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  reader.join();
  EXPECT_EQ(Query("SELECT sum(balance) FROM account"), std::to_string(kRows * 100));
  EXPECT_EQ(Query("SELECT count(*)/2 FROM entry"), std::to_string(committed));
  EXPECT_EQ(Query("SELECT count(*) FROM account a WHERE balance<>100+(SELECT"
                  " ifnull(sum(amount),0) FROM entry WHERE account=a.id)"),
            "0");
  EXPECT_EQ(Query("SELECT count(*) FROM concordat_branches"), "0");
  EXPECT_EQ(Query("PRAGMA integrity_check"), "ok");
  EXPECT_GT(committed, 50);
  RecordProperty("committed", committed);
  RecordProperty("conflicts", conflicts_);
  RecordProperty("overdrafts", overdrafts_);
}

}  // namespace
}  // namespace concordat::participant
