// What clients are promised, tested with real processes: one transaction goes through
// several services, conflicts are run again, and an unknown outcome can be asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/client/context.h"
#include "coordinator/client/operations.h"
#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

using client::CommitResult;
using ::testing::HasSubstr;

// The transaction's context goes out with a call. The callee's branches come back with
// the answer, or are enlisted.

class Services : public ::testing::Test {
 protected:
  // What the caller does before it calls the service.
  client::Transaction Debited() {
    auto transaction = caller_->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status().message();
    EXPECT_TRUE(transaction->Kv("kv", {client::Add("alice", -5)}).ok());
    return std::move(*transaction);
  }
  // What the service does in the caller's transaction.
  client::Transaction Credited(const std::string& context) {
    auto joined = service_->Join(context);
    EXPECT_TRUE(joined.ok()) << joined.status().message();
    const auto credit = joined->Sql(
        "sql", client::Sql("INSERT INTO account(id, balance) VALUES('bob', 5)"));
    EXPECT_TRUE(credit.ok()) << credit.status().message();
    return std::move(*joined);
  }
  void ExpectBalances(int64_t alice, int64_t bob) {
    EXPECT_TRUE(cluster_.WaitUntilSettled());
    EXPECT_EQ(cluster_.KvBalance("alice"), alice);
    EXPECT_EQ(cluster_.SqlBalance("bob"), bob);
  }

  Cluster cluster_;
  std::unique_ptr<client::Client> caller_ = cluster_.NewClient();
  std::unique_ptr<client::Client> service_ = cluster_.NewClient();
};

TEST_F(Services, BranchesCarriedBack_CommitWithTheCallers) {
  client::Transaction transaction = Debited();
  // The service's object is gone when the caller commits, as in any real service.
  const std::string carried = Credited(transaction.Share()).CarryBack();
  ASSERT_TRUE(transaction.Merge(carried).ok());
  const CommitResult result = transaction.Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result;
  ExpectBalances(-5, 5);
}

TEST_F(Services, BranchesEnlisted_CommitThoughTheCallerDoesNotKnowThem) {
  client::Transaction transaction = Debited();
  const std::string context = transaction.Share();
  ASSERT_TRUE(Credited(context).Enlist().ok());
  const CommitResult result = transaction.Commit();
  EXPECT_EQ(result.outcome, Outcome::kCommitted) << result;
  ExpectBalances(-5, 5);
}

TEST_F(Services, CallerRollsBack_TheServicesBranchGoesToo) {
  client::Transaction transaction = Debited();
  ASSERT_TRUE(Credited(transaction.Share()).Enlist().ok());
  EXPECT_EQ(transaction.Rollback().outcome, Outcome::kAborted);
  ExpectBalances(0, 0);
}

TEST_F(Services, ServiceGivesUp_TheCallersCommitAborts) {
  client::Transaction transaction = Debited();
  client::Transaction joined = Credited(transaction.Share());
  ASSERT_TRUE(transaction.Merge(joined.CarryBack()).ok());
  (void)joined.Rollback("changed its mind");
  EXPECT_EQ(transaction.Commit().outcome, Outcome::kAborted);
  ExpectBalances(0, 0);
}

TEST_F(Services, Scenario72_EnlistmentAfterStaged_TheServiceIsToldAndItsWorkIsNotThere) {
  client::Transaction transaction = Debited();
  client::Transaction joined = Credited(transaction.Share());
  EXPECT_EQ(transaction.Commit().outcome, Outcome::kCommitted);
  const absl::Status late = joined.Enlist();
  EXPECT_TRUE(absl::IsFailedPrecondition(late)) << late;
  ExpectBalances(-5, 0);
}

TEST_F(Services, ContextOfAnotherTransaction_IsNotMerged) {
  client::Transaction one = Debited();
  client::Transaction other = std::move(*caller_->Begin());
  client::Transaction joined = Credited(one.Share());
  EXPECT_TRUE(absl::IsInvalidArgument(other.Merge(joined.CarryBack())));
}

// A node of another cluster gives out the same gtids.
TEST_F(Services, ContextOfAnotherCluster_IsNotJoined) {
  const std::string address = absl::StrCat("127.0.0.1:", FreePort());
  const std::string log = cluster_.dir() + "/foreign.log";
  const Child foreign(
      {ProgramDir() + "/../../coordinator/daemon/concordatd", "--id", "1", "--members",
       absl::StrCat("1=127.0.0.1:", FreePort(), "/", address), "--data-dir",
       cluster_.dir() + "/foreign", "--cluster", "foreign", "--segment-bytes", "4194304"},
      log);
  ASSERT_TRUE(foreign.WaitForLine("ready: clients", 20)) << log;
  client::ClientOptions options;
  options.coordinators = {address};
  auto client = client::Client::Connect(options);
  ASSERT_TRUE(client.ok()) << client.status();
  client::Transaction transaction = Debited();
  const std::string context = transaction.Share();
  const auto joined = (*client)->Join(context);
  ASSERT_TRUE(absl::IsFailedPrecondition(joined.status())) << joined.status();
  const auto parsed = client::ParseContext(context);
  ASSERT_TRUE(parsed.ok());
  EXPECT_THAT(std::string(joined.status().message()),
              HasSubstr(absl::StrCat(absl::Hex(parsed->cluster.value()))));
}

class Conflicts : public ::testing::Test {
 protected:
  absl::Status Add(client::Transaction* t, const std::string& bank,
                   const std::string& account, int64_t amount) {
    if (bank == "kv") return t->Kv("kv", {client::Add(account, amount)}).status();
    return t
        ->Sql("sql",
              client::Sql("INSERT INTO account(id, balance) VALUES(?1, ?2) "
                          "ON CONFLICT(id) DO UPDATE SET balance = balance + ?2",
                          {client::TextValue(account), client::IntegerValue(amount)}))
        .status();
  }

  Cluster cluster_;
  std::unique_ptr<client::Client> client_ = cluster_.NewClient();
};

class ConflictsAt : public Conflicts,
                    public ::testing::WithParamInterface<std::vector<std::string>> {};

// The younger branch learns this only with PREPARE, or with the commit in one phase.
TEST_P(ConflictsAt, LocksLostAfterTheLastCall_IsRunAgain) {
  auto older = client_->Begin();
  ASSERT_TRUE(older.ok()) << older.status();
  int runs = 0;
  const CommitResult result = client_->Run([&](client::Transaction& t) -> absl::Status {
    for (const std::string& bank : GetParam()) {
      if (absl::Status s = Add(&t, bank, "bob", 1); !s.ok()) return s;
    }
    if (++runs == 1) {
      EXPECT_TRUE(Add(&*older, GetParam()[0], "bob", 100).ok());
      EXPECT_TRUE(older->Commit().committed());
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_GE(runs, 2);
  // COMMITTED is answered before the banks have been told.
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  EXPECT_EQ(
      GetParam()[0] == "kv" ? cluster_.KvBalance("bob") : cluster_.SqlBalance("bob"),
      101);
}

INSTANTIATE_TEST_SUITE_P(Banks, ConflictsAt,
                         ::testing::Values(std::vector<std::string>{"kv"},
                                           std::vector<std::string>{"sql"},
                                           std::vector<std::string>{"kv", "sql"},
                                           std::vector<std::string>{"sql", "kv"}));

// A client that gave up after the time of a plain call would leave a branch that it does
// not know: the locks, once granted, would stay until the branch is idle.
TEST_F(Conflicts, LockAwaitedLongerThanACallTakes_IsGranted) {
  client::ClientOptions options = cluster_.Options();
  options.call_timeout = Duration::Millis(200);
  auto patient = client::Client::Connect(options);
  ASSERT_TRUE(patient.ok()) << patient.status();
  for (const std::string bank : {"kv", "sql"}) {
    auto older = client_->Begin();
    auto younger = (*patient)->Begin();
    ASSERT_TRUE(older.ok() && younger.ok());
    ASSERT_TRUE(Add(&*older, bank, "hot", 1).ok());
    auto waits =
        std::async(std::launch::async, [&] { return Add(&*younger, bank, "hot", 10); });
    EXPECT_EQ(waits.wait_for(std::chrono::milliseconds(600)),
              std::future_status::timeout);
    EXPECT_TRUE(older->Commit().committed());
    const absl::Status worked = waits.get();
    EXPECT_TRUE(worked.ok()) << bank << ": " << worked;
    EXPECT_TRUE(younger->Commit().committed());
  }
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  EXPECT_EQ(cluster_.KvBalance("hot"), 11);
  EXPECT_EQ(cluster_.SqlBalance("hot"), 11);
}

TEST_F(Conflicts, ManyInOppositeOrders_AllAreCommitted) {
  constexpr int kThreads = 8;
  constexpr int kRuns = 20;
  std::vector<std::future<void>> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.push_back(std::async(std::launch::async, [this, i] {
      const std::unique_ptr<client::Client> client = cluster_.NewClient();
      for (int run = 0; run < kRuns; ++run) {
        const std::string first = i % 2 == 0 ? "kv" : "sql";
        const std::string second = i % 2 == 0 ? "sql" : "kv";
        const CommitResult result = client->Run([&](client::Transaction& t) {
          const absl::Status s = Add(&t, first, "hot", 1);
          return s.ok() ? Add(&t, second, "hot", 1) : s;
        });
        EXPECT_TRUE(result.committed()) << result;
      }
    }));
  }
  for (auto& thread : threads) thread.get();
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  EXPECT_EQ(cluster_.KvBalance("hot"), kThreads * kRuns);
  EXPECT_EQ(cluster_.SqlBalance("hot"), kThreads * kRuns);
}

class Unheard : public ::testing::TestWithParam<const char*> {
 protected:
  // Commits at one bank with a client that does not wait long.
  CommitResult Commit() {
    client::ClientOptions options = cluster_.Options();
    options.call_timeout = Duration::Millis(500);
    options.time_limit = Duration::Seconds(1);
    auto client = client::Client::Connect(options);
    EXPECT_TRUE(client.ok()) << client.status();
    auto transaction = (*client)->Begin();
    EXPECT_TRUE(transaction.ok()) << transaction.status();
    const absl::Status worked =
        bank() == "kv" ? transaction->Kv("kv", {client::Add("alice", 5)}).status()
                       : transaction
                             ->Sql("sql", client::Sql("INSERT INTO account(id, balance) "
                                                      "VALUES('alice', 5)"))
                             .status();
    EXPECT_TRUE(worked.ok()) << worked;
    hold_();
    const CommitResult result = transaction->Commit();
    EXPECT_EQ(result.outcome, Outcome::kUnknown) << result;
    return result;
  }
  void RestartBank() {
    cluster_.bank(bank()).Kill();
    Release();
    cluster_.StartBank(bank());
  }
  // The answer that was held is lost.
  void Release() {
    proxy().Disconnect();
    proxy().HoldRequests(false);
    proxy().HoldReplies(false);
  }
  // What another client is told.
  CommitResult Ask(const CommitResult& result) {
    const auto client = cluster_.NewClient();
    EXPECT_EQ(client->Ask(result.gtid).outcome, Outcome::kUnknown)
        << "the coordinators have no part in it";
    return client->Ask(result);
  }
  [[nodiscard]] std::string bank() const { return GetParam(); }
  Proxy& proxy() { return cluster_.proxy(bank()); }
  int64_t Balance() {
    return bank() == "kv" ? cluster_.KvBalance("alice") : cluster_.SqlBalance("alice");
  }

  Cluster cluster_;
  std::function<void()> hold_ = [this] { proxy().HoldReplies(true); };
};

TEST_P(Unheard, CommitInOnePhase_IsAnsweredFromTheEvidenceAfterARestart) {
  const CommitResult unheard = Commit();
  RestartBank();
  const CommitResult result = Ask(unheard);
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(Balance(), 5);
}

TEST_P(Unheard, CommitThatNeverArrived_IsDoneWhenItIsAskedAbout) {
  hold_ = [this] { proxy().HoldRequests(true); };
  const CommitResult unheard = Commit();
  Release();
  const CommitResult result = Ask(unheard);
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(Balance(), 5);
}

TEST_P(Unheard, BranchLostWithItsBank_IsToldAborted) {
  hold_ = [this] { proxy().HoldRequests(true); };
  const CommitResult unheard = Commit();
  RestartBank();
  const CommitResult result = Ask(unheard);
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(Balance(), 0);
}

INSTANTIATE_TEST_SUITE_P(Banks, Unheard, ::testing::Values("kv", "sql"));

}  // namespace
}  // namespace concordat::testing
