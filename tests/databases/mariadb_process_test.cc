// Two MariaDB databases under concordat-rm: see bank_processes.h.
#include "tests/databases/bank_processes.h"
#include "tests/support/mariadb_server.h"

namespace concordat::testing {
namespace {

struct Mariadb {
  using Server = MariadbServer;
  static constexpr char kTables[] =
      "CREATE TABLE account(id int PRIMARY KEY, balance bigint NOT NULL);"
      "INSERT INTO account VALUES (1,100),(2,100),(3,100),(4,100),(5,100),(6,100),"
      "(7,100),(8,100),(9,100),(10,100);"
      "CREATE TABLE ledger(gtid varchar(100) PRIMARY KEY)";
  static constexpr char kMove[] = "UPDATE account SET balance=balance+? WHERE id=?";
  static constexpr char kBook[] = "INSERT INTO ledger VALUES (?)";
  static constexpr char kInDoubt[] = "XA RECOVER FORMAT='SQL'";
  static constexpr char kEvidenceTables[] =
      "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema='concordat'";
  static std::string With(const std::string& url, const std::string& parameter) {
    return url + "&" + parameter;
  }
};

using MariadbProcessTest = BankProcesses<Mariadb>;

TEST_F(MariadbProcessTest, Scenario24And25_ParticipantAndServerKilled_TheBooksAgree) {
  KillAndCompare();
}

TEST_F(MariadbProcessTest, Scenario102_SecondServiceAtOneDatabase_IsRefusedAtOnce) {
  JoinAtOneDatabase();
}

}  // namespace
}  // namespace concordat::testing
