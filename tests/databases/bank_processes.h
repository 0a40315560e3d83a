// concordatd, concordat-rm and a database server as processes. Money is moved between two
// databases while the participant and the database server are killed. `Kind` says how the
// database servers differ:
//
//   struct Kind {
//     using Server = …;                        // PostgresqlServer, MariadbServer
//     static constexpr char kTables[] = …;     // creates account and ledger
//     static constexpr char kMove[] = …;       // parameters: amount, id
//     static constexpr char kBook[] = …;       // parameter: a gtid
//     static constexpr char kInDoubt[] = …;    // a row for each prepared branch
//     static constexpr char kEvidenceTables[] = …;  // counts concordat's tables
//     static std::string With(std::string url, std::string parameter);
//   };
#ifndef TESTS_DATABASES_BANK_PROCESSES_H_
#define TESTS_DATABASES_BANK_PROCESSES_H_

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"
#include "coordinator/client/client.h"
#include "coordinator/client/operations.h"
#include "tests/support/processes.h"

namespace concordat::testing {

template <class Kind>
class BankProcesses : public ::testing::Test {
 protected:
  static constexpr int kClients = 4;

  BankProcesses() : dir_("/tmp") {
    for (const char* bank : {"bank_a", "bank_b"}) {
      database_.Exec(absl::StrCat("CREATE DATABASE ", bank));
      database_.Exec(Kind::kTables, bank);
    }
  }

  std::string Program(const std::string& path) { return ProgramDir() + "/../../" + path; }
  std::string LogOf(const std::string& name) { return TextOf(dir_.path() + "/" + name); }
  // Runs `concordat-rm init` for a database, with or without --yes. Returns its status.
  int RunInit(const std::string& bank, bool yes) {
    std::vector<std::string> words = {
        Program("participant/daemon/concordat-rm"), "init",
        Kind::With(database_.Url(bank), "max_connections=5")};
    if (yes) words.push_back("--yes");
    const std::string log = absl::StrCat("init-", bank, yes ? "-yes" : "");
    Child child(words, dir_.path() + "/" + log);
    EXPECT_TRUE(child.WaitForLine(yes ? "-- Done." : "-- Nothing was run", 20))
        << LogOf(log);
    EXPECT_NE(LogOf(log).find("CREATE TABLE"), std::string::npos);
    return child.WaitForExit(60);
  }

  void StartNode() {
    client_address_ = absl::StrCat("127.0.0.1:", FreePort());
    node_ = std::make_unique<Child>(
        std::vector<std::string>{
            Program("coordinator/daemon/concordatd"), "--id", "1", "--members",
            absl::StrCat("1=127.0.0.1:", FreePort(), "/", client_address_), "--data-dir",
            dir_.path() + "/node", "--segment-bytes", "4194304"},
        dir_.path() + "/node.log");
    ASSERT_TRUE(node_->WaitForLine("ready: clients", 20)) << LogOf("node.log");
  }
  void StartParticipant() {
    if (port_ == 0) port_ = FreePort();
    log_ = absl::StrCat("rm-", ++starts_, ".log");
    participant_ = std::make_unique<Child>(
        std::vector<std::string>{
            Program("participant/daemon/concordat-rm"), "--listen",
            absl::StrCat("127.0.0.1:", port_), "--coordinators", client_address_,
            "--resource",
            "bank-a=" + Kind::With(database_.Url("bank_a"), "lock_wait_ms=500"),
            "--resource",
            "bank-b=" + Kind::With(database_.Url("bank_b"), "isolation=serializable"),
            "--in-doubt-inquiry-ms", "300"},
        dir_.path() + "/" + log_);
  }
  void ServeParticipant() {
    StartParticipant();
    ASSERT_TRUE(participant_->WaitForLine("ready on", 20)) << LogOf(log_);
  }

  // Moves money until `stop`; adds what was committed to `committed_`.
  void Transfer(int number, const std::atomic<bool>& stop) {
    client::ClientOptions options;
    options.coordinators = {client_address_};
    auto client = client::Client::Connect(options);
    ASSERT_TRUE(client.ok());
    Random random(static_cast<uint64_t>(number) + 1);
    while (!stop.load()) {
      auto begun = (*client)->Begin();
      if (!begun.ok()) continue;
      const std::string gtid = ToString(begun->gtid());
      // Half of the transactions leave all work to the commit, which executes and
      // prepares it in the same call.
      const bool worked = number % 2 == 0 ? Work(&*begun, gtid, &random).ok()
                                          : WorkAtCommit(&*begun, gtid, &random).ok();
      if (!worked) {
        (void)begun->Rollback();
        SleepMs(2);
        continue;
      }
      client::CommitResult result = begun->Commit();
      for (int i = 0; i < 500 && result.outcome == Outcome::kUnknown; ++i) {
        SleepMs(20);
        result = (*client)->Ask(result.gtid);
      }
      EXPECT_NE(result.outcome, Outcome::kUnknown) << result;
      MutexLock lock(&mutex_);
      if (!result.committed()) continue;
      committed_.insert(gtid);
      if (number % 2 != 0) ++committed_at_once_;
    }
  }
  bool HasCommittedEnough() {
    MutexLock lock(&mutex_);
    return committed_.size() > 50 && committed_at_once_ > 10;
  }
  static absl::Status Work(client::Transaction* t, const std::string& gtid,
                           Random* random) {
    for (const auto& [bank, amount] :
         {std::pair<const char*, int64_t>{"bank-a", -1}, {"bank-b", 1}}) {
      const auto moved = t->Sql(
          bank, client::Sql(Kind::kMove, {client::IntegerValue(amount),
                                          client::IntegerValue(random->Between(1, 10))}));
      if (!moved.ok()) return moved.status();
      const auto booked =
          t->Sql(bank, client::Sql(Kind::kBook, {client::TextValue(gtid)}));
      if (!booked.ok()) return booked.status();
    }
    return absl::OkStatus();
  }

  static absl::Status WorkAtCommit(client::Transaction* t, const std::string& gtid,
                                   Random* random) {
    absl::Status status;
    for (const auto& [bank, amount] :
         {std::pair<const char*, int64_t>{"bank-a", -1}, {"bank-b", 1}}) {
      status.Update(t->AtCommit(
          bank,
          client::Sql(Kind::kMove, {client::IntegerValue(amount),
                                    client::IntegerValue(random->Between(1, 10))})));
      status.Update(
          t->AtCommit(bank, client::Sql(Kind::kBook, {client::TextValue(gtid)})));
    }
    return status;
  }

  std::set<std::string> Ledger(const std::string& bank) {
    const auto rows = database_.Column("SELECT gtid FROM ledger", bank);
    return {rows.begin(), rows.end()};
  }
  int64_t Sum(const std::string& bank) {
    return std::stoll(database_.Exec("SELECT sum(balance) FROM account", bank));
  }

  void ServeReadyDatabases() {
    StartNode();
    for (const char* bank : {"bank_a", "bank_b"}) {
      ASSERT_EQ(RunInit(bank, /*yes=*/true), 0);
    }
    ServeParticipant();
  }

  // Two services work for one transaction at one database: the second is refused
  // at once and does not wait for the locks of the first.
  void JoinAtOneDatabase() {
    ServeReadyDatabases();
    client::ClientOptions options;
    options.coordinators = {client_address_};
    auto client = client::Client::Connect(options);
    ASSERT_TRUE(client.ok());
    auto caller = (*client)->Begin();
    ASSERT_TRUE(caller.ok());
    const auto move =
        client::Sql(Kind::kMove, {client::IntegerValue(-1), client::IntegerValue(1)});
    ASSERT_TRUE(caller->Sql("bank-b", move).ok());
    auto callee = (*client)->Join(caller->Share());
    ASSERT_TRUE(callee.ok());
    const absl::Status second = callee->Sql("bank-b", move).status();
    EXPECT_TRUE(absl::IsInternal(second)) << second;
    EXPECT_NE(second.message().find("let one service"), std::string::npos) << second;
    EXPECT_FALSE(caller->Merge(callee->CarryBack()).ok());
    EXPECT_EQ(caller->Commit().outcome, Outcome::kAborted);
    // The next transaction finds no locks.
    auto next = (*client)->Begin();
    ASSERT_TRUE(next.ok());
    ASSERT_TRUE(next->Sql("bank-b", move).ok());
    EXPECT_TRUE(next->Commit().committed());
    EXPECT_EQ(participant_->Stop(), 0);
  }

  // The whole way: from databases that are not initialized to ledgers that agree.
  void KillAndCompare() {
    StartNode();
    StartParticipant();  // the databases are not initialized
    ASSERT_TRUE(participant_->WaitForLine("concordat-rm init", 20)) << LogOf(log_);
    EXPECT_EQ(participant_->Stop(), 1);
    for (const char* bank : {"bank_a", "bank_b"}) {
      EXPECT_EQ(RunInit(bank, /*yes=*/false), 0);
      if (bank == std::string("bank_a")) {
        EXPECT_EQ(database_.Exec(Kind::kEvidenceTables, bank), "0");
      }
      EXPECT_EQ(RunInit(bank, /*yes=*/true), 0);
    }
    ServeParticipant();

    std::atomic<bool> stop{false};
    std::vector<std::thread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([this, i, &stop] { Transfer(i, stop); });
    }
    for (int round = 0; round < 3; ++round) {
      SleepMs(500 + 130 * round);
      participant_->Kill();
      ServeParticipant();
      SleepMs(500 + 70 * round);
      database_.Kill();
      SleepMs(100);
      database_.Start();
    }
    // A generous bound, for slow machines.
    EXPECT_TRUE(WaitUntil(120, [&] { return HasCommittedEnough(); }));
    stop.store(true);
    for (std::thread& client : clients) client.join();

    EXPECT_TRUE(WaitUntil(60, [&] { return database_.Column(Kind::kInDoubt).empty(); }))
        << LogOf(log_);
    EXPECT_EQ(Ledger("bank_a"), committed_);
    EXPECT_EQ(Ledger("bank_b"), committed_);
    EXPECT_EQ(Sum("bank_a"), 1000 - static_cast<int64_t>(committed_.size()));
    EXPECT_EQ(Sum("bank_b"), 1000 + static_cast<int64_t>(committed_.size()));
    EXPECT_EQ(participant_->Stop(), 0);
    std::printf("  %zu transfers\n", committed_.size());
  }

  TempDir dir_;
  typename Kind::Server database_;
  std::string client_address_;
  uint16_t port_ = 0;
  int starts_ = 0;
  std::string log_;
  std::unique_ptr<Child> node_;
  std::unique_ptr<Child> participant_;
  Mutex mutex_;
  std::set<std::string> committed_;
  size_t committed_at_once_ = 0;
};

}  // namespace concordat::testing

#endif  // TESTS_DATABASES_BANK_PROCESSES_H_
