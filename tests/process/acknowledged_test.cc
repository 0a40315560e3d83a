// Nothing acknowledged is ever lost, and nothing happens twice: clients work while
// processes die, then every answer is compared with what the banks hold.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/client/operations.h"
#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

// Transfers of one unit, each of which also leaves its own row at both banks.
class Workers {
 public:
  Workers(Cluster* cluster, int count) : cluster_(cluster) {
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, i] { Work(i); });
    }
  }
  ~Workers() { Finish(); }
  void Finish() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  [[nodiscard]] size_t committed() {
    MutexLock lock(&mutex_);
    return committed_.size();
  }
  std::set<std::string> Committed() {
    MutexLock lock(&mutex_);
    return committed_;
  }
  std::set<std::string> Aborted() {
    MutexLock lock(&mutex_);
    return aborted_;
  }

 private:
  void Work(int worker) {
    auto client = cluster_->NewClient();
    for (int i = 0; !stop_; ++i) {
      const std::string row = absl::StrCat("row-", worker, "-", i);
      auto transaction = client->Begin();
      if (!transaction.ok()) continue;
      const absl::Status worked = Cluster::Transfer(&*transaction, row, row, 1);
      client::CommitResult result =
          worked.ok() ? transaction->Commit() : transaction->Rollback("work failed");
      while (result.outcome == Outcome::kUnknown) result = client->Ask(result.gtid);
      MutexLock lock(&mutex_);
      (result.committed() ? committed_ : aborted_).insert(row);
    }
  }

  Cluster* const cluster_;
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
  Mutex mutex_;
  std::set<std::string> committed_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> aborted_ ABSL_GUARDED_BY(mutex_);
};

// The rows that a bank holds.
std::set<std::string> RowsInKv(Cluster* cluster) {
  std::set<std::string> rows;
  auto client = cluster->NewClient();
  std::string from = "row-";
  while (true) {
    size_t found = 0;
    const auto result = client->Run([&](client::Transaction& t) -> absl::Status {
      const auto range = t.Kv("kv", {client::Range(from, "row.", 1000)});
      if (!range.ok()) return range.status();
      found = (*range)[0].pairs.size();
      for (const auto& pair : (*range)[0].pairs) rows.insert(pair.key);
      return absl::OkStatus();
    });
    EXPECT_TRUE(result.committed()) << result;
    if (found < 1000) return rows;
    from = *rows.rbegin() + '\0';
  }
}

std::set<std::string> RowsInSql(Cluster* cluster) {
  std::set<std::string> rows;
  auto client = cluster->NewClient();
  const auto result = client->Run([&](client::Transaction& t) -> absl::Status {
    rows.clear();
    const auto found = t.Sql(
        "sql",
        client::Sql("SELECT id FROM account WHERE id LIKE 'row-%' AND balance = 1"));
    if (!found.ok()) return found.status();
    for (const auto& row : found->rows) rows.insert(row.values[0].text);
    return absl::OkStatus();
  });
  EXPECT_TRUE(result.committed()) << result;
  return rows;
}

void ExpectAnswersAgree(Cluster* cluster, Workers* workers) {
  EXPECT_TRUE(cluster->WaitUntilSettled());
  const std::set<std::string> committed = workers->Committed();
  EXPECT_GT(committed.size(), 0u);
  EXPECT_EQ(RowsInKv(cluster), committed);
  EXPECT_EQ(RowsInSql(cluster), committed);
}

TEST(Acknowledged, Scenario37_AllNodesKilledInMidBatch_EveryAcknowledgedCommitIsThere) {
  Cluster cluster;
  Workers workers(&cluster, 8);
  for (int round = 0; round < 3; ++round) {
    const size_t before = workers.committed();
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return workers.committed() > before + 100; }));
    for (int id = 1; id <= 3; ++id) cluster.node(id).Kill();
    for (int id = 1; id <= 3; ++id) cluster.StartNode(id);
  }
  workers.Finish();
  ExpectAnswersAgree(&cluster, &workers);
}

TEST(Acknowledged, EverythingKilledAtOnce_EveryAcknowledgedCommitIsThere) {
  Cluster cluster;
  Workers workers(&cluster, 8);
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return workers.committed() > 200; }));
  for (int id = 1; id <= 3; ++id) cluster.node(id).Kill();
  for (const char* bank : {"kv", "sql"}) cluster.bank(bank).Kill();
  for (int id = 1; id <= 3; ++id) cluster.StartNode(id);
  for (const char* bank : {"kv", "sql"}) cluster.StartBank(bank);
  SleepMs(500);
  workers.Finish();
  ExpectAnswersAgree(&cluster, &workers);
}

TEST(Acknowledged, LeadersAndBanksKilledInTurn_AnswersAndBanksAgree) {
  Cluster cluster;
  Workers workers(&cluster, 8);
  for (int round = 0; round < 4; ++round) {
    SleepMs(700);
    const int id = cluster.KillLeader();
    SleepMs(700);
    cluster.StartNode(id);
    const char* bank = round % 2 == 0 ? "sql" : "kv";
    cluster.bank(bank).Kill();
    cluster.StartBank(bank);
  }
  workers.Finish();
  ExpectAnswersAgree(&cluster, &workers);
}

}  // namespace
}  // namespace concordat::testing
