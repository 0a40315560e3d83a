// A store that is put back from a backup is refused and listed, and is accepted only if
// the operator says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"
#include "coordinator/client/operations.h"
#include "tests/process/cluster.h"
#include "tests/support/postgresql_server.h"

namespace concordat::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class Restored : public ::testing::Test {
 protected:
  // The resource as the leader lists it.
  wire::ResourceInfo Listed(const std::string& resource) {
    for (const auto& info : cluster_.Status(cluster_.Leader()).resources) {
      if (info.name == resource) return info;
    }
    return {};
  }
  int64_t Generation(const std::string& resource) { return Listed(resource).generation; }
  void AwaitGenerationBeyond(const std::string& resource, int64_t generation) {
    ASSERT_TRUE(WaitUntil(kPatience, [&] { return Generation(resource) > generation; }));
  }
  std::string StatusText() {
    std::string text;
    const int status = cluster_.CommandLine("status", &text);
    EXPECT_EQ(status, text.find("ATTENTION: ") == 0 ? 1 : 0) << text;
    return text;
  }

  Cluster cluster_{ClusterOptions{.nodes = 1}};
};

// --- a KV shard ---

const std::vector<std::string> kAdvanceOften = {"--generation-interval-ms", "50"};
const std::vector<std::string> kAccept = {"--generation-interval-ms", "50",
                                          "--replace-store", "kv"};

class RestoredKv : public Restored {
 protected:
  void SetUp() override {
    cluster_.bank("kv").Stop();
    cluster_.StartBank("kv", kAdvanceOften);
    Debit(5);
    AwaitGenerationBeyond("kv", 0);
    cluster_.bank("kv").Stop();
    Copy(Folder(), Backup());
    cluster_.StartBank("kv", kAdvanceOften);
    // When the backup was made, the store may have been ahead of what it had registered.
    backup_generation_ = Generation("kv");
  }
  void Debit(int64_t amount) {
    const auto client = cluster_.NewClient();
    const auto result = client->Run([&](client::Transaction& t) -> absl::Status {
      return Cluster::Transfer(&t, "alice", "bob", amount);
    });
    ASSERT_TRUE(result.committed()) << result;
    ASSERT_TRUE(cluster_.WaitUntilSettled());
  }
  static void Copy(const std::string& from, const std::string& to) {
    std::filesystem::remove_all(to);
    std::filesystem::copy(from, to, std::filesystem::copy_options::recursive);
  }
  [[nodiscard]] std::string Folder() const { return cluster_.dir() + "/bank-kv"; }
  [[nodiscard]] std::string Backup() const { return cluster_.dir() + "/backup"; }
  [[nodiscard]] std::string Newest() const { return cluster_.dir() + "/newest"; }
  void PutBackTheBackup() {
    Copy(Folder(), Newest());
    Copy(Backup(), Folder());
  }
  void ExpectRefusal() {
    cluster_.LaunchBank("kv", kAdvanceOften);
    EXPECT_EQ(cluster_.bank("kv").WaitForExit(kPatience), 1);
    EXPECT_THAT(TextOf(cluster_.BankLog("kv")),
                AllOf(HasSubstr("of resource kv holds its data of 20"),
                      HasSubstr("but was seen at 20"), HasSubstr("--replace-store kv")));
  }

  int64_t backup_generation_ = 0;
};

TEST_F(RestoredKv, Scenario29_IsRefusedAndListed_AndTheNewerStoreGoesOn) {
  Debit(7);
  AwaitGenerationBeyond("kv", backup_generation_);
  EXPECT_THAT(StatusText(), Not(HasSubstr("QUARANTINED")));
  cluster_.bank("kv").Kill();
  PutBackTheBackup();
  ExpectRefusal();
  EXPECT_THAT(StatusText(), AllOf(HasSubstr("kv QUARANTINED, "), HasSubstr("ago: store "),
                                  HasSubstr("a backup was")));
  // Another attempt is refused too.
  ExpectRefusal();
  Copy(Newest(), Folder());
  cluster_.StartBank("kv", kAdvanceOften);
  EXPECT_THAT(StatusText(), Not(HasSubstr("QUARANTINED")));
  EXPECT_EQ(cluster_.KvBalance("alice"), -12);
}

// The coordinators' log has what they know of the store.
TEST_F(RestoredKv, Scenario29_CoordinatorsRestarted_StillRefuseIt) {
  Debit(7);
  AwaitGenerationBeyond("kv", backup_generation_);
  cluster_.bank("kv").Kill();
  PutBackTheBackup();
  cluster_.node(1).Kill();
  cluster_.StartNode(1);
  ExpectRefusal();
}

TEST_F(RestoredKv, Scenario29_AcceptedByWord_TakesTheNameAndTheLostOneIsRefused) {
  Debit(7);
  AwaitGenerationBeyond("kv", backup_generation_);
  const int64_t lost = Generation("kv");
  cluster_.bank("kv").Kill();
  PutBackTheBackup();
  ExpectRefusal();
  cluster_.StartBank("kv", kAccept);
  EXPECT_EQ(cluster_.KvBalance("alice"), -5);
  AwaitGenerationBeyond("kv", lost);
  EXPECT_THAT(StatusText(), Not(HasSubstr("QUARANTINED")));
  // From now on it is started without the flag, and the store that it has replaced counts
  // as another one.
  cluster_.bank("kv").Stop();
  cluster_.StartBank("kv", kAdvanceOften);
  cluster_.bank("kv").Stop();
  Copy(Newest(), Folder());
  ExpectRefusal();
}

// The debit was prepared after the backup, and is lost with the newer store. Nothing is
// acknowledged before an operator has accepted the backup. Then the loss is listed until
// it is forgotten.
TEST_F(RestoredKv, Scenario29_DecidedCommitThatIsNotInTheBackup_IsAHazardByWordOnly) {
  Debit(1);
  AwaitGenerationBeyond("kv", backup_generation_);
  const auto client = cluster_.NewClient();
  auto transaction = client->Begin();
  ASSERT_TRUE(transaction.ok());
  ASSERT_TRUE(Cluster::Transfer(&*transaction, "alice", "bob", 5).ok());
  Proxy& kv = cluster_.proxy("kv");
  kv.HoldReplies(true);
  auto result = std::async(std::launch::async, [&] { return transaction->Commit(); });
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return kv.HeldReplyBytes() > 0; }));
  kv.HoldRequests(true);
  kv.HoldReplies(false);
  EXPECT_EQ(result.get().outcome, Outcome::kCommitted);
  cluster_.bank("kv").Kill();
  kv.Disconnect();
  kv.HoldRequests(false);
  PutBackTheBackup();
  ExpectRefusal();
  std::string said;
  EXPECT_EQ(cluster_.CommandLine("heuristic list", &said), 0) << said;
  EXPECT_EQ(cluster_.Status(1).unended, 1);
  cluster_.StartBank("kv", kAccept);
  EXPECT_TRUE(cluster_.WaitUntilSettled());
  EXPECT_EQ(cluster_.CommandLine("heuristic list", &said), 1);
  EXPECT_THAT(said, AllOf(HasSubstr("hazard"), HasSubstr("/kv/")));
  EXPECT_EQ(cluster_.KvBalance("alice"), -5);
  EXPECT_EQ(cluster_.SqlBalance("bob"), 11);
}

// --- PostgreSQL ---

class RestoredPostgresql : public Restored {
 protected:
  void SetUp() override {
    server_.Exec("CREATE DATABASE bank");
    server_.Exec(
        "CREATE TABLE account(id int PRIMARY KEY, balance int);"
        "INSERT INTO account VALUES(1, 0)",
        "bank");
    const std::string init =
        absl::StrCat(ProgramDir(), "/../../participant/daemon/concordat-rm init '",
                     server_.Url("bank"), "' --yes >", cluster_.dir(), "/init 2>&1");
    ASSERT_EQ(std::system(init.c_str()), 0) << TextOf(cluster_.dir() + "/init");
    Launch();
    ASSERT_TRUE(rm_->WaitForLine("ready on", kPatience)) << TextOf(log_);
    Credit();
    AwaitGenerationBeyond("pg", 0);
    rm_->Stop();
    server_.Stop();
    server_.Backup();
    server_.Start();
    Launch();
    ASSERT_TRUE(rm_->WaitForLine("ready on", kPatience)) << TextOf(log_);
    // When the backup was made, the store may have been ahead of what it had registered.
    backup_generation_ = Generation("pg");
    Credit();
    AwaitGenerationBeyond("pg", backup_generation_);
  }
  void Launch() {
    rm_.reset();
    std::ofstream(log_, std::ios::trunc).close();
    rm_ = std::make_unique<Child>(
        std::vector<std::string>{ProgramDir() + "/../../participant/daemon/concordat-rm",
                                 "--listen", "127.0.0.1:0", "--coordinators",
                                 absl::StrJoin(cluster_.client_addresses(), ","),
                                 "--resource", "pg=" + server_.Url("bank"),
                                 "--generation-interval-ms", "50"},
        log_);
  }
  absl::Status TryCredit() {
    auto transaction = client_->Begin();
    if (!transaction.ok()) return transaction.status();
    const auto done = transaction->Sql(
        "pg", client::Sql("UPDATE account SET balance=balance+1 WHERE id=1"));
    if (!done.ok()) return done.status();
    const auto result = transaction->Commit();
    if (result.committed()) return absl::OkStatus();
    return absl::AbortedError("not committed");
  }
  // Repeats it, because the server may be starting, or the connections may be lost.
  void Credit() {
    ASSERT_TRUE(WaitUntil(kPatience, [this] { return TryCredit().ok(); }));
  }

  PostgresqlServer server_;
  const std::string log_ = cluster_.dir() + "/rm-pg.log";
  std::unique_ptr<Child> rm_;
  std::unique_ptr<client::Client> client_ = cluster_.NewClient();
  int64_t backup_generation_ = 0;
};

TEST_F(RestoredPostgresql, Scenario29_PutBackWhileNobodyServesIt_IsRefusedAndListed) {
  rm_->Stop();
  server_.Stop();
  server_.Restore();
  server_.Start();
  Launch();
  EXPECT_EQ(rm_->WaitForExit(kPatience), 1);
  EXPECT_THAT(TextOf(log_), HasSubstr("of resource pg holds its data of 20"));
  EXPECT_THAT(StatusText(), HasSubstr("pg QUARANTINED, "));
}

// The process lives and sends heartbeats, but the database does not.
TEST_F(RestoredPostgresql, DatabaseThatIsDown_IsSeenInTheStatus) {
  EXPECT_THAT(StatusText(), Not(HasSubstr("UNAVAILABLE")));
  server_.Stop();
  ASSERT_TRUE(WaitUntil(kPatience, [&] { return Listed("pg").__isset.unavailable; }));
  EXPECT_THAT(StatusText(), AllOf(HasSubstr("resource pg is unavailable"),
                                  HasSubstr("pg UNAVAILABLE: waiting for the database")));
  server_.Start();
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !Listed("pg").__isset.unavailable; }));
}

TEST_F(RestoredPostgresql, Scenario29_PutBackUnderTheProcessThatServesIt_EndsServing) {
  server_.Stop();
  server_.Restore();
  server_.Start();
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    (void)TryCredit();
    return Listed("pg").__isset.quarantined;
  }));
  EXPECT_THAT(StatusText(), AllOf(HasSubstr("pg QUARANTINED, "),
                                  HasSubstr("resource pg: the database has gone back")));
  EXPECT_THAT(TextOf(log_), HasSubstr("store went back: nothing is served"));
  EXPECT_THAT(std::string(TryCredit().message()), HasSubstr("gone back in time"));
  // As at any start, the database is as old as it is.
  EXPECT_EQ(rm_->Stop(), 0);
  Launch();
  EXPECT_EQ(rm_->WaitForExit(kPatience), 1);
  EXPECT_THAT(TextOf(log_), HasSubstr("of resource pg holds its data of 20"));
}

}  // namespace
}  // namespace concordat::testing
