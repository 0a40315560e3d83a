#include "tests/databases/enlist_fixture.h"

#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"

namespace concordat::testing {

void SleepMs(int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

// A key that begins with "slow" takes two seconds to prepare.
EnlistTest::EnlistTest() : dir_("/tmp") {
  for (const char* bank : {"bank_a", "bank_b"}) {
    database_.Exec(absl::StrCat("CREATE DATABASE ", bank));
    database_.Exec(
        "CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL);"
        "INSERT INTO account SELECT i, 100 FROM generate_series(1,10) i;"
        "CREATE TABLE ledger(key text PRIMARY KEY);"
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN PERFORM pg_sleep(2); RETURN NEW; END$$;"
        "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ledger DEFERRABLE INITIALLY "
        "DEFERRED FOR EACH ROW WHEN (NEW.key LIKE 'slow%') EXECUTE FUNCTION wait();",
        bank);
    Child init({Program("coordinator/cli/concordat"), "rm", "init", Url(bank), "--yes"},
               absl::StrCat(dir_.path(), "/init-", bank));
    EXPECT_EQ(init.WaitForExit(20), 0);
  }
}

EnlistTest::~EnlistTest() { EXPECT_TRUE(NothingPreparedWithin(20)); }

std::string EnlistTest::LogOf(const std::string& name) const {
  std::ifstream in(dir_.path() + "/" + name);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

void EnlistTest::StartNode() {
  client_address_ = absl::StrCat("127.0.0.1:", FreePort());
  node_ = std::make_unique<Child>(
      std::vector<std::string>{
          Program("coordinator/daemon/concordatd"), "--id", "1", "--members",
          absl::StrCat("1=127.0.0.1:", FreePort(), "/", client_address_), "--data-dir",
          dir_.path() + "/node", "--segment-bytes", "4194304"},
      dir_.path() + "/node.log");
  ASSERT_TRUE(node_->WaitForLine("ready: clients", 20)) << LogOf("node.log");
}

void EnlistTest::StartParticipant() {
  if (port_ == 0) port_ = FreePort();
  const std::string log = absl::StrCat("rm-", ++starts_, ".log");
  participant_ = std::make_unique<Child>(
      std::vector<std::string>{Program("participant/daemon/concordat-rm"), "--listen",
                               absl::StrCat("127.0.0.1:", port_), "--coordinators",
                               client_address_, "--resource", "bank-a=" + Url("bank_a"),
                               "--resource", "bank-b=" + Url("bank_b"), "--resource",
                               "kv-c=kv://" + dir_.path() + "/kv",
                               "--in-doubt-inquiry-ms", absl::StrCat(kInDoubtMs)},
      dir_.path() + "/" + log);
  ASSERT_TRUE(participant_->WaitForLine("ready on", 20)) << LogOf(log);
}

std::unique_ptr<Child> EnlistTest::StartApp(const std::string& key, int patience_s,
                                            const std::string& step) {
  return std::make_unique<Child>(
      std::vector<std::string>{ProgramDir() + "/enlist_app", client_address_,
                               Url("bank_a"), Url("bank_b"), key,
                               absl::StrCat(patience_s), step},
      dir_.path() + "/app-" + key + ".log");
}

std::set<std::string> EnlistTest::Ledger(const std::string& bank) {
  const auto rows = database_.Column("SELECT key FROM ledger", bank);
  return {rows.begin(), rows.end()};
}

}  // namespace concordat::testing
