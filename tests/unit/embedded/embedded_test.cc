// Coordinator, resource managers and client in one process, on real folders: restarts,
// crashes, and what Start refuses.
#include "coordinator/embedded/embedded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "coordinator/base/system_clock.h"
#include "coordinator/client/operations.h"
#include "participant/resources/kv/kv_resource_manager.h"
#include "participant/resources/sqlite/sqlite_resource_manager.h"
#include "tests/support/temp_dir.h"

namespace concordat {
namespace {

using client::CommitResult;
using client::Transaction;
using participant::SqliteOptions;
using participant::SqliteResourceManager;
using participant::kv::KvOptions;
using participant::kv::KvResourceManager;
using ::testing::HasSubstr;

class EmbeddedTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  EmbeddedResource Kv(const std::string& name, const std::string& folder = "kv") const {
    KvOptions small;
    small.segment_bytes = 8 << 20;
    small.reserve_bytes = 1 << 20;
    return {name, std::make_unique<KvResourceManager>(Path(folder), small)};
  }
  EmbeddedResource Sqlite(const std::string& name) const {
    SqliteOptions options;
    options.schema_sql =
        "CREATE TABLE IF NOT EXISTS account(id TEXT PRIMARY KEY, balance INTEGER)";
    return {name,
            std::make_unique<SqliteResourceManager>(Path("bank.db"), std::move(options))};
  }
  absl::StatusOr<std::unique_ptr<Embedded>> Start(
      std::vector<EmbeddedResource> resources) const {
    EmbeddedOptions options;
    options.dir = Path("coordinator");
    return Embedded::Start(std::move(options), std::move(resources));
  }
  // Starts both banks, one in each kind of resource manager.
  absl::StatusOr<std::unique_ptr<Embedded>> StartBanks() const {
    std::vector<EmbeddedResource> banks;
    banks.push_back(Kv("kv"));
    banks.push_back(Sqlite("sql"));
    return Start(std::move(banks));
  }
  absl::Status StartWith(EmbeddedResource one, EmbeddedResource two) const {
    std::vector<EmbeddedResource> resources;
    resources.push_back(std::move(one));
    resources.push_back(std::move(two));
    return Start(std::move(resources)).status();
  }
  static absl::Status Work(Transaction& t, int64_t amount) {
    const auto debit = t.Kv("kv", {client::Add("alice", -amount)});
    if (!debit.ok()) return debit.status();
    return t
        .Sql("sql", client::Sql("INSERT INTO account VALUES('bob', ?1) ON CONFLICT(id) "
                                "DO UPDATE SET balance = balance + ?1",
                                {client::IntegerValue(amount)}))
        .status();
  }
  static CommitResult Transfer(Embedded* embedded, int64_t amount) {
    return embedded->client()->Run([amount](Transaction& t) { return Work(t, amount); });
  }
  struct Balances {
    int64_t alice = 0;
    int64_t bob = 0;
    friend bool operator==(const Balances&, const Balances&) = default;
  };
  static Balances Read(Embedded* embedded) {
    Balances balances;
    const CommitResult read =
        embedded->client()->Run([&](Transaction& t) -> absl::Status {
          const auto kv = t.Kv("kv", {client::Get("alice")});
          if (!kv.ok()) return kv.status();
          const auto sql = t.Sql("sql", client::Sql("SELECT balance FROM account"));
          if (!sql.ok()) return sql.status();
          const auto& pairs = (*kv)[0].pairs;
          balances.alice = pairs.empty() ? 0 : std::stoll(pairs[0].value);
          balances.bob = sql->rows.empty() ? 0 : sql->rows[0].values[0].integer;
          return absl::OkStatus();
        });
    EXPECT_TRUE(read.committed()) << read;
    return balances;
  }
  // COMMITTED is answered before the branches are told, and a SQLite file is read in a
  // snapshot, so the last commit may be seen a little later.
  static void ExpectBalances(Embedded* embedded, int64_t alice, int64_t bob) {
    const Balances wanted{alice, bob};
    Balances seen = Read(embedded);
    for (int i = 0; i < 3000 && !(seen == wanted); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      seen = Read(embedded);
    }
    EXPECT_EQ(seen.alice, alice);
    EXPECT_EQ(seen.bob, bob);
  }

  const testing::TempDir folder_;
};

TEST_F(EmbeddedTest, Restart_CommittedIsThereAndTheRestIsNot) {
  {
    auto embedded = StartBanks();
    ASSERT_TRUE(embedded.ok()) << embedded.status();
    EXPECT_EQ(Transfer(embedded->get(), 5).outcome, Outcome::kCommitted);
    auto open = (*embedded)->client()->Begin();
    ASSERT_TRUE(open.ok());
    EXPECT_TRUE(Work(*open, 100).ok());
    EXPECT_EQ(open->Rollback().outcome, Outcome::kAborted);
  }
  auto again = StartBanks();
  ASSERT_TRUE(again.ok()) << again.status();
  ExpectBalances(again->get(), -5, 5);
  EXPECT_EQ(Transfer(again->get(), 2).outcome, Outcome::kCommitted);
  ExpectBalances(again->get(), -7, 7);
}

TEST_F(EmbeddedTest, KilledBehindTheAnswer_WhatWasAnsweredIsThere) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto embedded = StartBanks();
    if (!embedded.ok()) _exit(1);
    for (int i = 0; i < 20; ++i) {
      if (!Transfer(embedded->get(), 1).committed()) _exit(2);
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
  auto again = StartBanks();
  ASSERT_TRUE(again.ok()) << again.status();
  // A commit that was answered, but not told to a bank yet, is finished now. Until then a
  // read at SQLite may see the state before.
  const Timestamp end = SystemClock().Now() + Duration::Seconds(20);
  while ((*again)->OpenTransactions() > 0 && SystemClock().Now() < end) usleep(1000);
  EXPECT_EQ((*again)->OpenTransactions(), 0u);
  ExpectBalances(again->get(), -20, 20);
}

TEST_F(EmbeddedTest, SecondStartOnOneFolder_IsRefusedAndTheFirstGoesOn) {
  auto first = StartBanks();
  ASSERT_TRUE(first.ok()) << first.status();
  std::vector<EmbeddedResource> other;
  other.push_back(Kv("kv", "kv-2"));
  const absl::Status second = Start(std::move(other)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("locked"));
  EXPECT_EQ(Transfer(first->get(), 5).outcome, Outcome::kCommitted);
  ExpectBalances(first->get(), -5, 5);
}

TEST_F(EmbeddedTest, ResourceInUse_IsRefusedAndTheFirstGoesOn) {
  auto first = StartBanks();
  ASSERT_TRUE(first.ok()) << first.status();
  EmbeddedOptions elsewhere;
  elsewhere.dir = Path("elsewhere");
  std::vector<EmbeddedResource> kv;
  kv.push_back(Kv("kv"));
  const absl::Status second =
      Embedded::Start(std::move(elsewhere), std::move(kv)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_THAT(std::string(second.message()), HasSubstr("locked"));
  EXPECT_EQ(Transfer(first->get(), 5).outcome, Outcome::kCommitted);
}

TEST_F(EmbeddedTest, WrongArguments_AreRefusedByName) {
  const absl::Status name = StartWith(Kv("Not A Name"), Sqlite("sql"));
  EXPECT_TRUE(absl::IsInvalidArgument(name)) << name;
  EXPECT_THAT(std::string(name.message()), HasSubstr("Not A Name"));
  const absl::Status twice = StartWith(Kv("bank"), Sqlite("bank"));
  EXPECT_TRUE(absl::IsAlreadyExists(twice)) << twice;
  std::vector<EmbeddedResource> resources;
  resources.push_back(Kv("kv"));
  const absl::Status no_dir = Embedded::Start({}, std::move(resources)).status();
  EXPECT_TRUE(absl::IsInvalidArgument(no_dir)) << no_dir;
  const absl::Status no_resources = Start({}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(no_resources)) << no_resources;
  // Nothing is left locked.
  auto embedded = StartBanks();
  EXPECT_TRUE(embedded.ok()) << embedded.status();
}

TEST_F(EmbeddedTest, FolderWithOtherFiles_IsRefusedAndUntouched) {
  std::filesystem::create_directories(Path("coordinator"));
  std::ofstream(Path("coordinator/photo.jpg")) << "x";
  const absl::Status refused = StartBanks().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("photo.jpg"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(Path("coordinator")), {}),
            1);
}

// Scenario 79: each coordinator chooses the id of its cluster.
TEST_F(EmbeddedTest, Scenario79_BankOfAnotherCoordinator_IsRefused) {
  ASSERT_TRUE(StartBanks().ok());
  EmbeddedOptions other;
  other.dir = Path("another-coordinator");
  std::vector<EmbeddedResource> kv;
  kv.push_back(Kv("kv"));
  const absl::Status refused = Embedded::Start(std::move(other), std::move(kv)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
}

}  // namespace
}  // namespace concordat
