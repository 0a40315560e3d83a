// A coordinator and a participant as processes, over a PostgreSQL server: two databases
// with a ledger each, and a key-value shard.
#ifndef TESTS_DATABASES_ENLIST_FIXTURE_H_
#define TESTS_DATABASES_ENLIST_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

#include "tests/support/postgresql_server.h"
#include "tests/support/processes.h"

namespace concordat::testing {

class EnlistTest : public ::testing::Test {
 protected:
  static constexpr int64_t kInDoubtMs = 300;

  EnlistTest();
  // Checks that nothing is prepared any more.
  ~EnlistTest() override;

  void StartNode();
  void StartParticipant();
  std::unique_ptr<Child> StartApp(const std::string& key, int patience_s,
                                  const std::string& step);
  [[nodiscard]] std::string LogOf(const std::string& name) const;
  [[nodiscard]] std::string AppLog(const std::string& key) const {
    return LogOf("app-" + key + ".log");
  }

  [[nodiscard]] std::string Url(const std::string& bank) const {
    return database_.Url(bank);
  }
  std::string PreparedCount() {
    return database_.Exec("SELECT count(*) FROM pg_prepared_xacts");
  }
  // Whether a request of the application, or of the node, has reached the stopped process
  // and waits in its socket.
  [[nodiscard]] bool NodeIsAskedWithin(double seconds, const Child& app) const;
  [[nodiscard]] bool ParticipantIsAskedWithin(double seconds) const;
  [[nodiscard]] bool NothingPreparedWithin(double seconds) {
    return WaitUntil(seconds, [&] { return PreparedCount() == "0"; });
  }
  // The keys in the bank's ledger, when no branch is prepared any more: COMMITTED is
  // answered before the branches are told.
  std::set<std::string> Ledger(const std::string& bank);

  TempDir dir_;
  PostgresqlServer database_;
  std::string client_address_;
  std::unique_ptr<Child> node_;
  std::unique_ptr<Child> participant_;

 private:
  std::string Program(const std::string& path) const {
    return ProgramDir() + "/../../" + path;
  }
  uint16_t node_port_ = 0;
  uint16_t port_ = 0;
  int starts_ = 0;
};

}  // namespace concordat::testing

#endif  // TESTS_DATABASES_ENLIST_FIXTURE_H_
