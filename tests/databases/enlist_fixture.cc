#include "tests/databases/enlist_fixture.h"

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace concordat::testing {

namespace {

// The inodes of the process's sockets (Linux, proc(5)).
std::set<uint64_t> SocketsOf(pid_t process) {
  std::set<uint64_t> inodes;
  std::error_code ignored;
  for (const auto& fd : std::filesystem::directory_iterator(
           absl::StrCat("/proc/", process, "/fd"), ignored)) {
    uint64_t inode = 0;
    const std::string target = std::filesystem::read_symlink(fd, ignored).string();
    if (std::sscanf(target.c_str(), "socket:[%" SCNu64 "]", &inode) == 1) {
      inodes.insert(inode);
    }
  }
  return inodes;
}

struct TcpRow {
  unsigned local_port = 0;
  unsigned remote_port = 0;
  unsigned to_read = 0;
  uint64_t inode = 0;
};

std::vector<TcpRow> TcpTable() {
  std::vector<TcpRow> rows;
  std::ifstream table("/proc/net/tcp");
  std::string line;
  while (std::getline(table, line)) {
    TcpRow row;
    if (std::sscanf(line.c_str(),
                    "%*d: %*x:%x %*x:%x %*x %*x:%x %*x:%*x %*x %*d %*d %" SCNu64,
                    &row.local_port, &row.remote_port, &row.to_read, &row.inode) == 4) {
      rows.push_back(row);
    }
  }
  return rows;
}

// Whether the port has unread bytes from the process.
bool BytesWait(pid_t from, uint16_t port) {
  const std::set<uint64_t> sockets = SocketsOf(from);
  const std::vector<TcpRow> rows = TcpTable();
  std::set<unsigned> sender_ports;
  for (const TcpRow& row : rows) {
    if (row.remote_port == port && sockets.contains(row.inode)) {
      sender_ports.insert(row.local_port);
    }
  }
  return std::any_of(rows.begin(), rows.end(), [&](const TcpRow& row) {
    return row.local_port == port && row.to_read > 0 &&
           sender_ports.contains(row.remote_port);
  });
}

}  // namespace

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
    Child init({Program("participant/daemon/concordat-rm"), "init", Url(bank), "--yes"},
               absl::StrCat(dir_.path(), "/init-", bank));
    EXPECT_EQ(init.WaitForExit(20), 0);
  }
}

EnlistTest::~EnlistTest() { EXPECT_TRUE(NothingPreparedWithin(60)); }

std::string EnlistTest::LogOf(const std::string& name) const {
  return TextOf(dir_.path() + "/" + name);
}

void EnlistTest::StartNode() {
  node_port_ = FreePort();
  client_address_ = absl::StrCat("127.0.0.1:", node_port_);
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

bool EnlistTest::NodeIsAskedWithin(double seconds, const Child& app) const {
  return WaitUntil(seconds, [&] { return BytesWait(app.pid(), node_port_); });
}

bool EnlistTest::ParticipantIsAskedWithin(double seconds) const {
  return WaitUntil(seconds, [&] { return BytesWait(node_->pid(), port_); });
}

std::set<std::string> EnlistTest::Ledger(const std::string& bank) {
  EXPECT_TRUE(NothingPreparedWithin(60));
  const auto rows = database_.Column("SELECT key FROM ledger", bank);
  return {rows.begin(), rows.end()};
}

}  // namespace concordat::testing
