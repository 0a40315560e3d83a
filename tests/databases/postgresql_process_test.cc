// Two PostgreSQL databases under concordat-rm: see bank_processes.h.
#include "tests/databases/bank_processes.h"
#include "tests/support/postgresql_server.h"

namespace concordat::testing {
namespace {

struct Postgresql {
  using Server = PostgresqlServer;
  static constexpr char kTables[] =
      "CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL);"
      "INSERT INTO account SELECT i, 100 FROM generate_series(1,10) i;"
      "CREATE TABLE ledger(gtid text PRIMARY KEY)";
  static constexpr char kMove[] = "UPDATE account SET balance=balance+$1 WHERE id=$2";
  static constexpr char kBook[] = "INSERT INTO ledger VALUES ($1)";
  static constexpr char kInDoubt[] = "SELECT gid FROM pg_prepared_xacts";
  static constexpr char kEvidenceTables[] =
      "SELECT count(*) FROM pg_tables WHERE schemaname='concordat'";
  static std::string With(const std::string& url, const std::string& parameter) {
    return url + "?" + parameter;
  }
};

using PostgresqlProcessTest = BankProcesses<Postgresql>;

TEST_F(PostgresqlProcessTest, Scenario24And25_ParticipantAndServerKilled_TheBooksAgree) {
  KillAndCompare();
}

TEST_F(PostgresqlProcessTest, Scenario102_SecondServiceAtOneDatabase_IsRefusedAtOnce) {
  JoinAtOneDatabase();
}

}  // namespace
}  // namespace concordat::testing
